"""An OpenAI-compatible server with a script, in a thread: what each prompt is answered with.

On a real socket, so that commands and other processes can ask it. ``Answer`` is one choice; a
script may also give a ``Refusal`` with a status of its own, in OpenAI's shape.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DECIDED = (-0.01, -5.0, -6.0)


@dataclass(frozen=True)
class Answer:
    """One choice: its text, its words' top log-probabilities, and how it ended."""

    text: str | None = "Yes."
    top: tuple[float, ...] | None = DECIDED
    finish: str | None = "stop"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A status other than 200; ``words`` None sends no JSON at all."""

    status: int
    words: str | None = "no"
    param: str | None = None
    retry_after: str | None = None


Script = Callable[[dict[str, Any], int], Answer | Refusal]
"""The body of a call and the number of the choice, from 0 over all calls."""


def yes(body: Mapping[str, Any], turn: int) -> Answer:
    return Answer()


@dataclass
class Server:
    """A running server; ``calls`` are the bodies it was sent.

    ``one_choice`` ignores ``n``; ``extra`` is added to every reply.
    """

    url: str
    script: Script
    models: tuple[str, ...]
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    turns: int = 0
    one_choice: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def reply(self, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            self.calls.append(body)
            turns = range(self.turns, self.turns + (1 if self.one_choice else body.get("n", 1)))
            self.turns = turns.stop
            said = [self.script(body, turn) for turn in turns]
        for one in said:
            if isinstance(one, Refusal):
                return _refused(one)
        choices = [_choice(one, body) for one in said if isinstance(one, Answer)]
        tokens = sum(len((one.text or "").split()) for one in said if isinstance(one, Answer))
        usage = {"prompt_tokens": 7, "completion_tokens": tokens}
        whole = {"object": "chat.completion", "choices": choices, "usage": usage}
        return 200, {}, {**whole, **self.extra}


def prompt(body: Mapping[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def greedy(body: Mapping[str, Any]) -> bool:
    return body.get("temperature") == 0


@contextmanager
def served(script: Script = yes, models: tuple[str, ...] = ("scripted",)) -> Iterator[Server]:
    """A server on a free port, stopped in the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {}, {"object": "list", "data": [{"id": name} for name in models]})

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            self._send(*running.reply(json.loads(self.rfile.read(length))))

        def _send(self, status: int, headers: Mapping[str, str], content: Any) -> None:
            body = b"sorry" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    running = Server(f"http://127.0.0.1:{listening.server_port}", script, models)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield running
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def _choice(answer: Answer, body: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, **answer.extra}
    logprobs = None
    if body.get("logprobs") and answer.top is not None:
        rows = [{"token": "", "logprob": value} for value in answer.top]
        words = (answer.text or "").split(" ")
        texts = [word if i == 0 else f" {word}" for i, word in enumerate(words)]
        content = [{"token": t, "logprob": answer.top[0], "top_logprobs": rows} for t in texts]
        logprobs = {"content": content}
    return {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": logprobs}


def _refused(one: Refusal) -> tuple[int, dict[str, str], Any]:
    headers = {"retry-after": one.retry_after} if one.retry_after else {}
    if one.words is None:
        return one.status, headers, None
    return one.status, headers, {"error": {"message": one.words, "param": one.param}}
