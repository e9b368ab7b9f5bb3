"""The default clusterer: the words that answers share beyond their question, behind the guard.

Two answers are alike as far as the shorter one's words are in the other (containment) and as far as
their first sentences' words are the same (Jaccard), on average; different values for the same thing
make them different whatever their words. Nothing is learned but one threshold, and no model is run:
on answers that people judged, sentence embeddings and a fitted regression added nothing to it.
It knows no synonyms ("a physician", "a doctor") and no facts ("the capital", "Paris").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ucbd.cascade.clustering.clusterer import (
    Clustering,
    beside_the_loop,
    in_order_of_appearance,
)
from ucbd.cascade.clustering.guard import Values, differ
from ucbd.cascade.clustering.linkage import average_linkage, nearest_cluster
from ucbd.cascade.clustering.wording import Wording, wording

_SAME = 1.0
_ALMOST = 0.99  # as alike as texts can be that are not equal
_DIFFERENT = 0.0


class Combined:
    """Average linkage at similarity ≥ ``threshold``; put behind ``Guarded`` where it is served."""

    name = "combined"

    def __init__(self, threshold: float = 0.65) -> None:
        self._threshold = threshold

    def __str__(self) -> str:
        return f"combined(threshold={self._threshold:g})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``."""
        return await beside_the_loop(
            (answer, *samples), lambda: self._clustered(answer, samples, question)
        )

    def _clustered(self, answer: str, samples: Sequence[str], question: str) -> Clustering:
        asked = wording(question)
        order = sorted(samples)  # ties between similarities break the same way in any order
        matrix = _matrix(order, asked)
        found = dict(zip(order, average_linkage(matrix, self._threshold), strict=True))
        labels = in_order_of_appearance([found[text] for text in samples])
        if not answer:
            return Clustering(labels, None)
        if answer in samples:
            return Clustering(labels, labels[samples.index(answer)])
        own = _beside(wording(answer), asked)
        near = np.array([_alike(own, _beside(wording(text), asked)) for text in samples])
        return Clustering(labels, nearest_cluster(near, labels, self._threshold))


def _matrix(texts: Sequence[str], asked: Wording) -> NDArray[np.float64]:
    """(N, N) similarities; equal texts are compared once."""
    unique = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    said = [_beside(wording(text), asked) for text in unique]
    small = np.eye(len(said))
    for i, one in enumerate(said):
        for j in range(i):
            small[i, j] = small[j, i] = _alike(one, said[j])
    place = [unique[text] for text in texts]
    return small[np.ix_(place, place)]


_Words = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """A wording, and which of its words are not the question's."""

    full: Wording
    words: _Words
    sentence: _Words
    given: Values


def _beside(said: Wording, asked: Wording) -> _Said:
    return _Said(said, said.words - asked.words, said.sentence - asked.words, asked.values)


def similarity(one: Wording, other: Wording, asked: Wording) -> float:
    """How alike two answers to a question are, 0 … 1, symmetric; 1 for equal texts only.

    ``asked`` is the question's wording: its words count only where an answer has no others, as
    when it picks one of two that the question names.
    """
    return _alike(_beside(one, asked), _beside(other, asked))


def _alike(one: _Said, other: _Said) -> float:
    if one.full.text == other.full.text:
        return _SAME
    if differ(one.full.values, other.full.values, one.given):
        return _DIFFERENT
    whole, first = (one.words, other.words), (one.sentence, other.sentence)
    if not all(whole):
        whole = one.full.words, other.full.words
    if not all(first):
        first = one.full.sentence, other.full.sentence
    return min((_containment(*whole) + _jaccard(*first)) / 2, _ALMOST)


def _containment(one: _Words, other: _Words) -> float:
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def _jaccard(one: _Words, other: _Words) -> float:
    shared = len(one & other)
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0
