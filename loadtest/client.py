"""One request over HTTP, and the times of it as its client sees them.

Latency counts from the moment the request was due, not from when it was sent, so that a request
that had to wait for its turn here has waited (no coordinated omission). Knows the wire of ``POST
/generate``; draws no conclusion.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from loadtest.mix import Ask

ANSWERED = "answered"
TIMEOUT, CONNECTION, NOT_OURS = "timeout", "connection", "not_ours"
"""What came instead of a reply, beside the gateway's own error codes; see ``Seen``."""
CLIENT_FULL = "client_full"


class StageTold(msgspec.Struct):
    """What a response says of a stage."""

    name: str
    outcome: str
    seconds: float


class _Usage(msgspec.Struct):
    relative_cost: float | None = None


class _Result(msgspec.Struct):
    decision: str
    stages: list[StageTold]
    usage: _Usage
    degraded: str | None = None


class _Problem(msgspec.Struct):
    code: str


_RESULT, _PROBLEM = msgspec.json.Decoder(_Result), msgspec.json.Decoder(_Problem)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request. Times are seconds since the phase began.

    ``outcome`` is ``answered``, the gateway's error code, or what there is without a reply:
    ``timeout``, ``connection`` (refused or broken), ``not_ours`` (a reply that is no gateway's),
    ``client_full`` (not sent: too many were open here).
    """

    kind: str
    due: float
    sent: float
    done: float
    outcome: str
    first_token: float | None = None
    decision: str | None = None
    degraded: str | None = None
    relative_cost: float | None = None
    stages: tuple[StageTold, ...] = ()


class Client:
    """Asks one gateway. ``clock`` is in seconds; its 0 is set by ``begin``."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        timeout: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/generate"
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._clock = clock
        self._began = clock()

    def begin(self) -> None:
        """A phase begins now."""
        self._began = self._clock()

    def now(self) -> float:
        """Seconds since the phase began."""
        return self._clock() - self._began

    async def ask(self, ask: Ask, due: float) -> Seen:
        """Send it now, and stay to the end of what comes. Raises nothing for what goes wrong."""
        sent, first = self.now(), None
        try:
            async with self._session.post(
                self._url,
                data=ask.body,
                headers={"content-type": "application/json"},
                timeout=self._timeout,
            ) as response:
                if response.content_type == "text/event-stream":
                    first, content = await self._stream(response)
                else:
                    content = await response.read()
        except TimeoutError:
            return Seen(ask.kind, due, sent, self.now(), TIMEOUT, first)
        except aiohttp.ClientError:
            return Seen(ask.kind, due, sent, self.now(), CONNECTION, first)
        return self._told(ask.kind, due, sent, self.now(), first, content)

    async def _stream(self, response: aiohttp.ClientResponse) -> tuple[float | None, bytes]:
        """When the first token came, and the data of the last event."""
        first, data = None, b""
        async for line in response.content:
            if first is None and line.startswith(b"event: token"):
                first = self.now()
            elif line.startswith(b"data: "):
                data = line[6:]
        return first, data

    def _told(
        self, kind: str, due: float, sent: float, done: float, first: float | None, content: bytes
    ) -> Seen:
        try:
            result = _RESULT.decode(content)
        except msgspec.DecodeError:
            try:
                code = _PROBLEM.decode(content).code
            except msgspec.DecodeError:
                code = NOT_OURS
            return Seen(kind, due, sent, done, code, first)
        return Seen(
            kind,
            due,
            sent,
            done,
            ANSWERED,
            first,
            decision=result.decision,
            degraded=result.degraded,
            relative_cost=result.usage.relative_cost,
            stages=tuple(result.stages),
        )
