"""One request from its first byte to its last: read, answered, told; counted once, logged once.

Knows no wire format: an ``Edge`` reads the request, and writes the answer, its parts and an error.
A request ends in exactly one counter, a decision or an error code, also when its client leaves in
the middle of a stream.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ucbd.app.admission import read_body, unless_client_leaves
from ucbd.app.answering import Answered, answered
from ucbd.app.errors import ClientClosed, status_and_code
from ucbd.app.feed import Feed, Told
from ucbd.app.gate import caller_of
from ucbd.app.question import Wanted
from ucbd.app.request_id import HEADER, request_id
from ucbd.app.service import Service
from ucbd.app.single_cluster_rate.shadow import Draw
from ucbd.app.telemetry.logs import log_fields
from ucbd.models.errors import GatewayError

log = logging.getLogger("ucbd.requests")

EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        }
    }
}
"""For OpenAPI: the shape of a stream's events."""

_EVENT_STREAM = "text/event-stream; charset=utf-8"
_STALLED_SECONDS = 30.0  # a client that reads nothing for so long has left


class Head(Struct, frozen=True):
    """What every part of a response repeats. ``created`` is Unix time in seconds."""

    id: str
    model: str
    created: int


class Asked(Protocol):
    """A request that was read; writes what is said to it, in its own format."""

    @property
    def wanted(self) -> Wanted:
        """What it asks for."""
        ...

    def body(self, answer: Answered) -> bytes:
        """The whole response, where it is not streamed."""
        ...

    def event(self, told: Told) -> bytes:
        """A part of an answer, as an event of the stream."""
        ...

    def ending(self, answer: Answered) -> bytes:
        """What a stream ends with after its last part."""
        ...

    def failure(self, error: Exception) -> bytes:
        """What a stream ends with when it fails after its first byte."""
        ...


