"""A request sent to the application itself, to see each part of its response when it is sent."""

import asyncio
import json
from typing import Any


class Exchanged:
    """One POST: ``leave`` is the client's going, ``body`` what it has been sent so far."""

    def __init__(self, app: Any, path: str, content: dict) -> None:
        self.messages: list[dict] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._left = asyncio.Event()
        self._request = [
            {"type": "http.request", "body": json.dumps(content).encode(), "more_body": False}
        ]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
        }
        self.serving = asyncio.create_task(app(scope, self._receive, self._send))

    def leave(self) -> None:
        self._left.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def events(self) -> list[tuple[str, Any]]:
        return events(self.body)

    async def _receive(self) -> dict:
        if self._request:
            return self._request.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict) -> None:
        await self.reading.wait()
        self.messages.append(message)


def events(body: bytes) -> list[tuple[str, Any]]:
    """(name, data) of server-sent events; data of ``[DONE]`` stays as it is."""
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        data = lines["data"]
        found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found
