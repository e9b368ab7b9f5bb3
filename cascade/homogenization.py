"""The single-cluster rate of traffic, from weighted draws of it (method.md section 7).

Each draw weighs w = 1/p, p being the probability with which it was drawn, and says whether all its
samples fell into one cluster. Knows sums of weights: neither requests nor how they were drawn, so
that sums over any window and any number of replicas give a rate by adding them up. The recording
rules (deploy/prometheus/) are this arithmetic in PromQL.
"""

from dataclasses import dataclass
from functools import cached_property

from ucbd.cascade.evaluation.rates import wilson

FEW = 10
"""Draws of either kind below which a rate is said to rest on too few."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Sums over draws of w, w·y, w² and w²·y, where y is 1 for one cluster and else 0.

    ``lost`` is the weight of draws that yielded no clusters.
    """

    weight: float = 0.0
    single_weight: float = 0.0
    weight_squared: float = 0.0
    single_weight_squared: float = 0.0
    lost: float = 0.0

    def __add__(self, other: "Draws") -> "Draws":
        return Draws(
            self.weight + other.weight,
            self.single_weight + other.single_weight,
            self.weight_squared + other.weight_squared,
            self.single_weight_squared + other.single_weight_squared,
            self.lost + other.lost,
        )


def drawn(weight: float, *, single: bool) -> Draws:
    """One draw of that weight."""
    squared = weight * weight
    return Draws(weight, weight * single, squared, squared * single)


def lost(weight: float) -> Draws:
    """One draw of that weight that yielded no clusters."""
    return Draws(lost=weight)


@dataclass(frozen=True)
class SingleClusterRate:
    """The rate in draws, with what it is worth. Without any weight nothing is known: all None."""

    draws: Draws

    @property
    def value(self) -> float | None:
        """``Σwy / Σw``, 0 … 1."""
        return self.draws.single_weight / self.draws.weight if self.draws.weight else None

    @property
    def variance(self) -> float | None:
        """``[(1 − 2p)·Σw²y + p²·Σw²] / (Σw)²``, of the rate as a ratio of two sums."""
        p, d = self.value, self.draws
        if p is None:
            return None
        return ((1 - 2 * p) * d.single_weight_squared + p * p * d.weight_squared) / d.weight**2

    @cached_property
    def effective(self) -> float | None:
        """How many equally weighted draws would say as much."""
        p, variance, d = self.value, self.variance, self.draws
        if p is None or variance is None:
            return None
        if 0 < p < 1 and variance > 0:
            return p * (1 - p) / variance
        return d.weight**2 / d.weight_squared

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval: Wilson's, of as many draws as ``effective``."""
        p, n = self.value, self.effective
        return None if p is None or n is None else wilson(p * n, n)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """That interval whatever the lost draws were: none of them single, or all of them."""
        if self.interval is None:
            return None
        low, high = self.interval
        share = self.draws.weight / (self.draws.weight + self.draws.lost)
        return low * share, high * share + (1 - share)

    @property
    def observed(self) -> tuple[float, float]:
        """Draws with one cluster and with several, each as the equally weighted ones it is worth.

        ``(Σw)² / Σw²`` of either kind (Kish 1965): never more than were drawn.
        """
        d = self.draws
        several = d.weight - d.single_weight
        several_squared = d.weight_squared - d.single_weight_squared
        return (
            _worth(d.single_weight, d.single_weight_squared),
            _worth(several, several_squared),
        )

    @property
    def too_few(self) -> bool:
        """Whether fewer than ``FEW`` of either kind were observed."""
        return min(self.observed) < FEW


def _worth(weight: float, squared: float) -> float:
    return weight * weight / squared if squared > 0 else 0.0
