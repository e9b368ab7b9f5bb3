"""Clustering by sentence embeddings: sees through paraphrase, and through some differences too.

A cosine says how alike two sentences are, not whether they state the same value: "born in 1931"
and "born in 1932" are close. That is the price of the paper's second clusterer, served as it is.
"""

from collections.abc import Sequence

import numpy as np

from ucbd.cascade.clustering.clusterer import Clustering
from ucbd.cascade.clustering.linkage import average_linkage, nearest_cluster
from ucbd.models.embedder import Embedder


class Embedding:
    """Average-linkage agglomeration at cosine ≥ ``threshold`` (method.md section 2)."""

    name = "embedding"

    def __init__(self, embedder: Embedder, threshold: float = 0.85) -> None:
        self.embedder = embedder
        self._threshold = threshold

    def __str__(self) -> str:
        return f"embedding({self.embedder.name},threshold={self._threshold:g})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. Equal texts are embedded once."""
        unique = list(dict.fromkeys((answer, *samples)))
        vectors = dict(zip(unique, await self.embedder.embed(unique), strict=True))
        matrix = np.stack([vectors[text] for text in samples])
        labels = average_linkage(matrix @ matrix.T, self._threshold)
        if not answer:
            return Clustering(labels, None)
        if answer in samples:
            return Clustering(labels, labels[samples.index(answer)])
        home = nearest_cluster(matrix @ vectors[answer], labels, self._threshold)
        return Clustering(labels, home)
