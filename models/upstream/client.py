"""One OpenAI-compatible server over HTTP: a call out, a ``Reply`` or one of our errors back.

Every call is bounded in time and in bytes, and a cancelled one closes its connection, which is how
a server hears of it. Does not retry, and knows no engine.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from ucbd.models.errors import GatewayError
from ucbd.models.generation import Headers
from ucbd.models.time_limit import TimeLimit
from ucbd.models.upstream.errors import from_connection, from_status, nonsense
from ucbd.models.upstream.http import Broken, Connection, Connections
from ucbd.models.upstream.shapes import NoAnswer
from ucbd.models.upstream.stream import events
from ucbd.models.upstream.wire import (
    Call,
    Part,
    Reply,
    ServedModel,
    complaint,
    decode,
    decode_models,
    decode_part,
    encode,
    whole,
)

T = TypeVar("T")

_HEADERS = (
    ("user-agent", "ucbd-gateway"),
    ("accept", "*/*"),
    ("accept-encoding", "identity"),
    ("content-type", "application/json"),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may take: seconds to connect, seconds in all, bytes; and open connections."""

    connect_seconds: float = 5.0
    seconds: float = 600.0
    body_bytes: int = 64 * 1024 * 1024
    connections: int = 2048


class UpstreamClient:
    """Talks to the server at ``url`` (with or without ``/v1``), with ``key`` if it wants one.

    Every method raises ``UpstreamUnreachable``, ``UpstreamBusy`` and ``UpstreamFailed``; ``ask``
    also ``InvalidRequest`` or ``PromptTooLong`` when the server refuses the call. Its making raises
    ``ValueError`` for what is no address or no key.
    """

    def __init__(self, url: str, *, key: str | None = None, bounds: Bounds = Bounds()) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._bounds = bounds
        headers: Headers = _HEADERS
        if key:
            headers += (("authorization", f"Bearer {key}"),)
        self._connections = Connections(
            self.url, headers, connect_seconds=bounds.connect_seconds, most=bounds.connections
        )

    async def ask(self, call: Call) -> Reply:
        """One answer, whole."""
        body = encode(call)
        return await self.read(
            "POST", call.path, lambda body: decode(call, body), body, call.headers
        )

    async def hear(self, call: Call, told: Callable[[Part], None]) -> Reply:
        """One answer, each part of which is told as it comes.

        A server that does not stream is told of whole.
        """
        parts: list[Part] = []

        def hear(data: bytes) -> None:
            parts.append(self._understood(lambda data: decode_part(call, data), data))
            told(parts[-1])

        async def hear_all(response: Connection) -> None:
            if "event-stream" not in response.headers.get("content-type", ""):
                hear(await self._json(response))
                return
            async with aclosing(self._events(response)) as found:
                async for data in found:
                    hear(data)

        await self._called("POST", call.path, encode(call, stream=True), call.headers, hear_all)
        return self._understood(lambda _: whole(parts), b"")

    async def models(self) -> tuple[ServedModel, ...]:
        """What the server says it serves."""
        return await self.read("GET", "/v1/models", decode_models)

    async def read(
        self,
        method: str,
        path: str,
        reads: Callable[[bytes], T],
        content: bytes = b"",
        headers: Headers = (),
    ) -> T:
        """One exchange of whole bodies; ``reads`` raises ``NoAnswer`` for a body that is none."""
        body = await self._called(method, path, content, headers, self._json)
        return self._understood(reads, body)

    async def _called(
        self,
        method: str,
        path: str,
        content: bytes,
        headers: Headers,
        hears: Callable[[Connection], Awaitable[T]],
    ) -> T:
        """What ``hears`` makes of a response with status 200 whose body is still to be read.

        It is limited in time, however slowly the server drips.
        """
        limit = TimeLimit(self._bounds.seconds)
        try:
            with limit:
                response = await self._connections.ask(method, path, content, headers)
                try:
                    if response.status != HTTPStatus.OK:
                        raise self._refusal(response, await self._whole(response))
                    if response.headers.get("content-encoding", "identity") != "identity":
                        raise nonsense(self.url, "in an encoding that was not asked for")
                    return await hears(response)
                finally:
                    self._connections.done(response)
        except Broken as error:
            raise from_connection(self.url, error) from error
        except TimeoutError as error:
            if not limit.expired:
                raise
            seconds = self._bounds.seconds
            raise nonsense(self.url, f"nothing whole in {seconds:g} s") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    def _understood(self, reads: Callable[[bytes], T], body: bytes) -> T:
        try:
            return reads(body)
        except NoAnswer as error:
            found = complaint(body)
            if found is None:
                raise nonsense(self.url, str(error)) from error
            status = found.status or 500
            raise from_status(
                self.url, status, found.message, field=found.param or "request"
            ) from error

    async def _events(self, response: Connection) -> AsyncGenerator[bytes, None]:
        try:
            async for data in events(response, self._bounds.body_bytes):
                yield data
        except NoAnswer as error:
            raise nonsense(self.url, str(error)) from error

    def _refusal(self, response: Connection, body: bytes) -> GatewayError:
        found = complaint(body)
        return from_status(
            self.url,
            response.status,
            found.message if found else "",
            field=(found and found.param) or "request",
            retry_after=response.headers.get("retry-after", ""),
        )

    async def _whole(self, response: Connection) -> bytes:
        return await response.whole(self._bounds.body_bytes)

    async def _json(self, response: Connection) -> bytes:
        body = await self._whole(response)
        kind = response.headers.get("content-type", "")
        if "json" not in kind:
            raise nonsense(self.url, f"in {kind!r} instead of JSON")
        return body
