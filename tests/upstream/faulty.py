"""A scripted OpenAI-compatible server with named faults, on a real socket.

Speaks as much HTTP/1.1 and as much of the API as the gateway uses, by hand, so that it can also
break both: an answer cut short, a reset, a header that never ends. ``FAULTS`` are the names.
"""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_letters
from typing import Any

HANG = 3600.0  # seconds; whoever waits must give up by itself
CERTAIN = -0.001  # nats: one continuation has 99.9 %


@dataclass(frozen=True)
class Says:
    """What the server answers: its texts in turn, each word a token; and what it is."""

    texts: tuple[str, ...] = ("yes it is",)
    logprob: float = CERTAIN
    top: tuple[float, ...] = (CERTAIN, -8.0, -9.0)
    reasoning: str | None = None
    models: tuple[str, ...] = ("scripted",)
    owner: str = "vllm"
    context: int | None = 4096
    chat: bool = True
    lists: bool = True
    most_top_logprobs: int = 20
    next_token: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    pace: float = 0.0


@dataclass
class Received:
    """A call that came in: its path and its JSON; ``closed`` once the client hung up on it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    closed: bool = False


@dataclass
class Exchange:
    """One call being answered."""

    server: "FaultyUpstream"
    received: Received
    writer: asyncio.StreamWriter
    kept: bool = True

    async def send(
        self,
        content: bytes,
        *,
        status: int = 200,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        lines = {"content-type": kind, "content-length": str(len(content)), **(headers or {})}
        self.writer.write(head(status, lines) + content)
        await self.writer.drain()

    async def send_json(self, value: Any, **options: Any) -> None:
        await self.send(json.dumps(value).encode(), **options)

    async def start_events(self) -> None:
        """A stream of events, in chunks as uvicorn sends it."""
        self.kept = False  # until ``end``
        kind = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        self.writer.write(head(200, kind))
        await self.writer.drain()

    async def event(self, value: Any) -> None:
        data = value if isinstance(value, str) else json.dumps(value)
        await self.chunk(f"data: {data}\n\n".encode())

    async def chunk(self, content: bytes) -> None:
        self.writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        """The stream's last event, and its end in order."""
        await self.event("[DONE]")
        self.writer.write(b"0\r\n\r\n")
        self.kept = True

    def reset(self) -> None:
        """Close with RST: what was written last may be lost, as when a process dies."""
        self.kept = False
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode()


async def hang(exchange: Exchange) -> None:
    await asyncio.sleep(HANG)


async def slow_headers(exchange: Exchange) -> None:
    exchange.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: appl")
    await asyncio.sleep(HANG)


async def drip(exchange: Exchange) -> None:
    """Never silent and never done: a space, which JSON allows anywhere, and another."""
    exchange.kept = False
    exchange.writer.write(head(200, {"content-type": "application/json"}))
    while True:
        exchange.writer.write(b" ")
        await exchange.writer.drain()
        await asyncio.sleep(0.02)


