"""Two runs of the same questions side by side: paired tests, equal length, equal entropy.

A difference is always the second run minus the first. Knows no page.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from ucbd.cascade.alignment_tax.measures import Rate, mean, rate, single
from ucbd.cascade.alignment_tax.observations import Floats, Observations
from ucbd.cascade.alignment_tax.runs import FACTS, Run

Z = 1.959964


@dataclass(frozen=True, slots=True)
class Test:
    """A paired Wilcoxon signed-rank test over ``n`` questions, ``moved`` of which differ.

    ``p`` is two-sided, 1 where nothing differs; ``shift`` is the mean difference.
    """

    n: int
    moved: int
    shift: float
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 when the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True)
class EqualLength:
    """Two SCRs over one distribution of answer length, and how much the two had in common.

    ``overlap`` is the shared mass of the two distributions of length, 0 … 1.
    """

    first: float
    second: float
    difference: Difference
    overlap: float


@dataclass(frozen=True, slots=True)
class EqualEntropy:
    """Two SCRs at equal mean token entropy: the first run's at ``temperature``, interpolated."""

    temperature: float
    entropy: float
    first: float
    second: float


def paired(
    one: Observations, first: Floats, other: Observations, second: Floats
) -> tuple[Floats, Floats]:
    """Both runs' values for the questions that both have, in one order."""
    places = {id: i for i, id in enumerate(other.ids)}
    rows = [(i, places[id]) for i, id in enumerate(one.ids) if id in places]
    left, right = first[[i for i, _ in rows]], second[[j for _, j in rows]]
    known = ~np.isnan(left) & ~np.isnan(right)
    return left[known], right[known]


def signed_rank(first: Floats, second: Floats) -> Test | None:
    """The test over paired values; None without any."""
    if not len(first):
        return None
    difference = second - first
    moved = int(np.count_nonzero(difference))
    p = float(wilcoxon(difference).pvalue) if moved else 1.0
    return Test(len(first), moved, float(difference.mean()), p)


def difference(first: Floats, second: Floats) -> Difference | None:
    """Mean of the paired differences, with a normal interval; None below two pairs."""
    if len(first) < 2:
        return None
    change = second - first
    value, error = float(change.mean()), float(change.std(ddof=1)) / math.sqrt(len(change))
    return Difference(value, value - Z * error, value + Z * error)


def single_difference(one: Observations, other: Observations, clusterer: str) -> Difference | None:
    """How much oftener the second run's samples fall into one cluster, question by question."""
    return difference(*paired(one, single(one, clusterer), other, single(other, clusterer)))


def equal_length(one: Observations, other: Observations, clusterer: str) -> EqualLength | None:
    """Both SCRs over the lengths that the two runs share.

    A question's length is the mean of its samples' tokens, to the nearest whole token. Each length
    weighs as the smaller of its shares in the two runs. None where they share no length.
    """
    sides = [_by_length(one, clusterer), _by_length(other, clusterer)]
    totals = [sum(map(len, side.values())) for side in sides]
    shared = sorted(set(sides[0]) & set(sides[1]))
    if not shared:
        return None
    weights = np.array(
        [min(len(s[k]) / t for s, t in zip(sides, totals, strict=True)) for k in shared]
    )
    overlap = float(weights.sum())
    weights /= overlap
    values, variance = [], 0.0
    for side in sides:
        means = np.array([side[k].mean() for k in shared])
        sizes = np.array([len(side[k]) for k in shared])
        values.append(float(weights @ means))
        variance += float(weights**2 @ (means * (1 - means) / sizes))
    change, error = values[1] - values[0], Z * math.sqrt(variance)
    between = Difference(change, change - error, change + error)
    return EqualLength(values[0], values[1], between, overlap)


def equal_entropy(sweep: list[Run], run: Run, clusterer: str) -> EqualEntropy | None:
    """The SCR that ``sweep``'s model has where its token entropy equals that of ``run``.

    ``sweep`` is one model at several temperatures. Its entropy between measured temperatures and
    its SCR between swept ones are interpolated, linearly. None where the entropy or the temperature
    lies outside of what was measured: nothing is extrapolated.
    """
    entropy = mean(run.table.of_kind(*FACTS).number("mean_token_entropy"))
    curve = next((c for r in sweep if (c := tempered(r))), None)
    if entropy is None or curve is None:
        return None
    temperatures, entropies = curve
    if not entropies[0] <= entropy <= entropies[-1]:
        return None
    at = float(np.interp(entropy, entropies, temperatures))
    rates = [(r.temperature, found.value) for r in sweep if (found := _scr(r, clusterer))]
    own = _scr(run, clusterer)
    if own is None or not rates or not rates[0][0] <= at <= rates[-1][0]:
        return None
    known, values = zip(*rates, strict=True)
    return EqualEntropy(at, entropy, float(np.interp(at, known, values)), own.value)


def tempered(run: Run) -> tuple[Floats, Floats] | None:
    """Temperatures and the run's mean token entropy at each, ascending; None if not measured."""
    found = run.info.get("tempered_entropy")
    if not isinstance(found, dict) or not found:
        return None
    points = sorted((float(t), float(h)) for t, h in found.items())
    return np.array([t for t, _ in points]), np.array([h for _, h in points])


def _scr(run: Run, clusterer: str) -> Rate | None:
    return rate(single(run.table.of_kind(*FACTS), clusterer))


def _by_length(table: Observations, clusterer: str) -> dict[int, Floats]:
    lengths, hits = table.number("sample_tokens"), single(table, clusterer)
    known = ~np.isnan(lengths) & ~np.isnan(hits)
    rounded = np.rint(lengths[known]).astype(int)
    return {int(k): hits[known][rounded == k] for k in np.unique(rounded)}
