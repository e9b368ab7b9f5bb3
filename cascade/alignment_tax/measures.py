"""What one run's table says: rates of single clusters, rankings, agreement with the oracle.

Pure functions over a table; None where there is nothing to measure. The statistics are those of
``cascade.evaluation``. Knows no other run.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ucbd.cascade.alignment_tax.observations import Floats, Labels, Mask, Observations
from ucbd.cascade.entropy import discrete_semantic_entropy
from ucbd.cascade.evaluation.ranking import auroc as area
from ucbd.cascade.evaluation.ranking import auroc_interval
from ucbd.cascade.evaluation.rates import wilson

ORACLE = "oracle"
CLUSTERERS = ("oracle", "exact", "jaccard", "embedding", "nli", "combined")
"""By value, by form, by the paper's three, by the gateway's own; others after, by alphabet."""

PREFIXES = ("oracle", "exact")
"""Clusterers that compare two answers by themselves: labels of the first n samples are theirs."""

SEMANTIC_ENTROPY = "semantic_entropy:"
SIGNALS = (
    "mean_token_entropy",
    "max_token_entropy",
    "std_token_entropy",
    "p_true",
    "answer_length",
    "semantic_entropy:jaccard",
    "semantic_entropy:embedding",
    "semantic_entropy:nli",
    "semantic_entropy:combined",
    "disagreement",
    "cascade",
)
"""What the report ranks by (contract.md, Report). The oracle is a yardstick, no signal."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n``, with a 95 % Wilson interval."""

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, 0 … 1."""
        return self.hits / self.n


@dataclass(frozen=True, slots=True)
class Ranking:
    """AUROC for telling ``wrong`` answers among ``n``; higher scores mean less certain.

    A 95 % bootstrap interval over questions.
    """

    value: float
    low: float
    high: float
    n: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a clusterer sees pairs of samples of one question, against what they assert.

    ``same`` and ``different`` are the oracle's pairs; ``joined`` and ``parted`` those of them that
    the clusterer sees alike.
    """

    same: int
    joined: int
    different: int
    parted: int

    @property
    def sensitivity(self) -> float | None:
        """P(one cluster | one value)."""
        return self.joined / self.same if self.same else None

    @property
    def specificity(self) -> float | None:
        """P(two clusters | two values)."""
        return self.parted / self.different if self.different else None


def clusterers(tables: list[Observations]) -> list[str]:
    """Every clusterer of the tables, the known ones first."""
    found = {name for table in tables for name in table.labels}
    return [c for c in CLUSTERERS if c in found] + sorted(found - set(CLUSTERERS))


def rate(hits: Floats) -> Rate | None:
    """The share of ones among ones and zeros; what is NaN does not count."""
    known = hits[~np.isnan(hits)]
    if not len(known):
        return None
    ones, n = int(known.sum()), len(known)
    return Rate(ones, n, *wilson(ones, n))


def accuracy(table: Observations) -> Rate | None:
    """The share of right answers among those that are labelled."""
    return rate(table.number("correct"))


@lru_cache(maxsize=4096)  # every table and plot asks again
def cluster_counts(table: Observations, clusterer: str) -> Floats:
    """Clusters of each question's samples; NaN below two samples."""
    return np.array([_count(labels) for labels in _labels(table, clusterer)])


def single(table: Observations, clusterer: str) -> Floats:
    """1 where all samples fall into one cluster, 0 where not, NaN below two samples."""
    return _single(cluster_counts(table, clusterer))


def single_by(table: Observations, column: str) -> Floats:
    """The same by a column of counts, such as those of another threshold."""
    return _single(table.number(column))


def single_of_first(table: Observations, clusterer: str, n: int) -> Floats:
    """The same for the first ``n`` samples, by one of ``PREFIXES``; NaN where there are fewer."""
    if clusterer not in PREFIXES:
        raise ValueError(f"{clusterer} clusters differently when there are fewer samples")
    cut = [labels[:n] if len(labels) >= n else () for labels in _labels(table, clusterer)]
    return _single(np.array([_count(labels) for labels in cut]))


