"""Clustering by shared wording: word-bigram overlap, microseconds, no model.

Sees form only: two phrasings of one fact are two clusters unless they share wording.
"""

from collections.abc import Sequence
from itertools import pairwise

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance


class Jaccard:
    """Connected components over bigram Jaccard similarity ≥ ``threshold`` (method.md section 2)."""

    name = "jaccard"

    def __init__(self, threshold: float = 0.4) -> None:
        self._threshold = threshold

    def __str__(self) -> str:
        return f"jaccard(threshold={self._threshold:g})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. Runs inline: it is shorter than a thread switch."""
        grams = [bigrams(text) for text in samples]
        labels = list(range(len(grams)))
        for i, one in enumerate(grams):
            for j in range(i):
                if labels[i] != labels[j] and similarity(one, grams[j]) >= self._threshold:
                    labels = [labels[i] if label == labels[j] else label for label in labels]
        ordered = in_order_of_appearance(labels)
        return Clustering(ordered, self._home(bigrams(answer), grams, ordered))

    def _home(
        self, answer: frozenset[object], grams: Sequence[frozenset[object]], labels: Sequence[int]
    ) -> int | None:
        """Label of the sample most like the answer, if it is like enough."""
        alike = [similarity(answer, gram) for gram in grams]
        best = max(range(len(grams)), key=alike.__getitem__)
        return labels[best] if alike[best] >= self._threshold else None


def bigrams(text: str) -> frozenset[object]:
    """Word bigrams of the lower-cased text; a single word is its own element; empty for none."""
    words = text.lower().split()
    return frozenset(words if len(words) == 1 else pairwise(words))


def similarity(one: frozenset[object], other: frozenset[object]) -> float:
    """``|A∩B| / |A∪B|``, 0 … 1; 0 when both are empty, since nothing was said."""
    shared = len(one & other)
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0
