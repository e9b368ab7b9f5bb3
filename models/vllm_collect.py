"""Collecting entropies from vLLM's worker, which sends them by itself where it can.

Then they are here before vLLM's own output is, and a collection waits for nothing. What is missing,
because the worker runs elsewhere, sends late (a GPU's last step) or could not send, is asked for:
one call in flight for all requests together. Knows how vLLM dies; nothing of what was asked for.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ucbd.models.coalesce import Coalescer
from ucbd.models.errors import EngineFailed, EngineUnavailable
from ucbd.models.exact_entropy.channel import Line, Receiver
from ucbd.models.exact_entropy.store import EntropyStore

log = logging.getLogger(__name__)

_READ_SECONDS = 0.05  # a socket's buffer holds some hundred steps
_FULL_SECONDS = 0.2  # unread for so long it may have been full, and the worker have kept values
_FORGET_MOST = 4096  # ended here, not yet told to the worker; it evicts what is older by itself


@dataclass(frozen=True, slots=True)
class _Wanted:
    """All values of a request that has ended or, from ``start`` on, those of a running one."""

    request: str
    start: int | None = None


class EntropyCollector:
    """The entropies of one ``AsyncLLM``'s requests, by their ids: decimal numbers."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._collect: Coalescer[_Wanted, list[float] | None] = Coalescer(self._collect_many)
        self._forget: deque[str] = deque(maxlen=_FORGET_MOST)
        self._expected: set[str] = set()
        self._doubtful: set[str] = set()  # of these the worker may have kept something
        self._read_at = -math.inf
        self._arrived = EntropyStore()
        self._lines: list[Line] = []
        self._reading: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        """Let the workers of this machine send by themselves; where none can, they are asked.

        Raises as ``collect`` does.
        """
        try:
            receiver = Receiver()
        except OSError as error:
            log.warning("token entropies are fetched, not sent: %s", error)
            return
        try:
            await self._call("ucbd_connect", receiver.path)
            self._lines = receiver.lines()
        finally:
            receiver.close()

    def expect(self, request: str) -> None:
        """Take in what is sent for a request, until it is collected or forgotten."""
        self._expected.add(request)
        if self._reading is None and self._lines:
            self._read_at = time.monotonic()
            self._read_later()

    async def collect(self, request: str, tokens: int) -> list[float]:
        """The first ``tokens`` values of an ended request in nats, by output position.

        Fewer, or NaN among them, where some are not held any more. Raises ``EngineUnavailable``
        when the engine dies first, ``EngineFailed`` when it refuses.
        """
        self._read_all()
        values = self._arrived.so_far(request, 0)[:tokens]
        whole = len(values) == tokens and not any(map(math.isnan, values))
        if not whole or request in self._doubtful:
            for position, nats in enumerate(await self._collect(_Wanted(request)) or ()):
                if not math.isnan(nats):  # what the worker has kept is the newest
                    self._arrived.put(request, position, nats)
            self._read_all()  # what was sent on being asked
            values = self._arrived.so_far(request, 0)
        self.forget(request)  # also what a step past the end leaves with the worker
        return values[:tokens]

    @property
    def sent(self) -> bool:
        """Whether a worker sends its values by itself."""
        return bool(self._lines)

    def arrived(self, request: str, start: int, end: int) -> list[float]:
        """The values that were sent of positions ``start`` to ``end``; they stay.

        Fewer where some did not come, up to the first of them.
        """
        self._read_all()
        values = self._arrived.so_far(request, start)[: end - start]
        return list(takewhile(math.isfinite, values))

    async def so_far(self, request: str, start: int) -> list[float]:
        """The values a running request has from position ``start`` on, as the worker says.

        They stay. Raises as ``collect`` does.
        """
        return await self._collect(_Wanted(request, start)) or []

    def forget(self, request: str) -> None:
        """Drop a request's values; the worker hears of it with the next call."""
        self._drop(request)
        self._forget.append(request)

    async def kept(self) -> int:
        """How many values are held, here or in the worker, for requests not yet collected."""
        await self._collect_many(())  # what is forgotten here is there, too
        in_workers: list[int] = await self._call("ucbd_kept")
        return len(self._arrived) + sum(in_workers)

    def close(self) -> None:
        """Take in nothing more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        while self._lines:
            self._lines.pop().close()

    def _read_later(self) -> None:
        """So that the sockets do not fill. Not as they become readable: each step would wake us."""
        self._reading = asyncio.get_running_loop().call_later(_READ_SECONDS, self._read_on)

    def _read_on(self) -> None:
        self._reading = None
        self._read_all()
        if self._expected and self._lines:
            self._read_later()

    def _read_all(self) -> None:
        now = time.monotonic()
        if now - self._read_at > _FULL_SECONDS:
            self._doubtful |= self._expected
        self._read_at = now
        for line in list(self._lines):
            values = line.read()
            if values is None:
                line.close()
                self._lines.remove(line)
            for request, position, nats in values or ():
                if request in self._expected:
                    self._arrived.put(request, position, nats)

    def _drop(self, request: str) -> None:
        self._expected.discard(request)
        self._doubtful.discard(request)
        self._arrived.collect([request], [])

    async def _collect_many(self, wanted: Sequence["_Wanted"]) -> list[list[float] | None]:
        forget = list(self._forget)
        self._forget.clear()
        ended = [one.request for one in wanted if one.start is None]
        running = [(one.request, one.start) for one in wanted if one.start is not None]
        from_workers = await self._call("ucbd_collect", ended, forget, running)
        held = next((values for values in from_workers if values is not None), None)
        if held is None:
            return [None] * len(wanted)
        of_ended, of_running = iter(held[: len(ended)]), iter(held[len(ended) :])
        return [next(of_ended if one.start is None else of_running) for one in wanted]

    async def _call(self, method: str, *args: Any) -> Any:
        """``collective_rpc`` that ends when the engine does.

        vLLM never answers a call that was under way when its process died or was shut down. Its
        output handler ends then, so that is waited for too.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        call = asyncio.ensure_future(self._llm.collective_rpc(method, args=args))
        handler = self._llm.output_handler
        try:
            await asyncio.wait(
                {call} if handler is None else {call, handler}, return_when=asyncio.FIRST_COMPLETED
            )
            if not call.done():
                raise EngineUnavailable("the engine died or was shut down")
            return call.result()
        except EngineDeadError as error:
            raise EngineUnavailable("the engine is dead") from error
        except EngineUnavailable:
            raise
        except Exception as error:
            # vLLM raises a bare Exception here for whatever went wrong in the worker.
            raise EngineFailed(f"{method} failed in the worker: {error}") from error
        finally:
            call.cancel()
