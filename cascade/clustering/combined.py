"""The default clusterer: the words that answers share beyond their question, behind the guard.

Two answers are alike as far as the shorter one's words are in the other (containment) and as far as
their first sentences' words are the same (Jaccard), on average; different values for the same thing
make them different whatever their words. Nothing is learned but one threshold, and no model is run:
on answers that people judged, sentence embeddings and a fitted regression added nothing to it.
It knows no synonyms ("a physician", "a doctor") and no facts ("the capital", "Paris").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.cascade.clustering.guard import differ
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
        """See ``Clusterer``. Runs inline: ten samples take less than a thread switch."""
        asked = wording(question)
        order = sorted(samples)  # ties between similarities break the same way in any order
        matrix = _matrix(order, asked)
        found = dict(zip(order, average_linkage(matrix, self._threshold), strict=True))
        labels = in_order_of_appearance([found[text] for text in samples])
        if not answer:
            return Clustering(labels, None)
        if answer in samples:
            return Clustering(labels, labels[samples.index(answer)])
        near = np.array([similarity(wording(answer), wording(text), asked) for text in samples])
        return Clustering(labels, nearest_cluster(near, labels, self._threshold))


def _matrix(texts: Sequence[str], asked: Wording) -> NDArray[np.float64]:
    """(N, N) similarities; equal texts are compared once."""
    unique = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    said = [wording(text) for text in unique]
    small = np.eye(len(said))
    for i, one in enumerate(said):
        for j in range(i):
            small[i, j] = small[j, i] = similarity(one, said[j], asked)
    place = [unique[text] for text in texts]
    return small[np.ix_(place, place)]


def similarity(one: Wording, other: Wording, asked: Wording) -> float:
    """How alike two answers to a question are, 0 … 1, symmetric; 1 for equal texts only.

    ``asked`` is the question's wording: its words count only where an answer has no others, as
    when it picks one of two that the question names.
    """
    if one.text == other.text:
        return _SAME
    if differ(one.values, other.values, asked.values):
        return _DIFFERENT
    whole = _beyond(one.words, other.words, asked.words)
    first = _beyond(one.sentence, other.sentence, asked.words)
    return min((_containment(*whole) + _jaccard(*first)) / 2, _ALMOST)


_Words = frozenset[str]


def _beyond(one: _Words, other: _Words, asked: _Words) -> tuple[_Words, _Words]:
    """Both without the question's words, unless that leaves one of them without any."""
    if one <= asked or other <= asked:
        return one, other
    return one - asked, other - asked


def _containment(one: _Words, other: _Words) -> float:
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def _jaccard(one: _Words, other: _Words) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 0.0
