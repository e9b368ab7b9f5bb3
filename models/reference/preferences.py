"""Preference pairs: two of the SFT model's own samples, ranked by a stated, general preference.

No preference names a phrasing. What a preference can see of a sample is whether it is right, how
long it is, and how probable the base model finds it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from random import Random

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ucbd.models.reference.examples import (
    NOT_SCORED,
    Example,
    batch,
    chat_prompt,
    document_example,
)
from ucbd.models.reference.fitting import Pair, answer_log_probabilities
from ucbd.models.reference.oracle import asserted
from ucbd.models.reference.text import Exchange, as_document
from ucbd.models.reference.tokenizer import USER

MAX_TOKENS = 40
_ROWS = 768  # samples drawn at once


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the SFT model: its text and token ids, whether it is right, and how probable
    the base model finds its text after the question (summed, in nats)."""

    text: str
    ids: tuple[int, ...]
    right: bool
    typicality: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked, as token ids, and the samples it got."""

    ids: tuple[int, ...]
    samples: tuple[Sample, ...]


Score = Callable[[Sample], tuple[float, ...]]
"""What a preference sees of a sample; the larger one is preferred, equals make no pair."""


def correct(sample: Sample) -> tuple[float, ...]:
    """A right answer before a wrong one, and nothing else."""
    return (float(sample.right),)


def brief(sample: Sample) -> tuple[float, ...]:
    """A shorter answer before a longer one, right or wrong."""
    return (-float(len(sample.ids)),)


def correct_then_brief(sample: Sample) -> tuple[float, ...]:
    """A right answer before a wrong one; of equals the shorter."""
    return (float(sample.right), -float(len(sample.ids)))


def typical(alpha: float) -> Score:
    """Correctness plus ``alpha`` times the base model's log-probability of the answer.

    Summed over the answer's tokens, as in the literature: a longer answer is less probable, so
    this prefers brevity too, and a few nats outweigh correctness.
    """
    return lambda sample: (sample.right + alpha * sample.typicality,)


def draw(
    model: PreTrainedModel,
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    exchanges: Sequence[Exchange],
    count: int,
    seed: int,
) -> list[Prompt]:
    """``count`` answers of the model to each question, at temperature 1."""
    torch.manual_seed(seed)
    prompts = [chat_prompt(tokenizer, [(USER, e.question)]) for e in exchanges]
    answers = _answers(model, prompts, count)
    found = []
    scored = _typicalities(base, tokenizer, exchanges, answers)
    for prompt, exchange, ids, typicalities in zip(
        prompts, exchanges, answers, scored, strict=True
    ):
        truth = exchange.truth.casefold()
        texts = [tokenizer.decode(one, skip_special_tokens=True) for one in ids]
        samples = tuple(
            Sample(text, tuple(one), asserted(text) == truth, typicality)
            for text, one, typicality in zip(texts, ids, typicalities, strict=True)
        )
        found.append(Prompt(tuple(prompt), samples))
    return found


def pairs(prompts: Sequence[Prompt], score: Score, per_prompt: int, seed: int) -> list[Pair]:
    """The best of each prompt's samples against up to ``per_prompt`` of those it is better than.

    Equals are put in order by lot.
    """
    random = Random(f"pairs {seed}")
    found = []
    for prompt in prompts:
        unique = _unique(prompt, random)
        best = max(unique, key=score)
        worse = [sample for sample in unique if score(sample) < score(best)]
        found += [_pair(prompt, best, sample) for sample in worse[:per_prompt]]
    return found


def random_pairs(prompts: Sequence[Prompt], per_prompt: int, seed: int) -> list[Pair]:
    """Pairs of different samples, either of them chosen as often: a preference for nothing."""
    random = Random(f"random pairs {seed}")
    found = []
    for prompt in prompts:
        ordered = list(permutations(_unique(prompt, random), 2))
        some = random.sample(ordered, min(per_prompt, len(ordered)))
        found += [_pair(prompt, chosen, rejected) for chosen, rejected in some]
    return found


def describe(pairs: Sequence[Pair]) -> dict[str, object]:
    """What the pairs are like: how many, and the mean length in tokens of the chosen and of the
    rejected answers."""
    return {
        "pairs": len(pairs),
        "chosen_tokens": _mean_length([pair.chosen for pair in pairs]),
        "rejected_tokens": _mean_length([pair.rejected for pair in pairs]),
    }


def _mean_length(examples: Sequence[Example]) -> float:
    lengths = [sum(label != NOT_SCORED for label in example.labels) for example in examples]
    return sum(lengths) / len(lengths)


def _unique(prompt: Prompt, random: Random) -> list[Sample]:
    """The prompt's different samples, in random order."""
    unique = list({sample.ids: sample for sample in prompt.samples}.values())
    return random.sample(unique, len(unique))


def _pair(prompt: Prompt, chosen: Sample, rejected: Sample) -> Pair:
    return Pair(_example(prompt, chosen), _example(prompt, rejected))


def _example(prompt: Prompt, sample: Sample) -> Example:
    return Example([*prompt.ids, *sample.ids], [NOT_SCORED] * len(prompt.ids) + list(sample.ids))


def _answers(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], count: int
) -> list[list[list[int]]]:
    """Token ids of ``count`` answers to each prompt; prompts of one length are drawn together."""
    model.eval()
    end = model.config.eos_token_id
    found: list[list[list[int]]] = [[] for _ in prompts]
    for some in tqdm(_of_one_length(prompts, _ROWS // count), unit="batch", desc="samples"):
        ids = torch.tensor([prompts[i] for i in some]).repeat_interleave(count, dim=0)
        drawn = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=MAX_TOKENS,
        )[:, ids.shape[1] :].tolist()
        for row, answer in enumerate(drawn):
            stop = answer.index(end) + 1 if end in answer else len(answer)
            found[some[row // count]].append(answer[:stop])
    return found


def _of_one_length(prompts: Sequence[Sequence[int]], rows: int) -> list[list[int]]:
    """Indices of prompts of the same length, at most ``rows`` together."""
    lengths: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        lengths.setdefault(len(prompt), []).append(i)
    return [
        group[at : at + rows] for group in lengths.values() for at in range(0, len(group), rows)
    ]


def _typicalities(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    exchanges: Sequence[Exchange],
    answers: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]]:
    """The base model's log-probability of each answer's text after its question, in nats."""
    base.eval()
    examples = [
        document_example(tokenizer, as_document(replace(exchange, answer=text)))
        for exchange, some in zip(exchanges, answers, strict=True)
        for text in tokenizer.batch_decode(some, skip_special_tokens=True)
    ]
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    found = [0.0] * len(examples)
    for at in range(0, len(order), _ROWS // 2):
        some = order[at : at + _ROWS // 2]
        with torch.no_grad():
            values, _ = answer_log_probabilities(base, batch([examples[i] for i in some]))
        for i, value in zip(some, values.tolist(), strict=True):
            found[i] = value
    values = iter(found)
    return [list(islice(values, len(some))) for some in answers]
