"""Several upstreams of one model as one engine: which one is asked, and what a failure leads to.

All calls of one prompt go to one server, so that it reads the prompt once; conversations that begin
alike prefer the same server. A call is made again, elsewhere if possible, only while no byte of an
answer has come. Knows servers, not their JSON.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ucbd.models.engine import ModelInfo
from ucbd.models.errors import (
    EngineUnavailable,
    GatewayError,
    UpstreamBusy,
    UpstreamUnreachable,
)
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Headers,
    Listener,
    Message,
    Piece,
)
from ucbd.models.next_tokens import by_text
from ucbd.models.upstream.client import Bounds, UpstreamClient
from ucbd.models.upstream.errors import may_retry
from ucbd.models.upstream.health import Pace
from ucbd.models.upstream.introduction import Asked, Facts
from ucbd.models.upstream.server import Server

T = TypeVar("T")

_ATTEMPTS = 3
_FIRST_WAIT = 0.1
_MOST_WAIT = 2.0  # seconds between attempts; a server that wants more is passed on to the caller
_ROOM = 32  # calls a preferred server may have more than twice the idlest's


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Which servers, and what they serve. ``vocab_size`` bounds entropies from above."""

    urls: tuple[str, ...]
    model: str
    key: str | None = None
    vocab_size: int | None = None
    revision: str | None = None
    pace: Pace = field(default_factory=Pace)
    bounds: Bounds = field(default_factory=Bounds)


class UpstreamEngine:
    """Speaks ``Engine`` over HTTP. Made by ``start``; to be closed."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        clients = (
            UpstreamClient(url, key=upstreams.key, bounds=upstreams.bounds)
            for url in upstreams.urls
        )
        self._servers = {
            client.url: Server(client, upstreams.model, upstreams.vocab_size, upstreams.pace)
            for client in clients
        }
        self._info: tuple[list[Facts], ModelInfo] | None = None

    @classmethod
    async def start(cls, upstreams: Upstreams) -> "UpstreamEngine":
        """Be introduced to every server that answers; the others are asked until they do.

        Raises ``EngineStartFailed`` for a server that does not serve the model.
        """
        engine = cls(upstreams)
        servers = engine._servers.values()
        await asyncio.gather(*(server.health.alive() for server in servers))
        unfit = next((server.unfit for server in servers if server.unfit), None)
        if unfit is not None:
            await engine.close()
            raise unfit
        return engine

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``: what holds at every server that has been introduced."""
        known = [server.facts for server in self._servers.values() if server.facts]
        if not known:
            raise self._nobody()
        if self._info is None or self._info[0] != known:  # they change with an introduction
            self._info = known, _info(self._upstreams, known)
        return self._info[1]

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """The prompt as it is, and the server it goes to: there it is encoded, and refused."""
        asked: Asked = tuple(prompt) if not isinstance(prompt, str) else prompt
        if isinstance(asked, str) and not raw:
            asked = (Message("user", asked),)
        session = _session(asked)
        ranked = self._ranked(session)
        if not ranked:
            raise self._nobody()
        idlest = min(ranked, key=lambda server: server.running)
        crowded = ranked[0].running > 2 * idlest.running + _ROOM
        return EncodedPrompt((), asked, session, (idlest if crowded else ranked[0]).url)

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """See ``Engine``. Raises ``InvalidRequest`` for what the server refuses."""
        asked, told, headers = _asked(prompt), _Told(listen), _headers(prompt)
        return await self._somewhere(
            prompt,
            lambda server: server.generate(
                asked, options, entropies=entropies, listen=listen and told, headers=headers
            ),
            told,
        )

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """See ``Engine``; no more than the server gives."""
        asked, headers = _asked(prompt), _headers(prompt)
        found = await self._somewhere(prompt, lambda server: server.next_token(asked, top, headers))
        return by_text(found)

    async def alive(self) -> bool:
        """Whether any server produced a token just now, or does when asked."""
        servers = self._servers.values()
        return any(await asyncio.gather(*(server.health.alive() for server in servers)))

    async def close(self) -> None:
        """See ``Engine``."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def _somewhere(
        self,
        prompt: EncodedPrompt,
        call: Callable[[Server], Awaitable[T]],
        told: "_Told | None" = None,
    ) -> T:
        """The call's result, from the prompt's own server or, before the first byte, another."""
        tried: list[Server] = []
        while True:
            server = self._next(prompt, tried)
            tried.append(server)
            try:
                return await call(server)
            except GatewayError as error:
                begun = told is not None and told.begun
                if begun or not may_retry(error) or len(tried) == _ATTEMPTS:
                    raise
                if not self._untried(tried):
                    await _pause(error, len(tried))
                    await server.health.back()

    def _next(self, prompt: EncodedPrompt, tried: Sequence[Server]) -> Server:
        """The prompt's home first, then those not tried, then again any that works."""
        home = self._servers.get(prompt.home or "")
        if not tried and home is not None and home.health.works:
            return home
        ranked = self._ranked(prompt.session)
        if not ranked:
            raise self._nobody()
        return next((server for server in ranked if server not in tried), ranked[0])

    def _untried(self, tried: Sequence[Server]) -> bool:
        return any(s.health.works and s not in tried for s in self._servers.values())

    def _ranked(self, session: str) -> list[Server]:
        """The servers that work, in an order of preference that is each conversation's own.

        By rendezvous hashing, so that it stays where its earlier turns are cached, and moves only
        when its own server goes.
        """
        working = [server for server in self._servers.values() if server.health.works]
        if len(working) < 2:
            return working
        return sorted(working, key=lambda server: _digest(server.url, session))

    def _nobody(self) -> EngineUnavailable:
        faults = "; ".join(filter(None, (s.health.fault for s in self._servers.values())))
        return UpstreamUnreachable(f"no upstream works: {faults}")


