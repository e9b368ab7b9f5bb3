"""What an upstream is, found out by asking before the first request goes there.

Which API it takes, how many log-probabilities it gives, whether it is a vLLM, and whether it keeps
exact token entropies: these are held against the bounds from its own log-probabilities first.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ucbd.models.errors import EngineStartFailed, InvalidRequest, UpstreamFailed
from ucbd.models.generation import (
    GenerationOptions,
    Headers,
    Message,
    Missing,
    TokenEntropies,
)
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.measure import bounds
from ucbd.models.upstream.plugin import EntropyRoute
from ucbd.models.upstream.shapes import Token
from ucbd.models.upstream.wire import Call, ServedModel

log = logging.getLogger(__name__)

HELLO = (Message("user", "Hello"),)
CHECK_TOLERANCE_NATS = 1e-3
_CHECK_TOKENS = 8
_TOP_K = (20, 5, None)  # what vLLM and OpenAI give, what others do, nothing
# A model's own generation_config may set these in a vLLM; other servers refuse the fields.
_FILTERS_OFF: Mapping[str, Any] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}

Asked = str | tuple[Message, ...]
"""A text to continue, or a conversation."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an introduction found.

    ``chat`` tells whether conversations can be sent; ``top_k`` how many log-probabilities come
    back, None for none; ``inexact`` why token entropies are not exact, None when they are.
    """

    model: str
    context_length: int | None
    vocab_size: int | None
    inexact: str | None
    chat: bool = True
    top_k: int | None = None
    vllm: bool = False

    def call(
        self,
        asked: Asked,
        options: GenerationOptions,
        top: int | None = None,
        headers: Headers = (),
    ) -> Call:
        """The call that asks this server for one answer, with ``top`` log-probabilities."""
        prompt: str | Sequence[Message] = asked
        if not self.chat and not isinstance(asked, str):
            prompt = "\n".join(message.content for message in asked)
        return Call(self.model, prompt, options, top, _FILTERS_OFF if self.vllm else {}, headers)

    def measured(self, logprobs: Sequence[Token] | None) -> TokenEntropies | Missing:
        """Bounds on the entropy of these tokens, in nats."""
        if self.top_k is None:
            return Missing("the server gives no log-probabilities")
        return bounds(logprobs, self.top_k, self.vocab_size)


async def introduce(
    client: UpstreamClient, route: EntropyRoute, model: str, vocab_size: int | None
) -> Facts:
    """Ask a server what it is; ``vocab_size`` is what the operator says.

    Raises the client's errors, and ``EngineStartFailed`` for a server that can never do.
    """
    served = await _served(client, model)
    vllm = served is not None and served.owner == "vllm"
    facts = Facts(
        model=model,
        context_length=served.context_length if served else None,
        vocab_size=vocab_size,
        inexact="the server is no vLLM",
        vllm=vllm,
    )
    facts = await _way_to_ask(client, facts)
    if vllm:
        facts = await _with_exact(client, route, facts)
    said = "exact" if facts.inexact is None else f"bounded ({facts.inexact})"
    log.info("%s serves %s: token entropy is %s", client.url, model, said)
    return facts


async def _served(client: UpstreamClient, model: str) -> ServedModel | None:
    """The server's own line about the model; None from a server that lists nothing."""
    try:
        listed = await client.models()
    except UpstreamFailed as error:
        if not error.began:
            raise
        return None  # no such route, or something else in its place
    for served in listed:
        if served.id == model:
            return served
    names = ", ".join(served.id for served in listed[:10]) or "nothing"
    raise EngineStartFailed(f"{client.url} serves {names}, and not {model!r}")


async def _way_to_ask(client: UpstreamClient, facts: Facts) -> Facts:
    """With the most log-probabilities it gives, chat before plain completions."""
    refusal: InvalidRequest | None = None
    for chat in (True, False):
        for top in _TOP_K:
            way = replace(facts, chat=chat)
            try:
                reply = await client.ask(way.call(HELLO, GenerationOptions(1), top))
            except InvalidRequest as error:
                refusal = error
                continue
            given = max(
                (len(token.top_logprobs or ()) for token in reply.logprobs or ()), default=0
            )
            if top is None or given:
                return replace(way, top_k=top and min(top, given))
    raise EngineStartFailed(f"{client.url} takes no request of the gateway: {refusal}")


async def _with_exact(client: UpstreamClient, route: EntropyRoute, facts: Facts) -> Facts:
    told = await route.told()
    if told is None:
        return replace(facts, inexact="the server runs without the package ucbd-vllm")
    facts = replace(facts, vocab_size=told.vocab_size, inexact=told.missing)
    if told.missing:
        return facts
    return replace(facts, inexact=await _difference(client, route, facts))


async def _difference(client: UpstreamClient, route: EntropyRoute, facts: Facts) -> str | None:
    """What is wrong with the values that the server keeps, by its own log-probabilities."""
    if facts.top_k is None:
        return "the server gives no log-probabilities to check them by"
    options = GenerationOptions(_CHECK_TOKENS)
    request, call = route.marked(facts.call(HELLO, options, facts.top_k))
    reply = await client.ask(call)
    kept = await route.entropies(request, reply)
    between = facts.measured(reply.logprobs)
    if isinstance(kept, Missing):
        return kept.reason
    if isinstance(between, Missing) or between.upper is None:
        return "the server gives no log-probabilities to check them by"
    if len(between.lower) != len(kept.lower):
        return f"the server kept {len(kept.lower)} values for {len(between.lower)} tokens"
    worst = max(
        max(low - value, value - high)
        for low, value, high in zip(between.lower, kept.lower, between.upper, strict=True)
    )
    if worst > CHECK_TOLERANCE_NATS:
        return f"the self-check at start was {worst:g} nats off"
    return None
