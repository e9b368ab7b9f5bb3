"""Average linkage over any similarity: how pairs become clusters, and which is the answer's own.

Knows similarities, not texts. The answer is placed after the samples: it never merges two clusters.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ucbd.cascade.clustering.clusterer import in_order_of_appearance

_SLACK = 1e-9  # scipy cuts at distance <= t; this keeps a similarity of exactly the threshold in


def average_linkage(similarity: NDArray[np.floating], threshold: float) -> tuple[int, ...]:
    """Labels of N samples from their (N, N) similarities, 1 = the same."""
    if len(similarity) == 1:
        return (0,)
    distance = np.clip(1 - similarity.astype(np.float64), 0, None)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    flat = fcluster(tree, t=1 - threshold + _SLACK, criterion="distance")
    return in_order_of_appearance(flat.tolist())


def nearest_cluster(
    similarity: NDArray[np.floating], labels: tuple[int, ...], threshold: float
) -> int | None:
    """The cluster nearest on average to an answer of (N,) similarities, if it is near enough."""
    groups = np.asarray(labels)
    nearness = [float(similarity[groups == label].mean()) for label in range(max(labels) + 1)]
    best = int(np.argmax(nearness))
    return best if nearness[best] >= threshold else None
