"""Whether one server produces tokens, found out by asking it for one: a circuit breaker.

A failed call, or one that waits long in silence, is only a doubt; a probe that gets no token opens
the circuit, and calls under way are then broken off. From then on the server is probed at growing
intervals until it works again: nobody's request is the guinea pig. Knows no HTTP.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from ucbd.models.errors import GatewayError, UpstreamBusy, UpstreamFailed, UpstreamUnreachable
from ucbd.models.time_limit import TimeLimit

_FRESH_SECONDS = 5.0  # a server that produced tokens this recently is alive without asking
_DOUBTFUL_SECONDS = 1.0  # a call given up sooner says nothing about the server

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of an introduction, of a probe, of silence until one; between probes of a broken
    server at first and at most; that a call waits for a server to come back."""

    introduction: float = 30.0
    probe: float = 10.0
    patience: float = 20.0
    first: float = 0.5
    most: float = 30.0
    ride_out: float = 2.0


class Health:
    """The circuit of one server. ``probe`` gets one token out of it in bounded time, or raises
    ``GatewayError``.

    ``fault`` says in words why the circuit is open; None while it is closed. It starts open.
    """

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]], pace: Pace) -> None:
        self._name = name
        self._probe = probe
        self._pace = pace
        self.fault: str | None = f"{name} has not been asked yet"
        self._seen = -math.inf
        self._verdict = asyncio.Event()
        self._works = asyncio.Event()
        self._recovering: asyncio.Task[None] | None = None
        self._calls: dict[TimeLimit, float] = {}  # when each began, the oldest first
        self._ear: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def works(self) -> bool:
        """Whether the circuit is closed."""
        return self.fault is None

    async def alive(self) -> bool:
        """Whether the server produced a token just now, or does when asked."""
        if self.works and time.monotonic() - self._seen < _FRESH_SECONDS:
            return True
        if self.works or self._recovering is None:
            self.doubt()
            await self.settled()
        return self.works

    def doubt(self) -> None:
        """Probe the server, unless that is under way."""
        if self._recovering is None and not self._closed:
            self._verdict = asyncio.Event()
            self._recovering = asyncio.create_task(self._recover())

    async def watched(self, call: Awaitable[T]) -> T:
        """What a call of the server gives: what becomes of it is seen, and a dead server ends it.

        Raises ``UpstreamUnreachable`` when the circuit opens meanwhile.
        """
        start = time.monotonic()
        limit = TimeLimit(None)
        try:
            with limit:
                self._calls[limit] = start
                self._listen(self._pace.patience)
                found = await call
        except TimeoutError as error:
            if not limit.expired:
                raise
            raise UpstreamUnreachable(self.fault or f"{self._name} was given up") from error
        except (UpstreamUnreachable, UpstreamFailed):
            self.doubt()
            raise
        except asyncio.CancelledError:
            if time.monotonic() - self.seen_since(start) > _DOUBTFUL_SECONDS:
                self.doubt()
            raise
        finally:
            self._calls.pop(limit, None)
        self.progress()
        return found

    async def settled(self) -> None:
        """Wait for the verdict of a probe under way."""
        if self._recovering is not None:
            await self._verdict.wait()

    async def back(self) -> None:
        """Wait until it works again, after a probe's verdict, for no longer than a call would."""
        await self.settled()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.ride_out):
                await self._works.wait()

    def progress(self) -> None:
        """A token was seen: the circuit is closed."""
        self._seen = time.monotonic()
        if self.fault is not None:
            log.info("%s produces tokens", self._name)
        self.fault = None
        self._works.set()

    async def close(self) -> None:
        """Probe no more."""
        self._closed = True
        self.fault = f"{self._name} is no longer asked: the gateway is shutting down"
        if self._ear is not None:
            self._ear.cancel()
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.wait({self._recovering})

    def seen_since(self, start: float) -> float:
        """When the server last gave a token, ``start`` at the earliest; on the monotonic clock."""
        return max(self._seen, start)

    async def _recover(self) -> None:
        try:
            wait = self._pace.first
            while not await self._asked():
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))
                wait = min(2 * wait, self._pace.most)
        finally:
            self._recovering = None
            self._verdict.set()

    async def _asked(self) -> bool:
        """One probe, and what follows from it; whether the circuit is closed."""
        try:
            await self._probe()
        except UpstreamBusy:
            pass  # full is not broken: what was known of it stays
        except GatewayError as error:
            self._open(str(error))
        else:
            self.progress()
        self._verdict.set()
        return self.works

    def _open(self, fault: str) -> None:
        if fault != self.fault:
            log.warning("not asked until it produces a token: %s", fault)
        self.fault = fault
        self._works.clear()
        broken_off, self._calls = self._calls, {}
        for call in broken_off:
            call.end()

    def _listen(self, seconds: float) -> None:
        """Look after that time whether a call was left in silence; one look at a time."""
        if self._ear is None:
            self._ear = asyncio.get_running_loop().call_later(seconds, self._hear)

    def _hear(self) -> None:
        """Doubt the server where it gave no token for ``patience``, the oldest call's time."""
        self._ear = None
        if not self._calls:
            return
        oldest = next(iter(self._calls.values()))
        left = self.seen_since(oldest) + self._pace.patience - time.monotonic()
        if left <= 0:
            self.doubt()
        self._listen(left if left > 0 else self._pace.patience)
