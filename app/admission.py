"""Admission: what is taken in at all, how much of the cascade it gets, and when none is any more.

Refuses at once rather than queue without bound. What is bounded is what fills an engine: the
sequences that it generates together. Knows no route.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from ucbd.app.errors import BodyTooLarge, ClientClosed, EdgeError, Overloaded, refused
from ucbd.cascade.boundaries.sampling import sequences
from ucbd.cascade.ladder import LADDER, Rung, runs
from ucbd.cascade.policy import Policy
from ucbd.models.errors import DeadlineExceeded
from ucbd.models.time_limit import TimeLimit

T = TypeVar("T")

SHARES: Mapping[Rung, float] = {"all": 0.5, "no_sampling": 0.75, "fluency": 1.0}
"""Up to which share of the capacity a request may have each rung."""

_REMEMBERED = 64  # departures that an estimate of the next ones rests on
_LONGEST_WAIT = 60.0
_QUICK_SECONDS = 0.02  # in which an answer is not worth listening for its client's departure


class Pool:
    """An amount in use of something bounded, and how fast it was given back lately.

    The pool's own time is the integral of what is in use: while nothing is, it stands still, and a
    unit is given back after as much of it as the units in use together lasted.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.used = 0
        self._clock = clock
        self._used = 0.0  # units × seconds, up to ``_since``
        self._since = clock()
        self._departed: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def taken(self, amount: int) -> "_Taken":
        """That much more in use for as long as the context lasts."""
        return _Taken(self, amount)

    def take(self, amount: int) -> None:
        """That much more in use."""
        self._tick()
        self.used += amount

    def give_back(self, amount: int) -> None:
        """That much less in use."""
        self._tick()
        self.used -= amount
        self._departed.append((self._used, amount))

    def wait(self, level: float) -> float | None:
        """Seconds until no more than ``level`` is in use, at the recent rate; None if unknown."""
        if len(self._departed) < 2:
            return None
        if self.used <= level:
            return 0.0
        self._tick()  # up to now: a rate falls while nothing departs
        began = self._departed[0][0]
        given_back = sum(amount for _, amount in self._departed) - self._departed[0][1]
        held = (self._used - began) / given_back  # unit-seconds for each unit given back
        return min(_LONGEST_WAIT, (self.used - level) * held / self.used)

    def _tick(self) -> None:
        now = self._clock()
        self._used += self.used * (now - self._since)
        self._since = now


class _Taken:
    """See ``Pool.taken``; a generator's context takes five times as long, twice a request."""

    __slots__ = ("_amount", "_pool")

    def __init__(self, pool: Pool, amount: int) -> None:
        self._pool = pool
        self._amount = amount

    def __enter__(self) -> None:
        self._pool.take(self._amount)

    def __exit__(self, *_: object) -> None:
        self._pool.give_back(self._amount)


