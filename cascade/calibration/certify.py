"""Learn-then-Test along one path: which thresholds hold an error rate, with stated confidence.

A threshold t answers what has P(wrong) ≤ t. Of the n answers it gives on held-out records, k are
wrong; the hypothesis "its selective risk exceeds α" is rejected by the exact binomial p-value, and
many thresholds are tested so that the probability of any false rejection is at most δ (Angelopoulos
et al. 2021, arXiv 2110.01052; method.md section 6). Which thresholds are tested, in which order and
from where, must be fixed before the labels of these records are looked at. Knows no stage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mapie.risk_control import FWERProcedure, control_fwer
from numpy.typing import NDArray
from scipy.stats import binom

from ucbd.cascade.evaluation.ranking import Floats, Mask

STARTS = (0.1, 0.2, 0.3, 0.4)
"""Coverages at which a sequence of tests may begin (method.md section 6)."""

_POWER = 0.9
"""How often a test should pass that the needed records are counted for."""


@dataclass(frozen=True, slots=True)
class Path:
    """The thresholds to be tested, strictest first, and where testing may begin (their places).

    Made from other records than those it is tested on.
    """

    thresholds: tuple[float, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tested:
    """A threshold on held-out records: it answers ``answered`` of them, ``wrong`` wrongly."""

    threshold: float
    records: int
    answered: int
    wrong: int

    @property
    def coverage(self) -> float:
        """Share answered, 0 … 1."""
        return self.answered / self.records

    @property
    def likely_risk(self) -> float:
        """The error rate that k wrong of n suggest, (k + ½)/(n + 1): of few, k/n says little."""
        return (self.wrong + 0.5) / (self.answered + 1)


def p_value(wrong: int, answered: int, alpha: float) -> float:
    """Of "the risk exceeds α", for k wrong of n: ``P(Bin(n, α) ≤ k)``; 1 without an answer.

    The loss is binary, so the Hoeffding term of method.md's p-value never is the smaller one
    (it is Chernoff's bound on this probability), and Bentkus's has κ = 1.
    """
    return float(binom.cdf(wrong, answered, alpha)) if answered else 1.0


def fewest_answers(alpha: float, delta: float) -> int:
    """How many answers without any error it takes to certify α at δ: ``⌈ln δ / ln(1 − α)⌉``."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def path(scores: Floats, wrong: Mask, alpha: float, delta: float, records: int) -> Path:
    """Thresholds at every hundredth of coverage, and the starts that are likely to pass.

    ``scores`` (n,) are P(wrong) of the fit split, NaN or infinite where nothing can be answered,
    ``wrong`` (n,) its labels; ``records`` is how many the path will be tested on. Of the starts the
    least promising is dropped, and its share of δ goes to the others, until each that is left would
    pass at the error rate which the fit split suggests; the last one stays.
    """
    ordered = np.sort(np.where(np.isnan(scores), np.inf, scores))
    places = np.ceil(np.arange(1, 101) / 100 * len(ordered)).astype(int) - 1
    thresholds = tuple(float(t) for t in np.unique(ordered[places]) if np.isfinite(t))
    tested = [at(threshold, scores, wrong) for threshold in thresholds]
    coverages = [one.coverage for one in tested]
    starts = sorted({int(np.searchsorted(coverages, start)) for start in STARTS} - {len(tested)})
    hopes = {start: _hoped(tested[start], alpha, records) for start in starts}
    while len(starts) > 1 and max(hopes[start] for start in starts) > delta / len(starts):
        starts.remove(max(starts, key=lambda start: (hopes[start], start)))
    return Path(thresholds, tuple(starts))


def _hoped(fitted: Tested, alpha: float, records: int) -> float:
    """The p-value that a threshold would have on so many records at its likely risk."""
    answered = round(fitted.coverage * records)
    return p_value(math.ceil(fitted.likely_risk * answered), answered, alpha)


def certify(found: Path, scores: Floats, wrong: Mask, alpha: float, delta: float) -> Tested | None:
    """The loosest threshold of the path that holds ``alpha`` with confidence ``1 - delta``.

    ``scores`` (n,) are P(wrong) of held-out records as the cascade gave them, NaN or infinite where
    it cannot answer; ``wrong`` (n,) their labels. None where no threshold is certified.
    """
    if not found.starts:
        return None
    tested = [at(threshold, scores, wrong) for threshold in found.thresholds]
    values = np.array([p_value(one.wrong, one.answered, alpha) for one in tested])
    held = control_fwer(values, delta, Fallback(found.starts))
    return tested[int(held[-1])] if len(held) else None


def at(threshold: float, scores: Floats, wrong: Mask) -> Tested:
    """What a threshold answers of these records; equal scores are answered together."""
    answered = scores <= threshold  # False for NaN
    return Tested(threshold, len(scores), int(answered.sum()), int(wrong[answered].sum()))


class Fallback(FWERProcedure):  # type: ignore[misc] # MAPIE has no types
    """Fixed-sequence testing from several starts, with what was won carried on (Wiens 2003).

    Each start has an equal share of δ. A hypothesis is tested with what was carried to it and its
    own share. Rejected, it carries both to the next; kept, both are lost, and the sequence goes on
    at the next start. Where all of it passes, the last ones are tested at the whole of δ.
    """

    def __init__(self, starts: Sequence[int]) -> None:
        self._starts = frozenset(starts)

    def _init_state(self, n_lambdas: int, delta: float) -> None:
        self._n = n_lambdas
        self._share = delta / len(self._starts)
        self._place, self._carried = 0, 0.0

    def _select_next_hypothesis(self, p_values: NDArray[np.float64]) -> int | None:
        while self._place < self._n:
            if p_values[self._place] <= self._level() > 0:
                return self._place
            self._place, self._carried = self._place + 1, 0.0
        return None

    def _local_significance_levels(self) -> NDArray[np.float64]:
        levels = np.zeros(self._n)
        levels[self._place] = self._level()
        return levels

    def _update_on_reject(self, hypothesis_index: int) -> None:
        self._carried = self._level()
        self._place = hypothesis_index + 1

    def _level(self) -> float:
        return self._carried + (self._share if self._place in self._starts else 0.0)


def records_needed(
    found: Path, scores: Floats, wrong: Mask, alpha: float, delta: float
) -> int | None:
    """About how many records, held out and like these, would certify ``alpha`` nine times in ten.

    The fewest over the path's thresholds, each at its ``likely_risk`` and tested at one start's
    share of δ. None where no threshold has a likely risk below α: then more of the same records
    will not do.
    """
    level = delta / max(1, len(found.starts))
    needed = []
    for one in (at(threshold, scores, wrong) for threshold in found.thresholds):
        if one.answered and one.likely_risk < alpha:
            answers = _answers_needed(one.likely_risk, alpha, level)
            needed.append(math.ceil(answers / one.coverage))
    return min(needed, default=None)


def _answers_needed(rate: float, alpha: float, level: float, most: int = 10**8) -> int:
    """The fewest answers n that pass with a probability of 0.9; by bisection, roughly monotone."""
    low, high = fewest_answers(alpha, level), most
    while low < high:
        middle = (low + high) // 2
        if p_value(int(binom.ppf(_POWER, middle, rate)), middle, alpha) <= level:
            high = middle
        else:
            low = middle + 1
    return low
