"""How scores and clusters are spread: histograms of right and wrong answers, clusters per question.

Counts only; what they say of a signal is for its AUROC.
"""

from typing import Any

import numpy as np

from ucbd.cascade.evaluation.ranking import Floats
from ucbd.cascade.evaluation.svg import ticks_to
from ucbd.cascade.evaluation.tally import Partitions, Tally

BINS = 24
ENTROPIES = ("mean_token_entropy", "semantic_entropy")
"""The signals that have a histogram, in nats."""


def histograms(tally: Tally) -> dict[str, Any]:
    """Labelled answers by their entropy, right and wrong apart; without a signal that none has."""
    found = {}
    for name in ENTROPIES:
        column = tally.column(name)
        known = ~np.isnan(column) & ~np.isnan(tally.right)
        if known.any():
            found[name] = _histogram(column[known], tally.right[known])
    return found


def cluster_counts(found: Partitions, n: int) -> list[int]:
    """How many questions fell into 1, 2, … clusters, of those with two usable samples."""
    usable = found.samples(n) > 1
    counts = found.counts(n)[usable].astype(np.int64)
    return np.bincount(counts)[1:].tolist() if len(counts) else []


def _histogram(values: Floats, right: Floats) -> dict[str, Any]:
    """``BINS`` bins of equal width from 0 to a round number; the last includes its upper edge."""
    highest = float(values.max())
    edges = np.linspace(0, ticks_to(highest)[-1] if highest > 0 else 1.0, BINS + 1)
    return {
        "unit": "nats",
        "edges": [round(float(edge), 9) for edge in edges],
        "right": _counts(values[right == 1], edges),
        "wrong": _counts(values[right == 0], edges),
    }


def _counts(values: Floats, edges: Floats) -> list[int]:
    return [int(count) for count in np.histogram(np.minimum(values, edges[-1]), edges)[0]]
