"""How far a piece of evidence supports a sentence: by entailment, or by shared words.

Entailment needs a model that knows the language of the evidence. Where there is none, words do: a
name that no evidence has is unsupported, whatever was meant; words shared are not yet the same
claim. Neither knows whether the evidence is true.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ucbd.cascade.clustering.wording import content_words
from ucbd.models.nli import NliModel

_PREMISES = 8  # chunks a sentence is held against: those that share most words with it
_YES_OR_NO = frozenset(("yes", "no", "true", "false"))


class Support(Protocol):
    """Holds sentences of an answer against evidence. ``str()`` names it with its model.

    ``doubt`` is the share of supported answers that are wrong all the same, 0 … 1.
    """

    doubt: float

    async def of(
        self, question: str, sentences: Sequence[str], chunks: Sequence[str]
    ) -> list[float | None]:
        """For each sentence the support of the chunk that supports it most, 0 … 1.

        None for a sentence that this cannot be told of. Higher = MORE certain.
        """
        ...


class Wording:
    """The share of a sentence's words, beyond the question's, that one chunk has.

    A sentence of no words but the question's, or of yes and no alone, cannot be told.
    """

    doubt = 0.3  # 31 of 104 in docs/measurements/2026-11-24-grounding.md

    def __str__(self) -> str:
        return "wording"

    async def of(
        self, question: str, sentences: Sequence[str], chunks: Sequence[str]
    ) -> list[float | None]:
        """See ``Support``. In a thread: megabytes of evidence take a while to read."""
        return await asyncio.to_thread(_shared, question, sentences, chunks)


class Entailment:
    """The probability with which a chunk entails question and sentence together.

    Each sentence is held against the ``_PREMISES`` chunks that share most words with it and the
    question. What the evidence entails is taken for right.
    """

    doubt = 0.0

    def __init__(self, model: NliModel) -> None:
        self._model = model

    def __str__(self) -> str:
        return f"nli({self._model.name})"

    async def of(
        self, question: str, sentences: Sequence[str], chunks: Sequence[str]
    ) -> list[float | None]:
        """See ``Support``. All pairs in one batch. Raises as the model does."""
        near = await asyncio.to_thread(_nearest, question, sentences, chunks)
        judged = iter(
            await self._model.judge(
                [
                    (premise, f"{question} {sentence}".strip())
                    for sentence, premises in zip(sentences, near, strict=True)
                    for premise in premises
                ]
            )
        )
        return [max(next(judged).entailment for _ in premises) for premises in near]


def _shared(question: str, sentences: Sequence[str], chunks: Sequence[str]) -> list[float | None]:
    asked = content_words(question)
    read = [content_words(chunk) for chunk in chunks]
    found: list[float | None] = []
    for sentence in sentences:
        said = content_words(sentence) - asked - _YES_OR_NO
        found.append(max(len(said & words) for words in read) / len(said) if said else None)
    return found


def _nearest(question: str, sentences: Sequence[str], chunks: Sequence[str]) -> list[list[str]]:
    asked = content_words(question)
    read = [(content_words(chunk), chunk) for chunk in chunks]
    near = []
    for sentence in sentences:
        said = content_words(sentence) | asked
        ranked = sorted(read, key=lambda chunk: -len(said & chunk[0]))
        near.append([chunk for _, chunk in ranked[:_PREMISES]])
    return near