class Admission:
    """At most ``requests`` in flight, and at most ``capacity`` engine sequences for them.

    The next is refused with ``Overloaded`` and the seconds after which there should be room for all
    of its stages. ``tell`` hears how many are in flight whenever that changes, and
    ``tell_held`` how many sequences they hold.
    """

    def __init__(
        self,
        requests: int,
        capacity: int,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[float], None] = lambda requests: None,
        tell_held: Callable[[float], None] = lambda sequences: None,
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._tell_held = tell_held
        self._requests = Pool(requests, clock)
        self._sequences = Pool(capacity, clock)
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ends: float | None = None
        self._cut = False

    @property
    def in_flight(self) -> int:
        """Requests that are being read or answered."""
        return self._requests.used

    @property
    def load(self) -> float:
        """Share of what there is room for that is in use, 0 … 1."""
        return max(pool.used / pool.limit for pool in (self._requests, self._sequences))

    @property
    def closed(self) -> bool:
        """Whether no request is taken in any more."""
        return self._ends is not None

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    def close(self, seconds: float) -> None:
        """Take in no more: the process ends within that time."""
        self._ends = self._clock() + seconds

    def cut(self) -> None:
        """End what is under way: whoever waits is told so by an ``Overloaded``."""
        self._cut = True
        for task in self._tasks:
            task.cancel()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one request in, from its first byte, for as long as the context lasts."""
        if self._ends is not None:
            raise Overloaded("the gateway is shutting down", self._ends - self._clock())
        pool = self._requests
        if pool.used >= pool.limit:
            message = f"{pool.used} requests in flight, the limit is {pool.limit}"
            raise Overloaded(message, pool.wait(pool.limit * SHARES["all"]))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - requests are served by tasks
        self._tasks.add(task)
        try:
            with pool.taken(1):
                self._tell(pool.used)
                yield
        except asyncio.CancelledError as error:
            if not self._cut:
                raise
            task.uncancel()
            raise Overloaded("the gateway ended before the answer") from error
        finally:
            self._tell(pool.used)
            self._tasks.discard(task)
            if not pool.used:
                self._idle.set()

    @contextmanager
    def hold(self, weights: Mapping[Rung, int]) -> Iterator[Rung]:
        """The highest rung that there is room for, held for as long as the context lasts.

        ``weights`` are the engine sequences of each. With nothing else in flight there is room for
        everything.
        """
        pool = self._sequences
        for rung in LADDER:
            needed = pool.used + weights[rung]
            if not pool.used or needed <= SHARES[rung] * pool.limit:
                try:
                    with pool.taken(weights[rung]):
                        self._tell_held(pool.used)
                        yield rung
                finally:
                    self._tell_held(pool.used)
                return
        message = f"{pool.used} of {pool.limit} engine sequences are held"
        raise Overloaded(message, pool.wait(pool.limit * SHARES["all"]))


def weights(policy: Policy, samples: int, *, explain: bool, further: int = 0) -> dict[Rung, int]:
    """Engine sequences of an answer with up to ``samples``, and ``further`` answers beside it."""
    stages = [rule.stage for rule in policy.stages]
    early = policy.stop_error is not None and not explain
    sampled = sequences(samples, early=early) if "sampling" in stages else 1
    return {rung: further + (sampled if runs("sampling", rung) else 1) for rung in LADDER}


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body, read no further than ``limit`` bytes and no longer than ``seconds``.

    Raises ``BodyTooLarge``, ``DeadlineExceeded``, and ``ClientClosed`` when the client leaves.
    """
    try:
        with TimeLimit(seconds):
            return await _body(request, limit)
    except TimeoutError as error:
        message = f"the request's body did not arrive within {seconds:g} s"
        raise DeadlineExceeded(message) from error


async def _body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit, f"{declared} bytes declared")
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientClosed("the client left while sending its request")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_large(limit, f"more than {limit} bytes sent")
    return bytes(body)


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; the work is cancelled, and ``ClientClosed`` raised, if the client leaves.

    The request's body must have been read: from then on its channel carries only the disconnect.
    Nobody listens for that before ``_QUICK_SECONDS``, so that a quick answer costs no task.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - requests are served by tasks
    departure = _Departure(request, task)
    try:
        return await work
    except asyncio.CancelledError as error:
        if not departure.seen or task.uncancel():
            raise
        raise ClientClosed("the client left before the answer") from error
    finally:
        departure.close()


class _Departure:
    """Cancels a request's task once its client has left."""

    def __init__(self, request: Request, task: asyncio.Task[Any]) -> None:
        self.seen = False
        self._request = request
        self._task = task
        self._listening: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_QUICK_SECONDS, self._listen)

    def close(self) -> None:
        """Listen no more."""
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()

    def _listen(self) -> None:
        self._listening = asyncio.create_task(self._until_it_leaves())

    async def _until_it_leaves(self) -> None:
        await _disconnected(self._request)
        self.seen = True
        self._task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int, got: str) -> EdgeError:
    return refused(BodyTooLarge, "body", f"at most {limit} bytes, {got}")
