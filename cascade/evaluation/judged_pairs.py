"""How well a clusterer tells pairs of answers that people judged: recall, wrong merges, precision.

From questions whose answers people marked right or wrong: two right answers to one question mean
the same, a right and a wrong one do not, and of two wrong ones nothing is known. People marked some
equal answers differently, so no clusterer reaches recall 1 at no wrong merges.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.evaluation.rates import Rate
from ucbd.cascade.evaluation.records import RecordsUnreadable, numbered_lines, parsed, read_records

_AT_ONCE = 64  # pairs; their texts share forward passes


class JudgedAnswer(BaseModel):
    """One system's answer, and whether people found it right."""

    model_config = ConfigDict(extra="ignore", strict=True)

    text: str
    correct: bool


class JudgedQuestion(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="ignore", strict=True)

    question: str
    answers: list[JudgedAnswer]


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two answers to one question, and whether they mean the same."""

    question: str
    one: str
    other: str
    same: bool


@dataclass(frozen=True, slots=True)
class Merges:
    """What a clusterer merged: ``recall`` of pairs that mean the same, ``wrong`` of the others."""

    recall: Rate
    wrong: Rate

    @property
    def precision(self) -> Rate:
        """The share of pairs that mean the same among those it merged."""
        return Rate(self.recall.hits, self.recall.hits + self.wrong.hits)


def read_pairs(path: Path) -> list[JudgedPair]:
    """The pairs of a ``.jsonl`` or ``.jsonl.gz`` file. Raises ``RecordsUnreadable``."""
    questions = [parsed(JudgedQuestion, path, *line) for line in numbered_lines(path)]
    pairs = [pair for question in questions for pair in _pairs(question)]
    if not pairs:
        raise RecordsUnreadable(f"{path}: holds no pair of answers with a right one among them")
    return pairs


async def merges(
    clusterer: Clusterer, pairs: Sequence[JudgedPair], told: Callable[[], object] = lambda: None
) -> Merges:
    """Ask a clusterer of every pair by itself; ``told`` is called after each."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def merged(pair: JudgedPair) -> bool:
        async with room:
            texts = [pair.one, pair.other]
            found = await clusterer.cluster(pair.one, texts, question=pair.question)
        told()
        return len(set(found.labels)) == 1

    found = await asyncio.gather(*map(merged, pairs))

    def rate(same: bool) -> Rate:
        of_kind = [hit for hit, pair in zip(found, pairs, strict=True) if pair.same is same]
        return Rate(sum(of_kind), len(of_kind))

    return Merges(rate(True), rate(False))


def read_samples(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Questions with their non-empty samples, of records. Raises ``RecordsUnreadable``."""
    found = [
        (record.prompt, texts)
        for record in read_records(path)
        if len(texts := tuple(s.text for s in record.samples or () if s.text.strip())) > 1
    ]
    if not found:
        raise RecordsUnreadable(f"{path}: holds no record with two samples")
    return found


async def merges_of_samples(
    clusterer: Clusterer,
    oracle: Clusterer,
    questions: Sequence[tuple[str, Sequence[str]]],
    told: Callable[[], object] = lambda: None,
) -> Merges:
    """Cluster all samples of each question, and count the pairs of samples it put together.

    ``oracle`` tells which mean the same.
    """
    hits, of_kind = {True: 0, False: 0}, {True: 0, False: 0}
    for question, texts in questions:
        values = (await oracle.cluster("", texts, question=question)).labels
        labels = (await clusterer.cluster("", texts, question=question)).labels
        told()
        for i, j in combinations(range(len(texts)), 2):
            same = values[i] == values[j]
            of_kind[same] += 1
            hits[same] += labels[i] == labels[j]
    return Merges(Rate(hits[True], of_kind[True]), Rate(hits[False], of_kind[False]))


def _pairs(question: JudgedQuestion) -> Iterator[JudgedPair]:
    answers = [answer for answer in question.answers if answer.text.strip()]
    for one, other in combinations(answers, 2):
        if one.correct or other.correct:
            same = one.correct and other.correct
            yield JudgedPair(question.question, one.text, other.text, same)
