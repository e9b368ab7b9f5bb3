"""The least that such a gateway can do, by FastAPI: read, ask, compute the bounds, answer.

    .venv/bin/python -m loadtest.least_gateway --upstream http://127.0.0.1:9100

No policy, no stages, no limits, no metrics, no log, no error: what is left is the floor under the
gateway's own figures. Takes a chat completion, answers as many bytes as the gateway does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import numpy as np

from loadtest.passthrough import HEADERS, PATH, Send, main

VOCABULARY, TOP = 128_000, 20
REST = "x" * 1_500  # of the gateway's response, whatever it says


class Turn(msgspec.Struct):
    role: str
    content: str


class Asked(msgspec.Struct):
    model: str
    messages: list[Turn]
    max_tokens: int = 64


class Top(msgspec.Struct, gc=False):
    logprob: float


class Token(msgspec.Struct, gc=False):
    top_logprobs: list[Top]


class Logprobs(msgspec.Struct):
    content: list[Token]


class Choice(msgspec.Struct):
    message: Turn
    logprobs: Logprobs


class Answer(msgspec.Struct):
    choices: list[Choice]


def bounds(tokens: list[Token]) -> tuple[list[float], list[float]]:
    """Lower and upper bound of each token's entropy, in nats (docs of ``models/top_k.py``)."""
    top = np.array([[one.logprob for one in token.top_logprobs] for token in tokens])
    p = np.exp(top)
    rest = np.maximum(1 - p.sum(axis=1), 1e-300)
    lower = -np.vecdot(p, top) - rest * np.log(rest)
    return lower.tolist(), (lower + rest * np.log(VOCABULARY - TOP)).tolist()


@asynccontextmanager
async def by_least(url: str) -> AsyncIterator[Send]:
    async with aiohttp.ClientSession() as session:

        async def send(body: bytes) -> bytes:
            asked = msgspec.json.decode(body, type=Asked)
            call = {
                "model": asked.model,
                "messages": asked.messages,
                "max_tokens": asked.max_tokens,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": TOP,
            }
            content = msgspec.json.encode(call)
            async with session.post(url + PATH, data=content, headers=HEADERS) as came:
                choice = msgspec.json.decode(await came.read(), type=Answer).choices[0]
            lower, upper = bounds(choice.logprobs.content)
            said = {"answer": choice.message.content, "lower": lower, "upper": upper, "rest": REST}
            return msgspec.json.encode(said)

        yield send


if __name__ == "__main__":
    main({"least": by_least}, __doc__.splitlines()[0])