def _info(upstreams: Upstreams, known: Sequence[Facts]) -> ModelInfo:
    """What holds at every server of which these facts are known."""
    contexts = [facts.context_length for facts in known if facts.context_length is not None]
    inexact = next((facts.inexact for facts in known if facts.inexact), None)
    return ModelInfo(
        id=upstreams.model,
        revision=upstreams.revision or "unknown",
        context_length=min(contexts, default=None),
        vocab_size=known[0].vocab_size,
        entropy="exact" if inexact is None else "bounds",
        entropy_note=inexact,
        grammars=all(facts.vllm for facts in known),
    )


class _Told:
    """A listener that remembers whether anything was told: then nothing can be begun again."""

    def __init__(self, listen: Listener | None) -> None:
        self._listen = listen
        self.begun = False

    def __call__(self, piece: Piece) -> None:
        self.begun = True
        if self._listen is not None:
            self._listen(piece)


async def _pause(error: GatewayError, attempt: int) -> None:
    """Wait before the same server is asked again; raises ``error`` where that would be long."""
    wait = _FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
    if isinstance(error, UpstreamBusy) and error.retry_after is not None:
        wait = max(wait, error.retry_after)
    if wait > _MOST_WAIT:
        raise error
    await asyncio.sleep(wait)


def _asked(prompt: EncodedPrompt) -> Asked:
    if prompt.asked is None:
        raise ValueError("a prompt that another engine encoded")
    return prompt.asked


def _headers(prompt: EncodedPrompt) -> Headers:
    """The trace, and the session, by which a router behind that address keeps together what begins
    alike: the calls of one request, and the turns of a conversation."""
    return (("x-session-id", prompt.session), *prompt.trace)


def _session(asked: Asked) -> str:
    """A digest of what all turns of a conversation share: all of it through the user's first."""
    if isinstance(asked, str):
        return _digest(asked)
    turns = [message.content for message in asked]
    first = next((n for n, m in enumerate(asked) if m.role == "user"), len(turns) - 1)
    return _digest(*turns[: first + 1])


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
