"""A small model with random weights: undecided at every token, and loaded in no time."""

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ucbd.models.reference.tokenizer import train_tokenizer

CONTEXT = 512


def random_model(folder: Path) -> Path:
    """A Llama with random weights, sharper than at birth so that its entropies differ."""
    torch.manual_seed(0)
    texts = ["where was the miller born", "he came from the town by the river", "0123456789"] * 50
    tokenizer = train_tokenizer(texts, CONTEXT)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.25,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
