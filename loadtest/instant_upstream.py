"""An OpenAI-compatible server that answers at once, with 20 top log-probabilities of each token.

    .venv/bin/python loadtest/instant_upstream.py --port 9100 --tokens 16

The same bytes to every chat completion, so that what a gateway in front of it takes is the
gateway's own. A bare protocol on uvloop: it must stay far faster than whatever is measured before
it. Knows the model ``instant`` and no request's content.
"""

import argparse
import asyncio
import json
import math
import re

import uvloop

WORDS = ("The", " capital", " of", " Norland", " is", " Lorne", ",", " a", " harbour", " town")
WORDS += (" on", " the", " river", " Ald", ".", "")
TOP = 20
MODELS = {"object": "list", "data": [{"id": "instant", "object": "model", "owned_by": "loadtest"}]}
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def completion(tokens: int) -> bytes:
    """A confident answer as OpenAI and vLLM write it, ``bytes`` of every token included."""
    words = [WORDS[place % len(WORDS)] for place in range(tokens)]
    content = [token(place, word) for place, word in enumerate(words)]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(words)},
        "logprobs": {"content": content},
        "finish_reason": "stop",
    }
    return json.dumps(
        {
            "id": "chatcmpl-instant",
            "object": "chat.completion",
            "created": 1795500000,
            "model": "instant",
            "choices": [choice],
            "usage": {
                "prompt_tokens": 12,
                "completion_tokens": tokens,
                "total_tokens": 12 + tokens,
            },
        }
    ).encode()


def token(place: int, word: str) -> dict[str, object]:
    """The token and its likeliest rivals, whose probabilities halve from 0.4 % downwards."""
    rivals = [(f" rival{rank}", math.log(0.004 / 2**rank)) for rank in range(TOP - 1)]
    tops = [(word, math.log(0.99)), *rivals]
    spelled = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in tops]
    return {**spelled[0], "top_logprobs": spelled}


def response(body: bytes) -> bytes:
    head = ("HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body)}")
    return "\r\n".join((*head, "", "")).encode() + body


LIST = response(json.dumps(MODELS).encode())
MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Instant(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while (head_end := self.rest.find(b"\r\n\r\n")) >= 0:
            head = self.rest[:head_end]
            length = LENGTH.search(head)
            end = head_end + 4 + (int(length.group(1)) if length else 0)
            if len(self.rest) < end:
                return
            self.rest = self.rest[end:]
            self.transport.write(self.reply(head))

    def reply(self, head: bytes) -> bytes:
        if head.startswith(b"POST") and b"/chat/completions" in head:
            return self.answer
        return LIST if head.startswith(b"GET") and b"/models" in head else MISSING


async def serve(port: int, tokens: int) -> None:
    answer = response(completion(tokens))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Instant(answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--tokens", type=int, default=len(WORDS), help="of each answer")
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.tokens))
