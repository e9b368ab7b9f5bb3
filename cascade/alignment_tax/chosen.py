"""Which run speaks for several: the reported seeds' values, and the seed in the middle.

Every number of the page is either given for each seed or is that of the median seed, which is the
seed whose default arm has the median single-cluster rate on facts by ``jaccard``. Knows no format.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ucbd.cascade.alignment_tax.measures import Rate, accuracy, rate, single
from ucbd.cascade.alignment_tax.observations import Observations
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, FACTS, FAMILY, Run, Runs, median_run

CLUSTERER = "jaccard"


@dataclass(frozen=True, slots=True)
class Spread:
    """A rate at every seed, and the rate in the middle (of an even number the lower one)."""

    middle: Rate
    each: tuple[float, ...]


@lru_cache(maxsize=256)
def facts(run: Run) -> Observations:
    """The run's questions about facts."""
    return run.table.of_kind(*FACTS)


@lru_cache(maxsize=256)
def arithmetic(run: Run) -> Observations:
    """The run's word problems."""
    return run.table.of_kind("arithmetic")


def scr(run: Run, clusterer: str) -> Rate | None:
    """Single-cluster rate on facts."""
    return rate(single(facts(run), clusterer))


def scr_by(clusterer: str) -> Callable[[Run], Rate | None]:
    """``scr`` by one clusterer, as a measure of runs."""
    return lambda run: scr(run, clusterer)


def right_on(*kinds: str) -> Callable[[Run], Rate | None]:
    """Accuracy on questions of these kinds, as a measure of runs."""
    return lambda run: accuracy(run.table.of_kind(*kinds))


def median_seed(runs: Runs, family: str = FAMILY) -> int | None:
    """The seed that speaks for all; that of the last stage there is, when the default arm is not.

    None without any run.
    """
    for stage in (DEFAULT_ARM, "sft", "base"):
        found = median_run(runs.seeds(stage, family), lambda run: _value(scr(run, CLUSTERER)))
        if found:
            return found.seed
    return None


def median_of(runs: Runs, stage: str, family: str = FAMILY) -> Run | None:
    """A stage's run at the median seed; its own median where it was not run at that seed."""
    seed = median_seed(runs, family)
    found = runs.run(stage, seed, family) if seed is not None else None
    return found or median_run(runs.seeds(stage, family), lambda run: _value(scr(run, CLUSTERER)))


def spread(runs: list[Run], measure: Callable[[Run], Rate | None]) -> Spread | None:
    """A rate over the seeds; None where no seed has it."""
    measured = {run.seed: found for run in runs if (found := measure(run))}
    middle = median_run(runs, lambda run: _value(measured.get(run.seed)))
    if middle is None:
        return None
    return Spread(measured[middle.seed], tuple(found.value for found in measured.values()))


def _value(rate: Rate | None) -> float | None:
    return rate.value if rate else None
