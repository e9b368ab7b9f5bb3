"""The forms of a test: which phases, and when a ramp has found its end."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from loadtest.arrivals import bursts, ramp, steady
from loadtest.baseline import ALONE, COST, STREAMED, TOGETHER
from loadtest.mix import Mix, read_mix
from loadtest.phases import Phase, Ran, Test

MOST_ERRORS = 0.01
"""Share of errors above which a step of a ramp is not held."""
LIMIT = 1.0
"""p99 of latency, in seconds, above which it is not."""


async def ramped(
    test: Test,
    mix: Mix,
    *,
    first: float,
    factor: float,
    steps: int,
    seconds: float,
    process: str,
    limit: float = LIMIT,
) -> AsyncIterator[Ran]:
    """Steps of rising rate until one is not held, or the last."""
    for rate in ramp(first, factor, steps):
        pieces = tuple(steady(rate, seconds))
        ran = await test.run(Phase(f"ramp {rate:.4g}/s", mix, pieces, process))
        yield ran
        if broke(ran.figures, limit):
            return


def broke(figures: dict[str, Any], limit: float) -> str | None:
    """Why a step of a ramp was not held, in words; None when it was."""
    if figures["error_share"] > MOST_ERRORS:
        return f"{100 * figures['error_share']:.1f} % errors"
    p99 = (figures["latency"] or {}).get("p99")
    if p99 is not None and p99 > limit:
        return f"p99 {1000 * p99:.0f} ms"
    return None


def capacity(steps: Sequence[dict[str, Any]], limit: float) -> dict[str, Any] | None:
    """The highest rate that was held, with what ended the ramp; None without a ramp."""
    if not steps:
        return None
    held = [step for step in steps if broke(step, limit) is None]
    end = broke(steps[-1], limit)
    best = held[-1]["throughput"] if held else 0.0
    told = f"{best:.1f} answers a second with p99 ≤ {1000 * limit:.0f} ms and ≤ 1 % errors"
    if end is None:
        told = f"at least {told}: the ramp ended before the gateway did"
    return {"held": best, "saturated": end is not None, "ended_by": end, "told": told}


async def ratios(test: Test) -> AsyncIterator[Ran]:
    """About 15 s: what a baseline is held against."""
    mixes = {ALONE: "answers", STREAMED: "streams", COST: "traffic"}
    for name, mix in mixes.items():
        yield await test.run(Phase(name, read_mix(mix), concurrency=1, requests=60))
    yield await test.run(Phase(TOGETHER, read_mix("traffic"), concurrency=16, seconds=8))


async def short(test: Test) -> AsyncIterator[Ran]:
    """About 70 s: the ratios, a steady half of the capacity, bursts above it, a ramp over it."""
    async for ran in ratios(test):
        yield ran
    most, traffic = max(ran.figures["throughput"], 1.0), ran.phase.mix
    yield await test.run(Phase("steady", traffic, tuple(steady(most / 2, 15)), "poisson"))
    pieces = bursts(most / 4, 1.5 * most, every=5, length=1, seconds=10)
    yield await test.run(Phase("bursts", traffic, tuple(pieces), "constant"))
    rates = {"first": most / 2, "factor": 1.35, "steps": 5, "seconds": 4.0}
    async for ran in ramped(test, traffic, process="poisson", **rates):
        yield ran
