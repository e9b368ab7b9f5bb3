"""B5, grounding: is the answer supported by evidence, sent with the request or retrieved?

Costs what holding sentences against chunks costs (``ucbd.cascade.support``), and no token. It does
not know whether the evidence is true, complete or about the question: an answer without support may
be right, and one with support is as right as the evidence.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from ucbd.cascade.case import Ahead, Case, Finding, Measured, OutOfScope, Question, Unavailable
from ucbd.cascade.clustering.wording import sentences
from ucbd.cascade.outcome import Action
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.support import Support

_WORDS = 120  # of a chunk: within the context of a small cross-encoder
_OVERLAP = 30  # words that two neighbours share, so that no sentence is only ever cut
_CHUNKS = 4096  # read at most; a megabyte is about two thousand
_SENTENCES = 32


class Retriever(Protocol):
    """Finds evidence for a question."""

    async def retrieve(self, question: str) -> list[str]:
        """Passages, best first. Raises ``GatewayError`` when they cannot be had."""
        ...


class Grounding:
    """1 − the mean, over the answer's sentences, of the best chunk's support (method.md, B5).

    0 … 1, higher = less certain. The uncertainty begins at the support's ``doubt``.
    """

    name = "grounding"
    action: Action = "retrieve"

    def __init__(self, support: Support, retriever: Retriever | None = None) -> None:
        self._support = support
        self._retriever = retriever

    @property
    def ahead(self) -> Ahead | None:
        """See ``Ahead``: only where something can be retrieved is there work to begin."""
        return self._evidence if self._retriever else None

    async def _evidence(self, question: Question) -> Sequence[str]:
        """What came with the request, or what is retrieved for it."""
        if question.evidence or self._retriever is None or not question.text:
            return question.evidence
        return await self._retriever.retrieve(question.text)

    async def assess(self, case: Case) -> Finding:
        """``Unavailable`` without evidence, or where support cannot be told of any sentence."""
        evidence = await case.prepared(self._evidence)
        if not any(text.strip() for text in evidence):
            return Unavailable("there is no evidence to hold the answer against")
        if case.scope.answer:
            return OutOfScope(case.scope.answer)
        answer = final_answer(case.answer.text)
        score = await case.ledger.wait(
            unsupported(case.question.text, answer, evidence, self._support)
        )
        if score is None:
            return Unavailable("the answer has no words but the question's, or a yes or no")
        doubt = self._support.doubt
        return Measured(f"grounding({self._support})", score, doubt + (1 - doubt) * score)


async def unsupported(
    question: str, answer: str, evidence: Sequence[str], support: Support
) -> float | None:
    """1 − the mean support of an answer's sentences, 0 … 1, higher = less certain.

    None where support can be told of no sentence.
    """
    parts = await asyncio.to_thread(lambda: list(chunks(evidence)))
    found = await support.of(question, sentences(answer)[:_SENTENCES], parts)
    known = [value for value in found if value is not None]
    return 1 - sum(known) / len(known) if known else None


def chunks(evidence: Sequence[str]) -> Iterator[str]:
    """Paragraphs of at most ``_WORDS`` words, longer ones in overlapping windows; bounded."""
    left = _CHUNKS
    for paragraph in (line for text in evidence for line in text.split("\n\n")):
        words = paragraph.split()
        for start in range(0, max(1, len(words) - _OVERLAP), _WORDS - _OVERLAP):
            if not words or left == 0:
                break
            yield " ".join(words[start : start + _WORDS])
            left -= 1