async def half_json(exchange: Exchange) -> None:
    whole = json.dumps(exchange.server.answer(exchange.received.body))
    await exchange.send(whole[: len(whole) // 2].encode())


async def cut_body(exchange: Exchange) -> None:
    """Announces more bytes than it sends."""
    exchange.kept = False
    exchange.writer.write(head(200, {"content-type": "application/json", "content-length": "999"}))
    exchange.writer.write(b'{"choices": [')
    await exchange.writer.drain()


async def wrong_content_type(exchange: Exchange) -> None:
    await exchange.send(b"<html>a login page</html>", kind="text/html")


async def huge_body(exchange: Exchange) -> None:
    """More than anybody wants to read, for as long as the client lets it."""
    exchange.kept = False
    exchange.writer.write(head(200, {"content-type": "application/json"}) + b'{"choices": "')
    for _ in range(100_000):
        exchange.writer.write(b"x" * 65536)
        await exchange.writer.drain()


async def empty_choices(exchange: Exchange) -> None:
    await exchange.send_json({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}})


async def ok_with_error(exchange: Exchange) -> None:
    await exchange.send_json({"error": {"message": "CUDA out of memory", "code": 500}})


async def ok_with_old_error(exchange: Exchange) -> None:
    """vLLM's shape before it took OpenAI's."""
    await exchange.send_json({"object": "error", "message": "EngineDeadError", "code": 500})


async def abort(exchange: Exchange) -> None:
    """vLLM #57082: an aborted request looks like an answer."""
    answer = exchange.server.answer(exchange.received.body)
    answer["choices"][0]["finish_reason"] = "abort"
    await exchange.send_json(answer)


async def no_finish_reason(exchange: Exchange) -> None:
    answer = exchange.server.answer(exchange.received.body)
    answer["choices"][0]["finish_reason"] = None
    await exchange.send_json(answer)


async def negative_tokens(exchange: Exchange) -> None:
    answer = exchange.server.answer(exchange.received.body)
    answer["usage"]["completion_tokens"] = -3
    await exchange.send_json(answer)


async def nan_logprobs(exchange: Exchange) -> None:
    await _with_logprobs(exchange, float("nan"))


async def null_logprobs(exchange: Exchange) -> None:
    """NaN as pydantic writes it."""
    await _with_logprobs(exchange, None)


async def positive_logprobs(exchange: Exchange) -> None:
    await _with_logprobs(exchange, 0.7)


async def tiny_logprobs(exchange: Exchange) -> None:
    """What vLLM makes of −∞: no largest log-probability is that small."""
    await _with_logprobs(exchange, -9999.0)


async def no_logprobs(exchange: Exchange) -> None:
    answer = exchange.server.answer(exchange.received.body)
    answer["choices"][0]["logprobs"] = None
    await exchange.send_json(answer)


async def _with_logprobs(exchange: Exchange, value: float | None) -> None:
    answer = exchange.server.answer(exchange.received.body)
    for token in (answer["choices"][0]["logprobs"] or {"content": []})["content"]:
        token["logprob"] = value
        for top in token["top_logprobs"]:
            top["logprob"] = value
    await exchange.send_json(answer)


async def no_usage(exchange: Exchange) -> None:
    answer = exchange.server.answer(exchange.received.body)
    del answer["usage"]
    await exchange.send_json(answer)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    """Closes in order, without a word."""
    exchange.kept = False


async def not_http(exchange: Exchange) -> None:
    exchange.kept = False
    exchange.writer.write(b"220 mail.example ESMTP\r\n")
    await exchange.writer.drain()


async def redirect(exchange: Exchange) -> None:
    await exchange.send(b"", status=307, headers={"location": "http://127.0.0.1:1/"})


async def stream_error(exchange: Exchange) -> None:
    """LiteLLM #32237: an error in the middle of a stream of status 200, and [DONE] after it."""
    await _begin(exchange)
    await exchange.event({"error": {"message": "EngineDeadError", "code": 500}})
    await exchange.end()


async def stream_error_first(exchange: Exchange) -> None:
    await exchange.start_events()
    await exchange.event({"error": {"message": "EngineDeadError", "code": 500}})


async def stream_abort(exchange: Exchange) -> None:
    """vLLM #57082: an aborted stream ends like an answer."""
    await _begin(exchange)
    await exchange.event(exchange.server.chunk("", exchange.received.body, "abort"))
    await exchange.end()


async def stream_no_end(exchange: Exchange) -> None:
    """[DONE] without a word of how the answer ended."""
    await _begin(exchange)
    await exchange.end()


async def stream_cut(exchange: Exchange) -> None:
    """The connection closes after a first part, without the stream's end."""
    await _begin(exchange)


async def stream_reset(exchange: Exchange) -> None:
    await _begin(exchange)
    await asyncio.sleep(0.05)
    exchange.reset()


async def stream_half_json(exchange: Exchange) -> None:
    await _begin(exchange)
    await exchange.event('{"choices": [{"delta": {"con')


async def stream_endless_line(exchange: Exchange) -> None:
    await _begin(exchange)
    for _ in range(10_000):
        await exchange.chunk(b"x" * 65536)


async def slow_second_chunk(exchange: Exchange) -> None:
    """A first part, and then nothing."""
    await _begin(exchange)
    await asyncio.sleep(HANG)


async def stream_nan(exchange: Exchange) -> None:
    body = exchange.received.body
    await exchange.start_events()
    for finish in (None, "stop"):
        chunk = exchange.server.chunk("yes", body, finish)
        for token in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]:
            token["top_logprobs"] = [{"token": "a", "logprob": float("nan")}]
        await exchange.event(chunk)
    await exchange.end()


