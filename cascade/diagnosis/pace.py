"""How fast a server is asked: so many calls at once, and what a busy or failing one asks for.

A server that says when to come again (``Retry-After``) holds up every call until then. Everything
is bounded: what would wait longer is an error. Knows no question.
"""

import asyncio
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

    ``sleep`` waits so many seconds; another one is for tests.
    """

    at_once: int
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    events: Counter[str] = field(default_factory=Counter)
    waited: float = 0.0
    _held: "asyncio.Task[None] | None" = None

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
                    if not tries_left or not may_retry(error) or not self._bearable(error):
                        raise
                    self.events[_named(error)] += 1
                    self._hold(_asked_for(error) or wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        raise AssertionError("the last try returns or raises")

    def _bearable(self, error: GatewayError) -> bool:
        return (_asked_for(error) or 0.0) <= _MOST_OBEYED

    def _hold(self, seconds: float) -> None:
        """Nobody calls for so long; a pause that is running is not made longer."""
        if self._held is None or self._held.done():
            self.waited += seconds
            self._held = asyncio.ensure_future(self._pause(seconds))

    async def _pause(self, seconds: float) -> None:
        await self.sleep(seconds)

    async def _until_free(self) -> None:
        while self._held is not None and not self._held.done():
            await asyncio.shield(self._held)


def _asked_for(error: GatewayError) -> float | None:
    return error.retry_after if isinstance(error, UpstreamBusy) else None


def _named(error: GatewayError) -> str:
    if isinstance(error, UpstreamBusy):
        return "busy"
    return "unreachable" if isinstance(error, UpstreamUnreachable) else "failed"
