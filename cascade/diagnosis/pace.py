"""How fast a server is asked: so many calls at once, and what a busy or failing one asks for.

A server that says when to come again (``Retry-After``) holds up every call until then. Everything
is bounded: what would wait longer is an error. Knows no question.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ucbd.models.errors import GatewayError, UpstreamBusy, UpstreamFailed, UpstreamUnreachable
from ucbd.models.upstream.errors import may_retry

T = TypeVar("T")
_TRIES = 8
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds; doubled each time that no time is told
_MOST_OBEYED = 300.0  # seconds; a server that asks for more is left alone


@dataclass
class Pace:
    """Calls of one server, ``at_once`` at a time. ``events`` counts by name what held them up.

    ``sleep`` waits so many seconds of ``clock``; others are for tests.
    """

    at_once: int
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    events: Counter[str] = field(default_factory=Counter)
    waited: float = 0.0
    _free_at: float = -math.inf

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.at_once)

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """What ``call`` gives, made again up to eight times where that may help.

        Raises the last error; at once where no second try can help, and ``UpstreamBusy`` where the
        server wants more than five minutes.
        """
        wait = _FIRST_WAIT
        for tries_left in reversed(range(_TRIES)):
            async with self._room:
                await self._until_free()
                try:
                    return await call()
                except (UpstreamBusy, UpstreamUnreachable, UpstreamFailed) as error:
                    if not tries_left or not may_retry(error):
                        raise
                    _check_bearable(error)
                    self.events[_named(error)] += 1
                    self._hold(_asked_for(error) or wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        raise AssertionError("the last try returns or raises")

    def _hold(self, seconds: float) -> None:
        """Nobody calls for so long, or until a pause that is running ends, whichever is later."""
        now = self.clock()
        free, until = max(now, self._free_at), now + seconds
        if until > free:
            self.waited += until - free
            self._free_at = until

    async def _until_free(self) -> None:
        while (left := self._free_at - self.clock()) > 0:  # it may be put off meanwhile
            await self.sleep(left)


def _asked_for(error: GatewayError) -> float | None:
    return error.retry_after if isinstance(error, UpstreamBusy) else None


def _check_bearable(error: GatewayError) -> None:
    """Raises the error, with its time, where that is more than anybody waits."""
    seconds = _asked_for(error) or 0.0
    if seconds > _MOST_OBEYED:
        raise UpstreamBusy(f"{error}; come again in {seconds:,.0f} s", seconds) from error


def _named(error: GatewayError) -> str:
    if isinstance(error, UpstreamBusy):
        return "busy"
    return "unreachable" if isinstance(error, UpstreamUnreachable) else "failed"
