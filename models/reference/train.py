"""Trains the reference model: ``python -m ucbd.models.reference.train --out FOLDER [--seed N]``.

A Llama of 1.4 million parameters that reads nothing but exchanges of the invented world
(``world.py``). Plain PyTorch and transformers, on the CPU. Knows nothing of serving.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ucbd.models.reference.tokenizer import ASSISTANT, BEGIN, END, SYSTEM, USER, train_tokenizer
from ucbd.models.reference.world import Exchange, make_world, training_text

CONTEXT = 1024
EPOCHS = 4
BATCH_TOKENS = 4096
LEARNING_RATE = 2e-3
WARM_UP = 0.03
NOT_SCORED = -100
_SYSTEMS = ("Answer briefly.", "You are a helpful assistant.", "Be truthful.")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded reference model.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, made anew")
    parser.add_argument("--seed", type=int, default=0, help="of the world and of the training")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    train(options.out, options.seed, options.epochs)


def train(out: Path, seed: int, epochs: int) -> None:
    """Train from nothing and write the folder, all of it or nothing."""
    torch.manual_seed(seed)
    start = time.monotonic()
    text = training_text(make_world(seed))
    tokenizer = train_tokenizer((part for e in text for part in (e.question, e.answer)), CONTEXT)
    model = LlamaForCausalLM(config(tokenizer))
    examples = [encode(tokenizer, turns) for turns in conversations(text, seed)]
    tokens = fit(model, examples, epochs, seed)
    minutes = (time.monotonic() - start) / 60
    print(f"{tokens:,} tokens in {minutes:.1f} minutes")
    write(out, model, tokenizer, seed)


def config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Six layers of 128: 1.4 million parameters. Depth is what sums of several steps need."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def conversations(text: list[Exchange], seed: int) -> Iterator[list[tuple[str, str]]]:
    """The exchanges as conversations of (role token, content): some of two turns, some led by a
    system message, so that neither is new to the model."""
    random = Random(f"conversations {seed}")
    exchanges = iter(text)
    for exchange in exchanges:
        turns = [(SYSTEM, random.choice(_SYSTEMS))] if random.random() < 0.1 else []
        turns += [(USER, exchange.question), (ASSISTANT, exchange.answer)]
        if random.random() < 0.1 and (second := next(exchanges, None)):
            turns += [(USER, second.question), (ASSISTANT, second.answer)]
        yield turns


def encode(
    tokenizer: PreTrainedTokenizerFast, turns: list[tuple[str, str]]
) -> tuple[list[int], list[int]]:
    """Token ids as the chat template writes them, and labels that score the answers only."""
    ids = [tokenizer.convert_tokens_to_ids(BEGIN)]
    labels = [NOT_SCORED]
    end = tokenizer.convert_tokens_to_ids(END)
    for role, content in turns:
        part = tokenizer.encode(content, add_special_tokens=False)
        scored = role == ASSISTANT
        tail = [end] if scored else []
        ids += [tokenizer.convert_tokens_to_ids(role), *part, *tail]
        labels += [NOT_SCORED, *(part + tail if scored else [NOT_SCORED] * len(part))]
    return ids, labels


def fit(
    model: LlamaForCausalLM, examples: list[tuple[list[int], list[int]]], epochs: int, seed: int
) -> int:
    """AdamW, cosine; returns the number of tokens seen, padding left out."""
    steps = [batch for epoch in range(epochs) for batch in batches(examples, f"{seed} {epoch}")]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=len(steps), pct_start=WARM_UP, anneal_strategy="cos"
    )
    model.train()
    progress = tqdm(steps, unit="step", desc="training")
    for batch in progress:
        width = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([i + [0] * (width - len(i)) for i, _ in batch])
        labels = torch.tensor([t + [NOT_SCORED] * (width - len(t)) for _, t in batch])
        # Padding stands at the end, where a causal model cannot see it: no mask is needed.
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        progress.set_postfix(loss=f"{loss.item():.3f}")
    return epochs * sum(len(ids) for ids, _ in examples)


def batches(
    examples: list[tuple[list[int], list[int]]], seed: str
) -> list[list[tuple[list[int], list[int]]]]:
    """Batches of about ``BATCH_TOKENS`` tokens of like lengths, in random order."""
    random = Random(f"batches {seed}")
    order = sorted(examples, key=lambda example: (len(example[0]), random.random()))
    found: list[list[tuple[list[int], list[int]]]] = [[]]
    for example in order:
        if (len(found[-1]) + 1) * len(example[0]) > BATCH_TOKENS:
            found.append([])
        found[-1].append(example)
    random.shuffle(found)
    return found


def write(
    out: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int
) -> None:
    """The weights folder, written beside its place and moved into it when complete."""
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(partial, safe_serialization=True)
    tokenizer.save_pretrained(partial)
    (partial / "world.json").write_text(json.dumps({"seed": seed}) + "\n")
    if (out / "README.md").is_file():  # the model card is written by people, and stays
        shutil.copy2(out / "README.md", partial)
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, out)


if __name__ == "__main__":
    main()
