"""One upstream: its introduction, calls to it, and whether it works. Knows no other upstream."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from ucbd.models.errors import EngineStartFailed, UpstreamFailed, UpstreamUnreachable
from ucbd.models.generation import (
    Generation,
    GenerationOptions,
    Headers,
    Listener,
    Missing,
    TokenEntropies,
    TokenLogprob,
)
from ucbd.models.live import Live
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.health import Health, Pace
from ucbd.models.upstream.introduction import HELLO, Asked, Facts, introduce
from ucbd.models.upstream.measure import generation, likeliest, tops
from ucbd.models.upstream.plugin import EntropyRoute
from ucbd.models.upstream.wire import Call, Part, Reply

T = TypeVar("T")


class Server:
    """The upstream behind ``client``, asked for ``model``; ``vocab_size`` where it is known.

    Calls raise the client's errors, and ``UpstreamUnreachable`` before the introduction.
    """

    def __init__(
        self, client: UpstreamClient, model: str, vocab_size: int | None, pace: Pace
    ) -> None:
        self._client = client
        self._model = model
        self._vocab_size = vocab_size
        self._pace = pace
        self._route = EntropyRoute(client)
        self.health = Health(client.url, self.probe, pace)
        self.facts: Facts | None = None
        self.unfit: EngineStartFailed | None = None
        self.running = 0

    @property
    def url(self) -> str:
        """Its address, which names it."""
        return self._client.url

    async def generate(
        self,
        asked: Asked,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
        headers: Headers = (),
    ) -> Generation:
        """One answer; see ``Engine``. It is streamed only where somebody listens."""
        facts = self._known()
        if entropies and facts.inexact is None:
            call = facts.call(asked, options, options.logprobs, headers)
            return await self._watched(self._exactly(facts, call, listen))
        call = facts.call(asked, options, facts.top_k if entropies else options.logprobs, headers)
        return await self._watched(self._bounded(facts, call, listen, entropies=entropies))

    async def next_token(
        self, asked: Asked, top: int, headers: Headers = ()
    ) -> Sequence[tuple[str, float]]:
        """The likeliest next tokens and their log-probabilities, as many of ``top`` as it gives."""
        facts = self._known()
        if facts.top_k is None:
            raise UpstreamFailed(f"{self.url} gives no log-probabilities")
        most = min(top, facts.top_k)
        call = facts.call(asked, GenerationOptions(1), most, headers)
        reply = await self._watched(self._client.ask(call))
        return tops(reply.logprobs[0]) if reply.logprobs else ()

    async def probe(self) -> None:
        """One token; then an introduction, unless it worked all the time: it may be another now.

        Raises when there is no token.
        """
        if self.facts is not None:
            token = self._client.ask(self.facts.call(HELLO, GenerationOptions(1)))
            await self._within(self._pace.probe, token)
        if self.facts is None or not self.health.works:
            await self._within(self._pace.introduction, self._introduced())

    async def close(self) -> None:
        """Stop probing and close its connections."""
        await self.health.close()
        await self._client.close()

    async def _within(self, seconds: float, work: Coroutine[Any, Any, object]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError as error:
            raise UpstreamFailed(f"{self.url} produced no token within {seconds:g} s") from error

    async def _introduced(self) -> None:
        try:
            self.facts = await introduce(self._client, self._route, self._model, self._vocab_size)
        except EngineStartFailed as error:
            self.unfit = error
            raise

    async def _bounded(
        self, facts: Facts, call: Call, listen: Listener | None, *, entropies: bool
    ) -> Generation:
        options, live = call.options, Live(listen)
        reply = await self._reply(facts, call, listen and live)
        measured: TokenEntropies | Missing = Missing("not asked for")
        if entropies:
            measured = _as_drawn(facts.measured(reply.logprobs), options)
        live.finish(*_last(reply, measured, options))
        return generation(reply, measured, options.logprobs)

    async def _exactly(self, facts: Facts, call: Call, listen: Listener | None) -> Generation:
        options = call.options
        request, call = self._route.marked(call)
        live = Live(listen, lambda start: self._route.so_far(request, start))
        try:
            reply = await self._reply(facts, call, listen and live)
            measured = _as_drawn(await self._route.entropies(request, reply), options)
            live.finish(*_last(reply, measured, options))
        except BaseException:
            live.close()
            self._route.forget(request)
            raise
        return generation(reply, measured, options.logprobs)

    async def _reply(self, facts: Facts, call: Call, live: Live | None) -> Reply:
        if live is None:
            return await self._client.ask(call)
        wanted = call.options.logprobs

        def told(part: Part) -> None:
            self.health.progress()
            known = facts.measured(part.logprobs) if part.logprobs and facts.inexact else None
            points = known.points if isinstance(known, TokenEntropies) else ()
            # Without log-probabilities a part has at least one token; the rest comes in the end.
            tokens = len(part.logprobs or ()) or int(bool(part.text))
            live.say(part.text, tokens, points, likeliest(part.logprobs, wanted) or ())

        return await self._client.hear(call, told)

    def _known(self) -> Facts:
        if self.facts is None:
            raise UpstreamUnreachable(self.health.fault or f"{self.url} has not been asked yet")
        return self.facts

    async def _watched(self, call: Awaitable[T]) -> T:
        self.running += 1
        try:
            return await self.health.watched(call)
        finally:
            self.running -= 1


def _as_drawn(
    measured: TokenEntropies | Missing, options: GenerationOptions
) -> TokenEntropies | Missing:
    if isinstance(measured, Missing) or options.json_schema is None:
        return measured
    return replace(measured, constrained=True)


def _last(
    reply: Reply, measured: TokenEntropies | Missing, options: GenerationOptions
) -> tuple[str, int, TokenEntropies | Missing, Sequence[TokenLogprob] | None]:
    """What a listener is told of the whole."""
    return reply.text, reply.tokens, measured, likeliest(reply.logprobs, options.logprobs)
