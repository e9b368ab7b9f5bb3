"""What many requests come to: percentiles, shares, sums. Keeps numbers, not replies: a soak of
hours fits into memory (about 100 bytes a request).

Percentiles are by nearest rank: an observed value that at least that share of the values does not
exceed; nothing is interpolated.
"""

import math
import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from loadtest.client import ANSWERED, Seen

RANKS = (50, 95, 99)


def percentile(ascending: Sequence[float], rank: float) -> float:
    """The value at that rank (0 … 100] of values in ascending order, by nearest rank."""
    return ascending[max(0, math.ceil(rank / 100 * len(ascending)) - 1)]


def summary(values: Sequence[float]) -> dict[str, float] | None:
    """Count, mean, p50, p95, p99 and maximum; None of no values."""
    if not values:
        return None
    ascending = sorted(values)
    found = {f"p{rank}": percentile(ascending, rank) for rank in RANKS}
    mean = math.fsum(ascending) / len(ascending)
    return {"n": len(ascending), "mean": mean, **found, "max": ascending[-1]}


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least squares: how fast the second grows with the first; None of fewer than three."""
    if len(points) < 3:
        return None
    return statistics.linear_regression(*zip(*points, strict=True)).slope


class Tally:
    """Adds up what came of the requests of one phase. Seconds throughout."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.degraded: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.due, self.latency, self.service = array("d"), array("d"), array("d")
        self.late, self.first_token, self.cost = array("d"), array("d"), array("d")
        self.stages: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self.ended = 0.0

    def add(self, seen: Seen) -> None:
        """Enter one request."""
        self.outcomes[seen.outcome] += 1
        self.kinds[seen.kind] += 1
        self.late.append(seen.sent - seen.due)
        self.ended = max(self.ended, seen.done)
        if seen.outcome != ANSWERED:
            return
        self.decisions[str(seen.decision)] += 1
        if seen.degraded is not None:
            self.degraded[seen.degraded] += 1
        self.due.append(seen.due)
        self.latency.append(seen.done - seen.due)
        self.service.append(seen.done - seen.sent)
        if seen.first_token is not None:
            self.first_token.append(seen.first_token - seen.due)
        if seen.relative_cost is not None:
            self.cost.append(seen.relative_cost)
        for stage in seen.stages:
            if stage.outcome != "skipped":
                self.stages[stage.name].append(stage.seconds)

    @property
    def asked(self) -> int:
        return self.outcomes.total()

    @property
    def answered(self) -> int:
        return self.outcomes[ANSWERED]

    def figures(self, seconds: float) -> dict[str, Any]:
        """The numbers of a phase that was to last ``seconds``.

        Throughput is over the time until the last request had ended, where that took longer.
        """
        lasted = max(seconds, self.ended)
        errors = {code: n for code, n in sorted(self.outcomes.items()) if code != ANSWERED}
        return {
            "seconds": lasted,
            "asked": self.asked,
            "answered": self.answered,
            "throughput": self.answered / lasted if lasted else 0.0,
            "error_share": sum(errors.values()) / self.asked if self.asked else 0.0,
            "errors": errors,
            "decisions": dict(sorted(self.decisions.items())),
            "degraded": dict(sorted(self.degraded.items())),
            "degraded_share": self.degraded.total() / self.answered if self.answered else 0.0,
            "kinds": dict(sorted(self.kinds.items())),
            "latency": summary(self.latency),
            "service": summary(self.service),
            "first_token": summary(self.first_token),
            "late": summary(self.late),
            "stages": {name: summary(seconds) for name, seconds in self.stages.items()},
            "relative_cost": summary(self.cost),
        }
