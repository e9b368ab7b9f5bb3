"""What the client saw of a phase, held against what the gateway counted of it.

They measure the same requests from two ends. Counts, stages' times and cost must be equal; the
gateway's time lies within the client's. Where they differ, something else asked the gateway too, or
one of the two is wrong: then no number of the phase is worth much, and it says so.
"""

from collections.abc import Mapping
from typing import Any

from loadtest.client import ANSWERED, CLIENT_FULL, CONNECTION, NOT_OURS, TIMEOUT
from loadtest.scrape import Histogram, Metrics
from loadtest.tally import RANKS, Tally, percentile

_UNSEEN = (TIMEOUT, CONNECTION, NOT_OURS)
"""Outcomes after which the gateway may have counted anything, or nothing."""
_NOT_CODES = (ANSWERED, CLIENT_FULL, *_UNSEEN)
_TOLERANCE = 0.01  # of a sum of rounded numbers
_ROUNDED = 1e-6  # seconds, of a stage in a response
_ENGINE = "vllm:e2e_request_latency_seconds"
_ENGINE_FIRST = "vllm:time_to_first_token_seconds"


def crosscheck(tally: Tally, added: Metrics) -> dict[str, Any]:
    """Every check with both values, whether all agree, and what only the gateway knows.

    ``added`` is what the phase added to the gateway's series. Seconds throughout.
    """
    checks = [*_counts(tally, added), *_times(tally, added), *_stages(tally, added)]
    checks += _cost(tally, added)
    whole = added.histogram("ucbd_request_seconds")
    overhead = added.histogram("ucbd_overhead_seconds")
    service = sum(tally.service) / len(tally.service) if tally.service else None
    return {
        "agrees": all(check["agrees"] for check in checks),
        "checks": checks,
        "gateway": _told(whole),
        "overhead": _told(overhead),
        "outside_mean": None if service is None or whole.mean is None else service - whole.mean,
        "engine": _told(added.histogram(_ENGINE)),
        "engine_first_token": _told(added.histogram(_ENGINE_FIRST)),
    }


def disagreements(found: dict[str, Any]) -> list[str]:
    """In words."""
    return [
        f"{check['what']}: {check['client']:g} here, {check['gateway']:g} in the gateway's metrics"
        for check in found["checks"]
        if not check["agrees"]
    ]


def _check(what: str, client: float, gateway: float, agrees: bool) -> dict[str, Any]:
    return {"what": what, "client": client, "gateway": gateway, "agrees": agrees}


def _counts(tally: Tally, added: Metrics) -> list[dict[str, Any]]:
    own = {code: n for code, n in tally.outcomes.items() if code not in _NOT_CODES}
    pairs = [("answered", float(tally.answered), added.total("ucbd_requests_total"))]
    pairs += _paired("decided", tally.decisions, added.by("ucbd_requests_total", "decision"))
    pairs += _paired("error", own, added.by("ucbd_errors_total", "code"))
    pairs += _paired("degraded to", tally.degraded, added.by("ucbd_degraded_total", "rung"))
    slack = sum(tally.outcomes[name] for name in _UNSEEN)
    return [_check(what, a, b, abs(a - b) <= slack) for what, a, b in pairs]


def _paired(
    what: str, ours: Mapping[str, float], theirs: Mapping[str, float]
) -> list[tuple[str, float, float]]:
    names = sorted({*ours, *theirs})
    return [(f"{what} {name}", ours.get(name, 0), theirs.get(name, 0)) for name in names]


def _times(tally: Tally, added: Metrics) -> list[dict[str, Any]]:
    """The client's time of a request, from when it was sent, is never below the gateway's."""
    if not tally.service:
        return []
    service, whole = sorted(tally.service), added.histogram("ucbd_request_seconds")
    mean = sum(service) / len(service)
    checks = [_check("mean seconds", mean, whole.mean or 0.0, mean >= (whole.mean or 0.0))]
    for rank in RANKS:
        lower = (whole.bounds(rank) or (0.0, 0.0))[0]
        value = percentile(service, rank)
        checks.append(_check(f"p{rank} seconds, at least", value, lower, value >= lower))
    return checks


def _stages(tally: Tally, added: Metrics) -> list[dict[str, Any]]:
    checks = []
    for name, seconds in tally.stages.items():
        theirs = added.histogram("ucbd_stage_seconds", stage=name)
        ours = sum(seconds)
        near = abs(ours - theirs.sum) <= _TOLERANCE * theirs.sum + _ROUNDED * len(seconds)
        checks.append(_check(f"{name}: seconds", ours, theirs.sum, near or _unseen(tally)))
    return checks


def _cost(tally: Tally, added: Metrics) -> list[dict[str, Any]]:
    ours, theirs = sum(tally.cost), added.histogram("ucbd_relative_cost").sum
    near = abs(ours - theirs) <= 1e-6 * max(1.0, theirs)
    return [_check("sum of relative cost", ours, theirs, near or _unseen(tally))]


def _unseen(tally: Tally) -> bool:
    return any(tally.outcomes[name] for name in _UNSEEN)


def _told(histogram: Histogram) -> dict[str, Any] | None:
    """A histogram's count and mean, and the buckets that its percentiles lie in."""
    if not histogram.count:
        return None
    bounds = {f"p{rank}": list(histogram.bounds(rank) or ()) for rank in RANKS}
    return {"n": int(histogram.count), "mean": histogram.mean, **bounds}
