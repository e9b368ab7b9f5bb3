"""Two models on the same questions: is the shift of the single-cluster rate more than chance?

McNemar's test in its exact form, an interval of the difference, and the smallest difference that so
many questions could have told. Knows counts only. Sampling makes a question's one cluster a matter
of chance too; that noise is in the discordant pairs, and so in all three.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binom

from ucbd.cascade.evaluation.rates import Z

Z_POWER = 0.8416212335729143
"""The normal quantile of a power of 80 %."""


@dataclass(frozen=True, slots=True)
class Paired:
    """``n`` questions: one cluster in ``both``, ``only_before``, ``only_after``, or neither."""

    n: int
    both: int
    only_before: int
    only_after: int

    @property
    def shift(self) -> float:
        """Rate after minus rate before, −1 … 1; positive is more homogeneous."""
        return (self.only_after - self.only_before) / self.n

    @property
    def p(self) -> float:
        """Two-sided exact McNemar test (McNemar 1947): 1 without a discordant pair."""
        discordant = self.only_before + self.only_after
        if not discordant:
            return 1.0
        fewer = min(self.only_before, self.only_after)
        return min(1.0, 2 * float(binom.cdf(fewer, discordant, 0.5)))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the shift: Wald's with half a pair added to each of the four cells.

        Agresti and Min 2005 (Statistics in Medicine 24, 729), which keeps its level in small n.
        """
        n = self.n + 2
        shift, discordant = self.shift * self.n / n, (self.only_before + self.only_after + 1) / n
        half = Z * math.sqrt(max(discordant - shift * shift, 0.0) / n)
        return max(-1.0, shift - half), min(1.0, shift + half)

    @property
    def detectable(self) -> float:
        """The smallest shift that this test finds with a power of 80 % at 5 %, 0 … 1.

        For so many pairs, at the share of discordant ones that was seen (half a pair more in each
        cell, so that none seen does not read as none possible): the fixed point of
        ``δ = (z_α √ψ + z_β √(ψ − δ²)) / √n`` (Connor 1987, Biometrics 43, 207).
        """
        share = (self.only_before + self.only_after + 1) / (self.n + 2)
        found = 0.0
        for _ in range(100):
            spread = math.sqrt(max(share - found * found, 0.0))
            found = (Z * math.sqrt(share) + Z_POWER * spread) / math.sqrt(self.n)
        return min(1.0, found)


def paired(before: Sequence[bool], after: Sequence[bool]) -> Paired:
    """The counts of questions asked of both, in the same order.

    Raises:
        ValueError: none, or of different number.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} and {len(after)} questions are no pairs")
    pairs = list(zip(before, after, strict=True))
    return Paired(
        len(pairs),
        pairs.count((True, True)),
        pairs.count((True, False)),
        pairs.count((False, True)),
    )
