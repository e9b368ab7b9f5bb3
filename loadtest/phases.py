"""A load test is phases in turn; each is driven, tallied, and checked with the gateway.

Between phases the gateway comes to rest, so that what ``/metrics`` gained is the phase's.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtest.arrivals import Piece, arrivals, process
from loadtest.client import Client, Seen
from loadtest.crosscheck import crosscheck
from loadtest.drive import closed_loop, open_loop
from loadtest.mix import Ask, Mix
from loadtest.scrape import Metrics, ScrapeFailed, scrape
from loadtest.tally import Tally, slope

_REST_SECONDS = 10.0
_WATCHED, _CPU = "process_resident_memory_bytes", "process_cpu_seconds_total"


class NothingAnswered(RuntimeError):
    """A gateway that answers nothing: there is nothing to measure."""


@dataclass(frozen=True)
class Phase:
    """Open with ``pieces`` and ``process``, or closed with ``concurrency``."""

    name: str
    mix: Mix
    pieces: tuple[Piece, ...] = ()
    process: str = "poisson"
    concurrency: int | None = None
    seconds: float = 0.0
    requests: int | None = None

    @property
    def lasts(self) -> float:
        """Seconds that it is to last; 0 for one that ends with its requests."""
        if self.concurrency is not None:
            return 0.0 if self.requests is not None else self.seconds
        return sum(piece.seconds for piece in self.pieces)

    @property
    def shape(self) -> dict[str, Any]:
        """How it presses, for the report."""
        mix = {"name": self.mix.name, "version": self.mix.version, "digest": self.mix.digest}
        if self.concurrency is not None:
            return {"loop": "closed", "concurrency": self.concurrency, "mix": mix}
        offered = sum(piece.seconds * piece.rate for piece in self.pieces) / (self.lasts or 1.0)
        return {"loop": "open", "arrivals": self.process, "rate": offered, "mix": mix}


@dataclass(frozen=True)
class Ran:
    """A phase that was run. ``memory`` is (seconds, bytes) of the gateway's process."""

    phase: Phase
    figures: dict[str, Any]
    tally: Tally
    memory: list[tuple[float, float]] = field(default_factory=list)


class Test:
    """Runs phases against one deployment; ``metrics`` are its gateways' own URLs, or none."""

    __test__ = False  # not one of pytest's

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        metrics: list[str],
        seed: int,
        timeout: float,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._client = Client(session, url, timeout=timeout)
        self._session, self._metrics, self._tell = session, metrics, tell
        self._seeds = itertools.count(seed)

    async def warm_up(self, mix: Mix, requests: int) -> None:
        """Requests that are not counted: connections open, caches fill.

        Raises ``NothingAnswered``.
        """
        asks, tally = mix.asks(next(self._seeds)), Tally()
        self._client.begin()
        await closed_loop(self._client, asks, tally.add, concurrency=8, requests=requests)
        if not tally.answered:
            what = ", ".join(f"{n} × {code}" for code, n in tally.outcomes.items())
            raise NothingAnswered(f"none of the first {requests} requests was answered: {what}")

    async def run(self, phase: Phase, watch: float | None = None) -> Ran:
        """Run a phase; ``watch`` reads the gateway's memory every so many seconds."""
        self._tell(f"{phase.name} …")
        seed, tally, memory = next(self._seeds), Tally(), list[tuple[float, float]]()
        asks = phase.mix.asks(seed)
        before = await self._at_rest()
        self._client.begin()
        watching = asyncio.create_task(self._watch(watch, memory))
        try:
            await self._drive(phase, asks, seed, tally.add)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        figures = {"name": phase.name, "seed": seed, **phase.shape, **tally.figures(phase.lasts)}
        if before is not None:
            after = await self._at_rest()
            assert after is not None  # noqa: S101 - it was read before
            gained = after.since(before)
            figures["crosscheck"] = crosscheck(tally, gained)
            figures["memory"] = [before.total(_WATCHED), after.total(_WATCHED)]
            figures["cpu"] = gained.total(_CPU) / max(1, tally.asked)  # the gateway's, not vLLM's
        figures["memory_slope"] = slope(memory)  # bytes a second
        return Ran(phase, figures, tally, memory)

    async def _drive(
        self, phase: Phase, asks: Iterator[Ask], seed: int, tell: Callable[[Seen], None]
    ) -> None:
        if phase.concurrency is None:
            times = arrivals(phase.pieces, process(phase.process, seed))
            await open_loop(self._client, asks, times, tell)
            return
        await closed_loop(
            self._client,
            asks,
            tell,
            concurrency=phase.concurrency,
            seconds=phase.seconds or float("inf"),
            requests=phase.requests,
        )

    async def _at_rest(self) -> Metrics | None:
        """The metrics once nothing is in flight, or after a while; None where none are read."""
        if not self._metrics:
            return None
        for _ in range(int(_REST_SECONDS / 0.1)):
            found = await scrape(self._session, self._metrics)
            if not found.total("ucbd_in_flight"):
                break
            await asyncio.sleep(0.1)
        if not any(name.startswith("ucbd_") for name, _ in found.samples):
            where = ", ".join(self._metrics)
            raise ScrapeFailed(f"{where}: /metrics has no series of the gateway (ucbd_…)")
        return found

    async def _watch(self, every: float | None, memory: list[tuple[float, float]]) -> None:
        while every is not None and self._metrics:
            with suppress(ScrapeFailed):  # a look more or less; the phase's own scrapes must work
                found = await scrape(self._session, self._metrics)
                memory.append((self._client.now(), found.total(_WATCHED)))
            await asyncio.sleep(every)
