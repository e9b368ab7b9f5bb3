"""How much two signals say the same: Pearson's r and mutual information.

Mutual information sees any relation, r a straight one. Knows no label: two signals can be
independent and both useless.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ucbd.cascade.evaluation.ranking import Floats

ESTIMATOR = (
    "plug-in over at most 8 x 8 equal-mass bins (fewer below 320 records; equal values share a "
    "bin), Miller-Madow corrected, not below 0"
)
MOST_BINS = 8
_PER_CELL = 5  # records expected in a cell of the table, at least


@dataclass(frozen=True, slots=True)
class Dependence:
    """Of two signals over ``n`` records; ``mutual_information`` in bits, 0 … 3.

    Both are None where a signal does not vary or there are fewer than 3 records: nothing can be
    said of a constant.
    """

    r: float | None
    mutual_information: float | None
    n: int


def dependence(one: ArrayLike, other: ArrayLike) -> Dependence:
    """Dependence of two signals, over the records that have both (NaN = has not).

    Raises:
        ValueError: different lengths.
    """
    first, second = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"signals of shapes {first.shape} and {second.shape}")
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Dependence(None, None, len(first))
    return Dependence(_pearson(first, second), mutual_information(first, second), len(first))


def mutual_information(one: Floats, other: Floats) -> float:
    """In bits; by ``ESTIMATOR``.

    The plug-in estimate of n records over K₁ x K₂ cells is too large by about
    ``(K₁₂ - K₁ - K₂ + 1) / 2n`` nats (K₁₂, K₁, K₂: cells in use; Miller 1955), which is taken off.
    """
    n = len(one)
    bins = max(2, min(MOST_BINS, int(np.sqrt(n / _PER_CELL))))
    first, second = equal_mass_bins(one, bins), equal_mass_bins(other, bins)
    cells = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(cells, (first, second), 1)
    joint, rows, columns = cells / n, cells.sum(axis=1) / n, cells.sum(axis=0) / n
    used = joint > 0
    nats = float(np.sum(joint[used] * np.log(joint[used] / np.outer(rows, columns)[used])))
    excess = used.sum() - (rows > 0).sum() - (columns > 0).sum() + 1
    return max(0.0, (nats - float(excess) / (2 * n)) / math.log(2))


def equal_mass_bins(values: Floats, bins: int) -> NDArray[np.int64]:
    """Bin of each value, 0 … bins - 1 by mid-rank: about equally many each, equal values together.

    Bins that no value falls into are left unused.
    """
    _, tie, size = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(size) - size / 2  # rank of the middle of each tie
    found: NDArray[np.int64] = np.minimum(middle / len(values) * bins, bins - 1).astype(np.int64)
    return found[tie]


def _pearson(one: Floats, other: Floats) -> float | None:
    a, b = one - one.mean(), other - other.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else None