class ExchangeRoute(APIRoute):
    """A route whose endpoint returns an ``Exchange``: documented by FastAPI, called without it.

    FastAPI would look for dependencies and parameters that there are none of, for each request.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await endpoint(Request(scope, receive)).serve(send)

        self.app = served


class Edge(Protocol):
    """A wire format."""

    id_prefix: str

    def read(self, content_type: str | None, body: bytes, head: Head) -> Asked:
        """The request in a body. Raises ``GatewayError`` for what is none."""
        ...

    def refusal(self, error: Exception) -> Response:
        """The response to a request that failed before the first byte of its answer."""
        ...


class Exchange:
    """The response to ``request`` and all that comes before it, under one roof.

    It ends when its last byte has been written.
    """

    def __init__(self, request: Request, service: Service, edge: Edge) -> None:
        self._request = request
        self._service = service
        self._edge = edge
        self._start = time.monotonic()
        self._id = request_id(edge.id_prefix, request.headers)
        self._head = Head(self._id.own, service.model, int(time.time()))
        self._trace = service.tracing.begin(request.scope["path"], self._head.id, request.headers)

    async def serve(self, send: Send) -> None:
        """Serve the request."""
        writer = _EventWriter(send, self._id.told)
        asked: Asked | None = None
        try:
            with self._service.shadow.draw() as draw, self._service.admission.admit():
                asked = await self._read()
                work = self._answer(asked, draw, writer)
                answer = await unless_client_leaves(self._request, work)
                last = asked.ending(answer) if asked.wanted.stream else asked.body(answer)
        except asyncio.CancelledError:
            self._count_error(ClientClosed("the server stopped"))
            raise
        except Exception as error:
            # The last line of defence: whatever it is, it is counted, logged and answered.
            self._count_error(error)
            if asked is not None and writer.begun:
                if not isinstance(error, ClientClosed):
                    await writer.end(asked.failure(error))
            else:
                await self._respond(self._edge.refusal(error), send)
        else:
            self._count_answer(answer)
            if asked.wanted.stream:
                await writer.end(last)
            else:
                await send(_start("application/json", self._id.told, len(last)))
                await send({"type": "http.response.body", "body": last})

    async def _read(self) -> Asked:
        limits = self._service.settings
        body = await read_body(self._request, limits.max_body_bytes, limits.body_seconds)
        return self._edge.read(self._request.headers.get("content-type"), body, self._head)

    async def _answer(self, asked: Asked, draw: Draw, writer: "_EventWriter") -> Answered:
        """The answer; of a stream all has been written when this returns, but its ending."""
        caller = caller_of(self._request)
        if not asked.wanted.stream:
            return await answered(
                asked.wanted, self._service, self._start, draw, caller, self._trace
            )
        feed = Feed()
        work = asyncio.create_task(
            answered(asked.wanted, self._service, self._start, draw, caller, self._trace, feed)
        )
        work.add_done_callback(feed.close)
        try:
            async for parts in feed:
                await writer.write(b"".join(map(asked.event, parts)))
            answer = await work
            for part in answer.parts():
                if part.choice not in feed.begun:
                    await writer.write(asked.event(part))
            return answer
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _respond(self, response: Response, send: Send) -> None:
        response.headers[HEADER] = self._id.told
        await response(self._request.scope, self._request.receive, send)

    def _ids(self) -> dict[str, str]:
        """The request's own id, and its caller's and its trace where it has them."""
        trace = self._trace.id
        return self._id.fields() | ({"trace_id": trace} if trace else {})

    def _count_answer(self, answer: Answered) -> None:
        outcome, seconds = answer.outcome, time.monotonic() - self._start
        self._service.metrics.observe(outcome, seconds)
        self._trace.answered(outcome)
        self._service.shadow.generated(outcome.spent.main_tokens + outcome.spent.further_tokens)
        log_fields(
            log,
            logging.INFO,
            "answered",
            **self._ids(),
            decision=outcome.decision,
            boundary=outcome.boundary,
            rung=outcome.rung,
            seconds=round(seconds, 4),
            tokens=outcome.spent.main_tokens,
            sampled_tokens=outcome.spent.sampled_tokens,
        )
        if self._service.records:
            self._service.records.keep(
                self._head.id, outcome, answer.question, answer.policy_name, answer.policy
            )

    def _count_error(self, error: Exception) -> None:
        status, code = status_and_code(error)
        self._service.metrics.error(code)
        self._trace.failed(status, code)
        if not isinstance(error, GatewayError):
            log.error("request %s failed", self._head.id, exc_info=error)
        log_fields(
            log,
            logging.WARNING if status >= 500 else logging.INFO,
            "refused" if status < 500 else "failed",
            **self._ids(),
            status=status,
            code=code,
            seconds=round(time.monotonic() - self._start, 4),
        )


def turned_away(
    service: Service, headers: Mapping[str, str], error: Exception, response: Response
) -> Response:
    """The response to a request that no route serves, or not to this caller: counted and logged.

    ``headers`` are the request's.
    """
    status, code = status_and_code(error)
    ids = request_id("req-", headers)
    service.metrics.error(code)
    log_fields(log, logging.INFO, "refused", **ids.fields(), status=status, code=code)
    response.headers[HEADER] = ids.told
    return response


class _EventWriter:
    """Server-sent events to one client, begun with the first byte."""

    def __init__(self, send: Send, told_id: str) -> None:
        self.begun = False
        self._send = send
        self._told_id = told_id

    async def write(self, events: bytes) -> None:
        """Send events. Raises ``ClientClosed`` when the client reads no more."""
        await self._out(events, more=True)

    async def end(self, events: bytes) -> None:
        """Send the last events. The request is counted by now: who left is not told apart."""
        with suppress(ClientClosed):
            await self._out(events, more=False)

    async def _out(self, events: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(_STALLED_SECONDS):
                if not self.begun:
                    self.begun = True
                    await self._send(_start(_EVENT_STREAM, self._told_id))
                await self._send({"type": "http.response.body", "body": events, "more_body": more})
        except (TimeoutError, OSError) as error:
            raise ClientClosed("the client stopped reading") from error


def _start(media_type: str, told_id: str, length: int | None = None) -> Message:
    """The beginning of a 200; of a stream without ``length``."""
    headers = [(b"content-type", media_type.encode()), (HEADER.encode(), told_id.encode())]
    if length is None:
        # A proxy may not collect what is to be seen at once.
        headers += [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    else:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": 200, "headers": headers}
