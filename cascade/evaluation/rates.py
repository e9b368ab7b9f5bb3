"""Shares with their intervals, and what single clusters say of right and wrong.

The rates of method.md section 1: single-cluster rate, P(wrong | one cluster), P(wrong | several)
and blind mass. Knows counts of clusters, not how they were found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n``; ``value`` and ``interval`` (Wilson, 95 %) are None when ``n`` is 0."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share, 0 … 1."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return wilson(self.hits, self.n) if self.n else None


@dataclass(frozen=True, slots=True)
class Clustered:
    """One question by one clusterer: its samples' clusters, and whether the answer was wrong.

    ``semantic_entropy`` is discrete, in nats. ``wrong`` is None without a label.
    """

    clusters: int
    semantic_entropy: float
    wrong: bool | None


@dataclass(frozen=True, slots=True)
class Homogenization:
    """What one clusterer says of many questions (method.md section 1).

    ``single`` is the single-cluster rate over all of them. The other three are over those with a
    label: P(wrong | one cluster), P(wrong | several), and blind mass = P(one cluster | wrong), the
    errors that no sampling score can flag. Means are None without questions.
    """

    single: Rate
    mean_clusters: float | None
    mean_semantic_entropy: float | None
    wrong_given_one: Rate
    wrong_given_several: Rate
    blind_mass: Rate


def wilson(hits: float, n: float) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score, within [0, 1] (Wilson 1927).

    Of weighted observations ``n`` is how many they are worth, and need be no whole number.

    Raises:
        ValueError: ``n`` is not positive, or ``hits`` is not within 0 … n.
    """
    if not 0 <= hits <= n or n <= 0:
        raise ValueError(f"{hits} of {n} is no share")
    share, z2 = hits / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At 0 and n the bound is exact; the subtraction leaves a rounding error there.
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == n else middle + half
    return low, high


def homogenization(questions: Sequence[Clustered]) -> Homogenization:
    """The rates of questions that were clustered from at least 2 usable samples each.

    Those with fewer are left out by the caller: one sample is no agreement.
    """
    one = [q for q in questions if q.clusters == 1]
    several = [q for q in questions if q.clusters > 1]
    wrong_one = sum(q.wrong is True for q in one)
    wrong_several = sum(q.wrong is True for q in several)
    return Homogenization(
        single=Rate(len(one), len(questions)),
        mean_clusters=_mean([q.clusters for q in questions]),
        mean_semantic_entropy=_mean([q.semantic_entropy for q in questions]),
        wrong_given_one=Rate(wrong_one, _labelled(one)),
        wrong_given_several=Rate(wrong_several, _labelled(several)),
        blind_mass=Rate(wrong_one, wrong_one + wrong_several),
    )


def _labelled(questions: Sequence[Clustered]) -> int:
    return sum(q.wrong is not None for q in questions)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