async def _begin(exchange: Exchange) -> None:
    await exchange.start_events()
    await exchange.event(exchange.server.chunk("yes", exchange.received.body))


def status(code: int, message: str, retry_after: str | None = None, **error: Any) -> Fault:
    async def answer(exchange: Exchange) -> None:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        body = {"error": {"message": message, "type": "x", "code": code, **error}}
        await exchange.send_json(body, status=code, headers=headers)

    return answer


FAULTS: dict[str, Fault] = {
    "hang": hang,
    "slow_headers": slow_headers,
    "drip": drip,
    "half_json": half_json,
    "cut_body": cut_body,
    "wrong_content_type": wrong_content_type,
    "huge_body": huge_body,
    "empty_choices": empty_choices,
    "ok_with_error": ok_with_error,
    "ok_with_old_error": ok_with_old_error,
    "abort": abort,
    "no_finish_reason": no_finish_reason,
    "negative_tokens": negative_tokens,
    "nan_logprobs": nan_logprobs,
    "null_logprobs": null_logprobs,
    "positive_logprobs": positive_logprobs,
    "tiny_logprobs": tiny_logprobs,
    "no_logprobs": no_logprobs,
    "no_usage": no_usage,
    "reset": reset,
    "hang_up": hang_up,
    "not_http": not_http,
    "redirect": redirect,
    "bad_request": status(400, "temperature is wrong", param="temperature"),
    "too_long": status(400, "This model's maximum context length is 64 tokens. However, …"),
    "unauthorized": status(401, "Incorrect API key provided: sk-1234"),
    "unknown_model": status(404, "The model `x` does not exist."),
    "rate_limited": status(429, "slow down", "7"),
    "used_up": status(429, "the day's quota", "7200"),
    "internal": status(500, "EngineDeadError"),
    "bad_gateway": status(502, "no backend"),
    "unavailable": status(503, "the queue is full", "3"),
    "unavailable_by_date": status(503, "the queue is full", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "overloaded": status(529, "overloaded"),
}

STREAM_FAULTS: dict[str, Fault] = {
    "stream_error": stream_error,
    "stream_error_first": stream_error_first,
    "stream_abort": stream_abort,
    "stream_no_end": stream_no_end,
    "stream_cut": stream_cut,
    "stream_reset": stream_reset,
    "stream_half_json": stream_half_json,
    "stream_endless_line": stream_endless_line,
    "slow_second_chunk": slow_second_chunk,
    "stream_nan": stream_nan,
}
"""Of answers that are streamed."""


@dataclass
class FaultyUpstream:
    """The server. ``faults`` befall the next answers in turn, then ``always`` (None: no fault)."""

    says: Says = field(default_factory=Says)
    faults: Iterable[str | None] = ()
    always: str | None = None
    calls: list[Received] = field(default_factory=list)

    async def __aenter__(self) -> "FaultyUpstream":
        self.faults = deque(self.faults)
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Refuse connections from now on, and break those that are open."""
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def start_again(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def fail(self, *faults: str | None) -> None:
        """These befall the next answers."""
        self.faults = deque(faults)

    @property
    def running(self) -> int:
        """Connections that are open."""
        return len(self._open)

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What is answered when nothing fails."""
        said = self.says.texts[self._turn % len(self.says.texts)]
        self._turn += 1
        words = said.split()
        chat = "messages" in body
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if chat:
            choice["message"] = {"role": "assistant", "content": said}
            if self.says.reasoning is not None:
                choice["message"]["reasoning_content"] = self.says.reasoning
        else:
            choice["text"] = said
        if body.get("logprobs"):
            choice["logprobs"] = self.logprobs(words, body) if chat else self.text_logprobs(words)
        return {
            "id": "x",
            "object": "chat.completion",
            "choices": [choice],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": max(1, len(words)),
                "prompt_tokens_details": {"cached_tokens": 2},
            },
        }

    def logprobs(self, words: list[str], body: Mapping[str, Any]) -> dict[str, Any]:
        tops = dict(zip(ascii_letters, self.says.top, strict=False))
        if body["max_tokens"] == 1 and self.says.next_token:
            tops = dict(self.says.next_token)
        wanted = list(tops.items())[: body.get("top_logprobs", 0)]
        return {
            "content": [
                {
                    "token": word if n == 0 else f" {word}",
                    "logprob": self.says.logprob,
                    "top_logprobs": [{"token": t, "logprob": value} for t, value in wanted],
                }
                for n, word in enumerate(words)
            ]
        }

    def text_logprobs(self, words: list[str]) -> dict[str, Any]:
        return {
            "tokens": words,
            "token_logprobs": [self.says.logprob] * len(words),
            "top_logprobs": [dict(zip(ascii_letters, self.says.top, strict=False))] * len(words),
        }

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while (received := await read_request(reader)) and await self._serve(
                received, reader, writer
            ):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server stops
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one call, watching for the client's leaving; whether the connection is kept."""
        exchange = Exchange(self, received, writer)
        answering = asyncio.ensure_future(self._answer(exchange))
        leaving = asyncio.ensure_future(at_end(reader))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            received.closed = not answering.done()
            if answering.done():
                answering.result()
            return exchange.kept and not received.closed
        except ConnectionError:
            received.closed = True
            raise
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.received.path
        if path == "/v1/models" and self.says.lists:
            await exchange.send_json({"data": [self._model(name) for name in self.says.models]})
            return
        if not path.endswith("/completions"):
            await exchange.send_json({"detail": "Not Found"}, status=404)
            return
        self.calls.append(exchange.received)
        faults = self.faults
        assert isinstance(faults, deque)
        fault = faults.popleft() if faults else self.always
        if fault is not None:
            await (FAULTS | STREAM_FAULTS)[fault](exchange)
            return
        body = exchange.received.body
        if "messages" in body and not self.says.chat:
            await status(400, "there is no chat template")(exchange)
            return
        if (body.get("top_logprobs") or 0) > self.says.most_top_logprobs:
            await status(400, "too many", param="top_logprobs")(exchange)
            return
        await asyncio.sleep(self.says.seconds)
        if body.get("stream"):
            await self._stream(exchange)
        else:
            await exchange.send_json(self.answer(body))

    async def _stream(self, exchange: Exchange) -> None:
        """Word by word, with a comment between as proxies send them."""
        body = exchange.received.body
        answer = self.answer(body)
        await exchange.start_events()
        if self.says.reasoning is not None:
            await exchange.event({"choices": [{"delta": {"reasoning": self.says.reasoning}}]})
        said = answer["choices"][0]
        for n, word in enumerate((said.get("text") or said["message"]["content"]).split()):
            await exchange.event(self.chunk(word if n == 0 else f" {word}", body))
            await exchange.chunk(b": keep-alive\n\n")
            await asyncio.sleep(self.says.pace)
        await exchange.event(self.chunk("", body, "stop"))
        await exchange.event({"choices": [], "usage": answer["usage"]})
        await exchange.end()

    def chunk(
        self, text: str, body: Mapping[str, Any], finish_reason: str | None = None
    ) -> dict[str, Any]:
        """One event of a streamed answer; the last of vLLM's holds the end of text, as a token."""
        logprobs = self.logprobs([text], body) if body.get("logprobs") and text else None
        choice = {"index": 0, "finish_reason": finish_reason, "logprobs": logprobs}
        return {"choices": [choice | {"delta": {"content": text}}]}

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "owned_by": self.says.owner, "max_model_len": self.says.context}


async def at_end(reader: asyncio.StreamReader) -> None:
    """Returns when the client has hung up. Reads nothing, which might be its next request."""
    while not reader.at_eof():  # noqa: ASYNC110 - a stream reader has no event for its end
        await asyncio.sleep(0.005)


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection; None at its end."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(lines[0].split()[1], headers, json.loads(content) if content else {})
