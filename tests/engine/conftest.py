"""A real vLLM engine on a small model with random weights: undecided at every token, and quick."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ucbd.models.reference.tokenizer import train_tokenizer
from ucbd.models.vllm_engine import EngineSettings, VllmEngine

CONTEXT = 512
KV_BLOCKS = 24
"""Key-value blocks of 32 tokens: enough for one full context, too few for a crowd."""


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


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="session")
async def engine(random_weights):
    settings = EngineSettings(
        model=str(random_weights), served_name="random", dtype="float32", kv_cache_blocks=KV_BLOCKS
    )
    engine = await VllmEngine.start(settings)
    yield engine
    await engine.close()
