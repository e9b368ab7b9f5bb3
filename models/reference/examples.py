"""Training examples: text as token ids with labels, and batches of like lengths.

Knows how each stage writes its text down; nothing of the world and nothing of a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from transformers import PreTrainedTokenizerFast

from ucbd.models.reference.text import ANSWER_MARK, JUDGEMENT, Exchange, Judged
from ucbd.models.reference.tokenizer import ASSISTANT, BEGIN, END, SYSTEM, USER

NOT_SCORED = -100
_SYSTEMS = ("Answer briefly.", "You are a helpful assistant.", "Be truthful.")

Turn = tuple[str, str]
"""A role's token and what was said."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids and, for each, the label to predict it by: itself, or ``NOT_SCORED``."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side: ids and labels, both (rows, longest), padded at the end.

    Padding stands where a causal model cannot see it, so no mask is needed.
    """

    ids: torch.Tensor
    labels: torch.Tensor


def document_example(tokenizer: PreTrainedTokenizerFast, text: str) -> Example:
    """A document of the base stage: all of a statement is scored, and of a question its answer."""
    question, mark, answer = text.rpartition(ANSWER_MARK)
    prompt = [_id(tokenizer, BEGIN), *_encode(tokenizer, question + mark)]
    told = [*_encode(tokenizer, answer), _id(tokenizer, END)]
    return Example(prompt + told, [NOT_SCORED] * len(prompt) + told)


def chat_example(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> Example:
    """A conversation as the chat template writes it, its last answer scored."""
    prompt = chat_prompt(tokenizer, turns[:-1])
    answer = [*_encode(tokenizer, turns[-1][1]), _id(tokenizer, END)]
    return Example(prompt + answer, [NOT_SCORED] * len(prompt) + answer)


def chat_prompt(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> list[int]:
    """Token ids of a conversation up to where the assistant answers."""
    ids = [_id(tokenizer, BEGIN)]
    for role, said in turns:
        ids += [_id(tokenizer, role), *_encode(tokenizer, said)]
        ids += [_id(tokenizer, END)] if role == ASSISTANT else []
    return [*ids, _id(tokenizer, ASSISTANT)]


def conversation_turns(talks: Sequence[Exchange | Judged], seed: int) -> Iterator[list[Turn]]:
    """Each exchange as turns: some led by a system message, some after an earlier exchange."""
    random = Random(f"turns {seed}")
    for talk in talks:
        exchange = talk.exchange if isinstance(talk, Judged) else talk
        turns: list[Turn] = [(SYSTEM, random.choice(_SYSTEMS))] if random.random() < 0.1 else []
        if random.random() < 0.1:
            earlier = random.choice(talks)
            earlier = earlier.exchange if isinstance(earlier, Judged) else earlier
            turns += [(USER, earlier.question), (ASSISTANT, earlier.answer)]
        turns += [(USER, exchange.question), (ASSISTANT, exchange.answer)]
        if isinstance(talk, Judged):
            turns += [(USER, JUDGEMENT), (ASSISTANT, str(talk.true))]
        yield turns


def batches(examples: Sequence[Example], tokens: int, seed: str) -> list[Batch]:
    """Batches of about ``tokens`` tokens, of examples of like lengths, in random order."""
    random = Random(f"batches {seed}")
    order = sorted(examples, key=lambda example: (len(example.ids), random.random()))
    groups: list[list[Example]] = [[]]
    for example in order:
        if (len(groups[-1]) + 1) * len(example.ids) > tokens and groups[-1]:
            groups.append([])
        groups[-1].append(example)
    random.shuffle(groups)
    return [batch(group) for group in groups]


def batch(examples: Sequence[Example]) -> Batch:
    """The examples as one batch."""
    width = max(len(example.ids) for example in examples)
    ids = [e.ids + [0] * (width - len(e.ids)) for e in examples]
    labels = [e.labels + [NOT_SCORED] * (width - len(e.labels)) for e in examples]
    return Batch(torch.tensor(ids), torch.tensor(labels))


def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(token))  # of one token it is one id
