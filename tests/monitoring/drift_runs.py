"""The drift alarm over many made-up runs: ``python -m tests.monitoring.drift_runs`` prints a table.

Beside it MAPIE's risk monitoring on the same answers: its lower confidence sequence at the same
level, against the same bound.
"""

import time
import warnings
from dataclasses import dataclass
from random import Random
from statistics import median

import numpy as np

from ucbd.cascade.monitoring.drift import Drift

BOUND, DELTA = 0.1, 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """Answers wrong with probability ``before`` until ``at``, then ``after``; ``n`` in all."""

    before: float
    after: float
    at: int
    n: int

    def wrong(self, seed: int) -> np.ndarray:
        random = Random(seed)
        return np.array(
            [random.random() < (self.before if i < self.at else self.after) for i in range(self.n)]
        )


def ours(wrong: np.ndarray, delta: float = DELTA) -> int | None:
    """At which answer the alarm goes."""
    drift = Drift()
    for i, one in enumerate(wrong):
        drift = drift.after(wrong=bool(one), bound=BOUND)
        if drift.alarmed(delta):
            return i
    return None


def mapies(wrong: np.ndarray, delta: float = DELTA) -> int | None:
    """At which answer MAPIE's lower bound first exceeds the same threshold."""
    from mapie.exchangeability_testing import RiskMonitoring

    monitor = RiskMonitoring(risk="accuracy", test_level=delta, threshold=BOUND, warn=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.update(np.ones(len(wrong), dtype=int), (~wrong).astype(int))
    over = monitor.online_risk_lower_bound_sequence_history > BOUND
    return int(np.argmax(over)) if over.any() else None


RUNS = (
    Run(0.1, 0.1, 0, 2000),
    Run(0.05, 0.2, 300, 1500),
    Run(0.1, 0.2, 300, 1500),
    Run(0.05, 0.3, 1000, 2000),
    Run(0.05, 0.15, 300, 3000),
)


def row(run: Run, name: str, draws: int) -> str:
    """A line of the table: alarms before the drift, after it, and the median delay of the latter.

    Delays are in labelled answers; no alarm counts as the whole rest.
    """
    alarm = {"e-process": ours, "MAPIE": mapies}[name]
    start = time.perf_counter()
    found = [alarm(run.wrong(seed)) for seed in range(draws)]
    seconds = (time.perf_counter() - start) / draws
    drifts = run.after > BOUND
    early = sum(one is not None and (one < run.at or not drifts) for one in found)
    late = [
        run.n - run.at if one is None else one - run.at
        for one in found
        if one is None or one >= run.at
    ]
    caught = sum(one is not None and one >= run.at for one in found) if drifts else None
    delay = f"{median(late):.0f}" if drifts else "–"
    return (
        f"| {run.before} → {run.after} at {run.at} of {run.n} | {name} | {draws} | {early} "
        f"| {'–' if caught is None else caught} | {delay} | {seconds:.2f} |"
    )


if __name__ == "__main__":
    print("| risk | test | runs | false | found | median delay | seconds a run |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for one in RUNS:
        print(row(one, "e-process", 400), flush=True)
        print(row(one, "MAPIE", 20), flush=True)
