"""How many clusters there would be with another threshold or with fewer samples.

Clusters again what was sampled once: the first n samples are n samples too. Knows no record.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.models.embedder import Embedder

SIZES = (3, 5, 7, 10)
"""The numbers of samples of method.md section 5."""

THRESHOLDS: Mapping[str, tuple[float, ...]] = {
    "jaccard": (0.3, 0.4, 0.5, 0.6),
    "embedding": (0.80, 0.85, 0.90),
}
DEFAULTS: Mapping[str, float] = {"jaccard": 0.4, "embedding": 0.85}


def column(clusterer: str, threshold: float | None = None, n: int | None = None) -> str:
    """Name of the column that counts clusters by that threshold, or of the first n samples."""
    what = f"threshold={threshold:g}" if n is None else f"n={n}"
    return f"clusters:{clusterer}({what})"


SECOND = (0.6, 0.7, 0.8, 0.85, 0.9)
"""Thresholds of a second embedder: another make has its cosines elsewhere."""


def second_name(embedder: Embedder) -> str:
    """What the clusterer by a second embedder is called."""
    return f"embedding:{embedder.name}"


def second_variants(embedder: Embedder) -> dict[str, tuple[Clusterer, int | None]]:
    """Every threshold of a second embedder, as ``variants``."""
    name = second_name(embedder)
    return {column(name, t): (Embedding(embedder, threshold=t), None) for t in SECOND}


def variants(embedder: Embedder | None) -> dict[str, tuple[Clusterer, int | None]]:
    """Every variant's column, clusterer and number of samples (None for all of them).

    Those by ``embedding`` only where there is an embedder.
    """
    makers = {"jaccard": Jaccard}
    if embedder is not None:
        makers["embedding"] = partial(Embedding, embedder)  # type: ignore[assignment]
    found: dict[str, tuple[Clusterer, int | None]] = {}
    for name, make in makers.items():
        for threshold in THRESHOLDS[name]:
            found[column(name, threshold)] = make(threshold=threshold), None
        for n in SIZES:
            found[column(name, n=n)] = make(threshold=DEFAULTS[name]), n
    return found


async def count(
    found: Mapping[str, tuple[Clusterer, int | None]], samples: Sequence[str]
) -> dict[str, float]:
    """Clusters of one question's non-empty samples by every variant.

    NaN below two samples, and below the number that the variant asks for.
    """
    counts = {}
    for name, (clusterer, n) in found.items():
        enough = len(samples) >= max(2, n or 2)
        clustering = await clusterer.cluster("", samples[:n]) if enough else None
        counts[name] = float(len(set(clustering.labels))) if clustering else float("nan")
    return counts
