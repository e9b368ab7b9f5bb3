"""Two runs on the same questions: differences with bootstrap intervals, by question.

Both are resampled together, so that what makes a question hard counts for neither. Knows columns of
scored records, not how they came about. What a run is worth alone is for its report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ucbd.cascade.evaluation import calibrated
from ucbd.cascade.evaluation.ranking import (
    Floats,
    Mask,
    auroc,
    auroc_difference_of,
    mean_difference,
    risk_at,
    risk_difference,
)
from ucbd.cascade.evaluation.recorded import CASCADE
from ucbd.cascade.evaluation.tally import Tally

COVERAGES = (0.25, 0.5, 0.75)
"""Where selective risks are held against each other."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Scored records in columns, and where each question's record stands.

    ``questions`` maps an id to its place and to a digest of its prompt.
    """

    tally: Tally
    questions: Mapping[str, tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Which questions two runs share: places in each, and how many are left out and why."""

    base: list[int]
    run: list[int]
    only_base: int
    only_run: int
    other_prompts: int


@dataclass(frozen=True, slots=True)
class Difference:
    """``run`` minus ``base`` of one measure over ``n`` questions that both have it for."""

    measure: str
    of: str | None
    n: int
    base: float
    run: float
    difference: float
    interval: tuple[float, float]


def overlap(base: Columns, run: Columns) -> Overlap:
    """The questions of the same id and the same prompt, in the order of ``base``."""
    shared = [name for name in base.questions if name in run.questions]
    same = [name for name in shared if base.questions[name][1] == run.questions[name][1]]
    return Overlap(
        base=[base.questions[name][0] for name in same],
        run=[run.questions[name][0] for name in same],
        only_base=len(base.questions) - len(shared),
        only_run=len(run.questions) - len(shared),
        other_prompts=len(shared) - len(same),
    )


def differences(base: Columns, run: Columns, both: Overlap) -> Iterator[Difference]:
    """Accuracy, AUROC by signal, single-cluster rates, selective risk, Brier scores and cost.

    A measure that no question, or only one class of answers, allows is left out. Rankings are of
    each run's own errors: where the models differ, so do the wrong answers that are to be told.
    """
    one, other, here, there = base.tally, run.tally, both.base, both.run
    right = one.right[here], other.right[there]
    yield from _of_means("accuracy", None, *right)
    for name in one.signals:
        if name in other.signals:
            yield from _of_rankings(name, one.column(name)[here], other.column(name)[there], *right)
    for name, found in one.partitions.items():
        if name in other.partitions:
            yield from _of_means(
                "single_cluster_rate",
                name,
                found.shares(one.n)[here],
                other.partitions[name].shares(other.n)[there],
            )
    cascade = one.column(CASCADE)[here], other.column(CASCADE)[there]
    yield from _of_risks(*cascade, *right)
    yield from _of_briers(*cascade, *right)
    yield from _of_means("relative_cost", None, one.costs[here], other.costs[there])


def _of_means(measure: str, of: str | None, one: Floats, other: Floats) -> Iterator[Difference]:
    known = ~np.isnan(one) & ~np.isnan(other)
    if known.any():
        one, other = one[known], other[known]
        found = mean_difference(other, one)
        yield _difference(measure, of, len(one), float(one.mean()), float(other.mean()), found)


def _of_rankings(
    name: str, one: Floats, other: Floats, right: Floats, other_right: Floats
) -> Iterator[Difference]:
    known = _known(one, other, right, other_right)
    wrong, other_wrong = right[known] == 0, other_right[known] == 0
    if not (_two_classes(wrong) and _two_classes(other_wrong)):
        return
    one, other = one[known], other[known]
    found = auroc_difference_of((other, other_wrong), (one, wrong))
    values = auroc(one, wrong), auroc(other, other_wrong)
    yield _difference("auroc", name, len(one), *values, found)


def _of_risks(
    one: Floats, other: Floats, right: Floats, other_right: Floats
) -> Iterator[Difference]:
    known = _known(one, other, right, other_right)
    n = int(known.sum())
    first, second = (one[known], right[known] == 0), (other[known], other_right[known] == 0)
    for coverage in COVERAGES:
        if coverage * n >= 1:
            values = risk_at(*first, coverage), risk_at(*second, coverage)
            found = risk_difference(second, first, coverage)
            yield _difference("risk", f"coverage {coverage:.0%}", n, *values, found)


def _of_briers(
    one: Floats, other: Floats, right: Floats, other_right: Floats
) -> Iterator[Difference]:
    """Of the cascade score as it stands, and after Platt scaling on other folds."""
    known = _known(one, other, right, other_right)
    scores = one[known], other[known]
    wrong = right[known] == 0, other_right[known] == 0
    if not known.any() or any(((s < 0) | (s > 1)).any() for s in scores):
        return
    yield from _of_means("brier", "as it stands", *_squares(scores, wrong))
    first, second = (calibrated.platt(s, w) for s, w in zip(scores, wrong, strict=True))
    if first is not None and second is not None:
        yield from _of_means("brier", "Platt, held out", *_squares((first, second), wrong))


def _squares(said: tuple[Floats, Floats], wrong: tuple[Mask, Mask]) -> tuple[Floats, Floats]:
    return (said[0] - wrong[0]) ** 2, (said[1] - wrong[1]) ** 2


def _difference(
    measure: str,
    of: str | None,
    n: int,
    base: float,
    run: float,
    found: tuple[float, float, float],
) -> Difference:
    return Difference(measure, of, n, base, run, found[0], (found[1], found[2]))


def _known(*columns: Floats) -> Mask:
    known: Mask = np.ones(len(columns[0]), dtype=np.bool_)
    for column in columns:
        known &= ~np.isnan(column)
    return known


def _two_classes(wrong: Mask) -> bool:
    return bool(wrong.any() and not wrong.all())
