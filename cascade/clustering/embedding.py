"""Clustering by sentence embeddings: sees through paraphrase, and through some differences too.

A cosine says how alike two sentences are, not whether they state the same value: "born in 1931"
and "born in 1932" are close. That is the price of the paper's second clusterer, served as it is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.models.embedder import Embedder


class Embedding:
    """Average-linkage agglomeration at cosine ≥ ``threshold`` (method.md section 2)."""

    name = "embedding"

    def __init__(self, embedder: Embedder, threshold: float = 0.85) -> None:
        self._embedder = embedder
        self._threshold = threshold

    def __str__(self) -> str:
        return f"embedding({self._embedder.name},threshold={self._threshold:g})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. Equal texts are embedded once."""
        unique = list(dict.fromkeys((answer, *samples)))
        vectors = dict(zip(unique, await self._embedder.embed(unique), strict=True))
        matrix = np.stack([vectors[text] for text in samples])
        labels = self._link(matrix @ matrix.T)
        return Clustering(labels, self._home(answer, vectors[answer], samples, matrix, labels))

    def _link(self, cosine: NDArray[np.float32]) -> tuple[int, ...]:
        """Labels of N samples from their (N, N) cosines."""
        if len(cosine) == 1:
            return (0,)
        distance = np.clip(1 - cosine.astype(np.float64), 0, None)
        np.fill_diagonal(distance, 0)
        tree = linkage(squareform(distance, checks=False), method="average")
        # scipy cuts at distance <= t; the small slack keeps cosines of exactly the threshold in.
        flat = fcluster(tree, t=1 - self._threshold + 1e-9, criterion="distance")
        return in_order_of_appearance(flat.tolist())

    def _home(
        self,
        answer: str,
        vector: NDArray[np.float32],
        samples: Sequence[str],
        matrix: NDArray[np.float32],
        labels: tuple[int, ...],
    ) -> int | None:
        """Cluster of the same text, else the one nearest on average, if that is near enough."""
        if not answer:
            return None
        if answer in samples:
            return labels[samples.index(answer)]
        cosine = matrix @ vector
        groups = np.asarray(labels)
        nearness = [float(cosine[groups == label].mean()) for label in range(max(labels) + 1)]
        best = int(np.argmax(nearness))
        return best if nearness[best] >= self._threshold else None
