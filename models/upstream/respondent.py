"""A served model that is asked questions: calls in the dialect that its server turns out to speak.

Finds the dialect by one call of each kind, and learns on when a later refusal names a parameter.
Counts what it costs. Does not wait and does not retry: that is the caller's pace.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from ucbd.models.errors import InvalidRequest
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.dialect import Dialect
from ucbd.models.upstream.replies import Asked, Replies, Said, replies

_PATH = "/v1/chat/completions"
_HARMLESS = "What is two plus two?"
_NO_SAMPLES = {"ucbd": {"samples": 0}}  # our own gateway: its samples would be paid for twice


class Paced(Protocol):
    """Makes a call when the server bears it, again where that may help."""

    async def __call__(self, call: Callable[[], Awaitable[Replies]]) -> Replies:
        """What ``call`` gives."""
        ...


@dataclass
class Spent:
    """What was asked for so far; tokens are the server's count, of the calls that it counted."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0


class Respondent:
    """The model named ``model`` behind ``client``; every call goes through ``pace``.

    Raises the client's errors; ``InvalidRequest`` when the server refuses the prompt itself.
    """

    def __init__(self, client: UpstreamClient, model: str, pace: Paced) -> None:
        self.model = model
        self.dialect = Dialect()
        self.spent = Spent()
        self.fingerprints: set[str] = set()
        self._client = client
        self._pace = pace

    async def learn(self, n: int, max_tokens: int) -> None:
        """Find the dialect by asking something harmless, once as an answer and once as samples."""
        found = await self._call(Asked(_HARMLESS, 0.0, max_tokens, logprobs=True), guess=True)
        if found.gateway:
            self.dialect = replace(self.dialect, extra=_NO_SAMPLES)
        await self._samples(Asked(_HARMLESS, 1.0, max_tokens, min(n, 2)), guess=True)

    async def answer(self, prompt: str, max_tokens: int) -> tuple[Said, ...]:
        """The greedy answer, one, with log-probabilities where they are offered."""
        found = await self._call(Asked(prompt, 0.0, max_tokens, logprobs=True))
        return found.said[:1]

    async def samples(
        self, prompt: str, n: int, temperature: float, max_tokens: int
    ) -> tuple[Said, ...]:
        """``n`` further answers, drawn independently; of one call where the server can."""
        return await self._samples(Asked(prompt, temperature, max_tokens, n))

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _samples(self, asked: Asked, *, guess: bool = False) -> tuple[Said, ...]:
        said: tuple[Said, ...] = ()
        while left := asked.n - len(said):
            n = min(left, self.dialect.most)
            found = (await self._call(replace(asked, n=n), guess=guess)).said[:n]
            if len(found) < min(n, self.dialect.most):  # it has never heard of n
                self.dialect = replace(self.dialect, most=1)
            said += found
        return said

    async def _call(self, asked: Asked, *, guess: bool = False) -> Replies:
        """One call, in ever simpler dialects until it is not refused any more."""
        while True:
            spoken = self.dialect
            sent = replace(asked, n=min(asked.n, spoken.most))
            try:
                found = await self._pace(lambda: self._exchange(sent, spoken))  # noqa: B023 awaited here
            except InvalidRequest as error:
                if self.dialect == spoken:  # else another call has learned something meanwhile
                    less = spoken.without(error, sent, guess=guess)
                    if less is None:
                        raise
                    self.dialect = less
            else:
                self._count(found)
                return found

    async def _exchange(self, asked: Asked, spoken: Dialect) -> Replies:
        body = msgspec.json.encode(spoken.body(self.model, asked))
        self.spent.requests += 1
        return await self._client.read(
            "POST", _PATH, lambda answer: replies(answer, spoken.top_logprobs), body
        )

    def _count(self, found: Replies) -> None:
        if found.prompt_tokens is None or found.completion_tokens is None:
            self.spent.uncounted += 1
        else:
            self.spent.prompt_tokens += found.prompt_tokens
            self.spent.completion_tokens += found.completion_tokens
        if found.fingerprint:
            self.fingerprints.add(found.fingerprint)
