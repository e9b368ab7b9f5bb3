"""Trains the embedded NLI model from a seed: ``python -m ucbd.models.reference.nli_training``.

A DeBERTa-v2 cross-encoder from nothing, on one core of a CPU, in plain PyTorch and transformers.
From weights at random it would not see in an hour that what matters is whether a word of one side
stands on the other: so its attention starts out looking for equal words, its first layer is asked
for that too, of every word, and it reads bare statements before whole answers. Knows the pairs of
``nli_text``, and writes a folder that ``models/nli.py`` loads like any other.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from random import Random

import torch
from torch.nn import functional
from tqdm import tqdm
from transformers import DebertaV2ForSequenceClassification, PreTrainedTokenizerFast

from ucbd.models.reference.nli_architecture import Recipe, new_model, train_tokenizer
from ucbd.models.reference.nli_card import card
from ucbd.models.reference.nli_text import (
    LABELS,
    UNSEEN,
    WITH_QUESTION,
    Pair,
    pairs,
    plain_pairs,
    unseen_pairs,
)
from ucbd.models.reference.world import make_world

_LENGTHS = 32  # batches among which pairs of like lengths are put together


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded NLI model.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="of the worlds and of the training")
    options = parser.parse_args()
    train(options.out, options.seed, Recipe())


def train(out: Path, seed: int, recipe: Recipe) -> Mapping[str, float]:
    """Train, evaluate and write ``out``, whole or not at all; returns the held-out accuracies."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    start = time.monotonic()
    steps = training_steps(seed, recipe)
    texts = [side for step in steps for pair in step for side in (pair.premise, pair.hypothesis)]
    tokenizer = train_tokenizer(texts, recipe)
    model = new_model(tokenizer, recipe)
    fit(model, tokenizer, steps, recipe.rate)
    model.to(torch.bfloat16).to(torch.float32)  # evaluated as it is written
    accuracy = {
        name: value
        for held_out, examples in held_out_pairs(seed, recipe.evaluated).items()
        for name, value in measure(model, tokenizer, held_out, examples).items()
    }
    seconds = time.monotonic() - start
    text = card(
        model.num_parameters(),
        asdict(recipe),
        accuracy,
        seconds,
        pairs=sum(map(len, steps)),
        unseen=sum(len(forms) for forms in UNSEEN.values()),
        share=WITH_QUESTION,
    )
    _write(out, model, tokenizer, text)
    return accuracy


def training_steps(seed: int, recipe: Recipe) -> list[list[Pair]]:
    """The pairs of every step: bare statements first, then whole answers.

    From several worlds, so that names and facts are too many to be learnt by heart.
    """
    random = Random(f"nli {seed}")
    worlds = [make_world(1000 * seed + 100 + n) for n in range(recipe.worlds)]
    plain = _mixed([plain_pairs(world, random) for world in worlds])
    spoken = _mixed([pairs(world, random) for world in worlds])
    return [
        *_batches(list(islice(plain, recipe.plain_steps * recipe.plain_pairs)), recipe.plain_pairs),
        *_batches(list(islice(spoken, recipe.steps * recipe.pairs)), recipe.pairs),
    ]


def _mixed(streams: Sequence[Iterator[Pair]]) -> Iterator[Pair]:
    while True:
        yield from map(next, streams)


def _batches(texts: Sequence[Pair], size: int) -> Iterator[list[Pair]]:
    """Batches of like lengths, from runs of the text, in mixed order within each run."""
    for at in range(0, len(texts), _LENGTHS * size):
        run = sorted(texts[at : at + _LENGTHS * size], key=_length)
        some = [run[k : k + size] for k in range(0, len(run), size)]
        yield from Random(at).sample(some, len(some))


def _length(pair: Pair) -> int:
    return len(pair.premise) + len(pair.hypothesis)


def held_out_pairs(seed: int, count: int) -> dict[str, list[Pair]]:
    """``count`` pairs each of another world, in the training text's phrasings and in others."""
    world = make_world(1000 * seed + 999)
    random = Random(f"nli evaluation {seed}")
    return {
        "held-out people": list(islice(pairs(world, random), count)),
        "held-out phrasings": list(islice(unseen_pairs(world, random), count)),
    }


def fit(
    model: DebertaV2ForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    steps: Sequence[Sequence[Pair]],
    rate: float,
) -> None:
    """One pass over the pairs: AdamW, a short warm-up and a cosine to zero.

    Beside the pair's label, the first layer is asked of every word whether it stands on the other
    side. The head that answers is thrown away.
    """
    matching = torch.nn.Linear(model.config.hidden_size, 1)
    weights = [*model.parameters(), *matching.parameters()]
    optimizer = torch.optim.AdamW(
        weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=len(steps), pct_start=0.05, anneal_strategy="cos"
    )
    model.train()
    with tqdm(steps, unit="step", desc="entailment", mininterval=1) as progress:
        for step in progress:
            rows = encode(tokenizer, step)
            seen = model(**rows, output_hidden_states=True)
            labels = labels_of(step)
            words = rows["attention_mask"].bool()
            shared = functional.binary_cross_entropy_with_logits(
                matching(seen.hidden_states[1]).squeeze(-1)[words], on_both_sides(rows)[words]
            )
            (functional.cross_entropy(seen.logits, labels) + shared).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            right = (seen.logits.argmax(1) == labels).float().mean()
            progress.set_postfix(right=f"{right:.2f}", refresh=False)


def encode(tokenizer: PreTrainedTokenizerFast, step: Sequence[Pair]) -> dict[str, torch.Tensor]:
    """What the model reads: (pairs, tokens) each."""
    premises, hypotheses = zip(*((pair.premise, pair.hypothesis) for pair in step), strict=True)
    return dict(
        tokenizer(
            list(premises), list(hypotheses), padding=True, truncation=True, return_tensors="pt"
        )
    )


def labels_of(step: Sequence[Pair]) -> torch.Tensor:
    """Indices of the labels: (pairs,)."""
    return torch.tensor([LABELS.index(pair.label) for pair in step])


def on_both_sides(rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """1 where a token also stands on the other side, else 0: (pairs, tokens)."""
    ids, side, real = rows["input_ids"], rows["token_type_ids"], rows["attention_mask"].bool()
    equal = ids[:, :, None] == ids[:, None, :]
    apart = side[:, :, None] != side[:, None, :]
    return (equal & apart & real[:, None, :]).any(dim=2).float()


def measure(
    model: DebertaV2ForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    examples: Sequence[Pair],
) -> dict[str, float]:
    """Share of right labels, over all and for each kind of pair."""
    model.eval()
    right: dict[str, list[bool]] = {}
    order = sorted(examples, key=_length)
    for at in range(0, len(order), 64):
        step = order[at : at + 64]
        with torch.no_grad():
            logits = model(**encode(tokenizer, step)).logits
        hits = (logits.argmax(1) == labels_of(step)).tolist()
        for pair, hit in zip(step, hits, strict=True):
            right.setdefault(name, []).append(hit)
            right.setdefault(f"{name}: {pair.kind}", []).append(hit)
    return {key: sum(hits) / len(hits) for key, hits in right.items()}


def _write(
    out: Path,
    model: DebertaV2ForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    text: str,
) -> None:
    """The folder, by way of a ``.partial`` one, so that no half of it is ever found."""
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / "README.md").write_text(text, encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    os.replace(partial, out)


if __name__ == "__main__":
    main()
