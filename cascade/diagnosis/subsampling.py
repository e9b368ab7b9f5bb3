"""The single-cluster rate with fewer samples than were drawn, exactly: nothing is drawn again.

Every choice of n among a question's N samples is equally likely, so the probability that all n lie
in one of its clusters is a count (hypergeometric), and its mean over questions an unbiased estimate
(a U-statistic) of the rate at n *by the partition of all N*. Knows sizes of clusters, no text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ucbd.cascade.evaluation.rates import wilson


@dataclass(frozen=True, slots=True)
class MeanShare:
    """A mean of shares over ``n`` questions, 0 … 1, with its 95 % interval."""

    value: float
    interval: tuple[float, float]
    n: int


def single_with(sizes: Sequence[int], n: int) -> float:
    """P(n of the samples, chosen at random, are all in one cluster), 0 … 1; ``sizes`` of clusters.

    Raises:
        ValueError: fewer samples than ``n``, or ``n`` below 2.
    """
    total = sum(sizes)
    if not 2 <= n <= total:
        raise ValueError(f"{n} of {total} samples cannot be compared")
    return sum(math.comb(size, n) for size in sizes) / math.comb(total, n)


def mean_share(shares: Sequence[float]) -> MeanShare:
    """Mean of shares with Wilson's interval at the effective n, ``p(1 − p) / (s²/n)``.

    Shares of 0 and 1 alone are a plain rate: the interval is then Wilson's own. Where every share
    is the same, n stands in for the effective n, which has none.

    Raises:
        ValueError: no shares.
    """
    n = len(shares)
    if not n:
        raise ValueError("a mean of no shares")
    mean = math.fsum(shares) / n
    variance = math.fsum((share - mean) ** 2 for share in shares) / n / n
    effective = mean * (1 - mean) / variance if variance > 0 else float(n)
    return MeanShare(mean, wilson(mean * effective, effective), n)