@lru_cache(maxsize=4096)
def semantic_entropy(table: Observations, clusterer: str) -> Floats:
    """Discrete semantic entropy of each question, in nats; NaN below two samples."""
    values = [
        discrete_semantic_entropy([*Counter(labels).values()]) if len(labels) > 1 else np.nan
        for labels in _labels(table, clusterer)
    ]
    return np.array(values)


def signal(table: Observations, name: str) -> Floats:
    """A signal's column; semantic entropies are worked out from the labels."""
    if name.startswith(SEMANTIC_ENTROPY):
        return semantic_entropy(table, name.removeprefix(SEMANTIC_ENTROPY))
    if name == "answer_length" and name not in table.numbers:
        return table.number("answer_tokens")
    return table.number(name)


def mean(values: Floats) -> float | None:
    """Mean of what is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def ranking(table: Observations, name: str, within: Mask | None = None) -> Ranking | None:
    """How a signal ranks wrong answers above right ones, among the questions ``within``.

    None with one class, or where the signal was not measured.
    """
    scores, wrong = labelled(table, name, within)
    if len(set(wrong.tolist())) < 2:
        return None
    low, high = auroc_interval(scores, wrong)
    return Ranking(float(area(scores, wrong)), low, high, len(wrong), int(wrong.sum()))


def area_under(table: Observations, name: str, within: Mask | None = None) -> float | None:
    """The AUROC alone, without its interval."""
    scores, wrong = labelled(table, name, within)
    return float(area(scores, wrong)) if len(set(wrong.tolist())) == 2 else None


def labelled(table: Observations, name: str, within: Mask | None = None) -> tuple[Floats, Mask]:
    """Scores and whether the answer was wrong, where both are known."""
    scores, correct = signal(table, name), table.number("correct")
    known = ~np.isnan(scores) & ~np.isnan(correct)
    known &= within if within is not None else True
    return scores[known], correct[known] == 0


def in_stratum(table: Observations, clusterer: str) -> Mask:
    """The homogenized stratum: questions whose samples fall into one cluster."""
    found: Mask = single(table, clusterer) == 1
    return found


def wrong_given(table: Observations, clusterer: str, one: bool) -> Rate | None:
    """P(wrong | one cluster), or P(wrong | several)."""
    inside = single(table, clusterer)
    return rate(1 - table.number("correct")[inside == float(one)])


def blind_mass(table: Observations, clusterer: str) -> Rate | None:
    """P(one cluster | wrong): the errors that no sampling score can flag."""
    return rate(single(table, clusterer)[table.number("correct") == 0])


def agreement(table: Observations, clusterer: str) -> Agreement | None:
    """Pairs of samples, by the clusterer against by the oracle; None where either is missing."""
    if not {clusterer, ORACLE} <= set(table.labels):
        return None
    total: Counter[tuple[bool, bool]] = Counter()
    pairs = zip(table.labels[clusterer], table.labels[ORACLE], strict=True)
    for ours, truth in pairs:
        if len(ours) == len(truth):
            total += _pairs(ours, truth)
    same = total[True, True] + total[False, True]
    different = total[True, False] + total[False, False]
    return Agreement(same, total[True, True], different, total[False, False])


@lru_cache(maxsize=100_000)  # most questions of most runs share a handful of labellings
def _pairs(ours: Labels, truth: Labels) -> Counter[tuple[bool, bool]]:
    """How many pairs are (same by the clusterer, same by the oracle)."""
    upper = np.triu_indices(len(ours), 1)
    one, other = np.asarray(ours), np.asarray(truth)
    alike, equal = one[upper[0]] == one[upper[1]], other[upper[0]] == other[upper[1]]
    return Counter(zip(alike.tolist(), equal.tolist(), strict=True))


def _labels(table: Observations, clusterer: str) -> tuple[Labels, ...]:
    return table.labels.get(clusterer, ((),) * len(table))


def _count(labels: Labels) -> float:
    return float(len(set(labels))) if len(labels) > 1 else np.nan


def _single(counts: Floats) -> Floats:
    return np.where(np.isnan(counts), np.nan, counts == 1)
