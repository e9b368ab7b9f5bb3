"""A server's reply as the project's ``Generation``: its token entropies, reasoning apart.

Bounds from the top-K log-probabilities, or the exact values that a server with our plugin kept.
Knows no connection.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ucbd.models.generation import Generation, Missing, TokenEntropies, TokenLogprob
from ucbd.models.thinking import apart, reasoning_tokens
from ucbd.models.top_k import entropy_bounds
from ucbd.models.upstream.shapes import Token
from ucbd.models.upstream.wire import Reply

_MARK = re.compile("</?think>", re.IGNORECASE)


def bounds(
    logprobs: Sequence[Token] | None, top_k: int, vocab_size: int | None
) -> TokenEntropies | Missing:
    """Bounds on the entropy of each token, in nats; ``Missing`` where the server gave no usable
    log-probabilities."""
    if logprobs is None:
        return Missing("the server gave no log-probabilities")
    rows = [[top.logprob for top in token.top_logprobs or ()] for token in logprobs]
    return entropy_bounds(rows, top_k, vocab_size)


def exact(reply: Reply, kept: Sequence[float] | Missing) -> TokenEntropies | Missing:
    """The first values that a server kept, one for each token of the reply; a step may have run
    past the end."""
    if isinstance(kept, Missing):
        return kept
    values = tuple(kept[: reply.tokens])
    if len(values) < reply.tokens or not values:
        return Missing(f"{len(values)} of {reply.tokens} token entropies were still held")
    if not all(map(math.isfinite, values)):
        return Missing("the server computed token entropies that are not finite")
    return TokenEntropies(lower=values, upper=values, exact=True)


def likeliest(
    logprobs: Sequence[Token] | None, most: int | None
) -> tuple[TokenLogprob, ...] | None:
    """The tokens with that many of the likeliest in their place, the largest first; None for none
    asked for, or given."""
    if most is None or logprobs is None:
        return None
    return tuple(
        TokenLogprob(
            token.token,
            _number(token.logprob),
            tuple(sorted(tops(token), key=lambda one: -one[1])[:most]),
        )
        for token in logprobs
    )


def tops(token: Token) -> list[tuple[str, float]]:
    """The likeliest of a token's place and their log-probabilities; NaN is no number."""
    return [(top.token, _number(top.logprob)) for top in token.top_logprobs or ()]


def generation(
    reply: Reply, entropies: TokenEntropies | Missing, logprobs: int | None = None
) -> Generation:
    """The reply, with its entropies split where the reasoning ends, and with log-probabilities
    where so many were asked for."""
    reasoning = None
    if not isinstance(entropies, Missing):
        thought = thought_tokens(reply)
        if isinstance(thought, Missing):
            entropies = thought
        else:
            reasoning, entropies = apart(entropies, thought)
    return Generation(
        text=reply.text,
        tokens=reply.tokens,
        finish_reason=reply.finish_reason,
        entropies=entropies,
        prompt_tokens=reply.prompt_tokens,
        cached_prompt_tokens=reply.cached_prompt_tokens,
        reasoning=reasoning,
        logprobs=likeliest(reply.logprobs, logprobs),
    )


def thought_tokens(reply: Reply) -> int | Missing:
    """How many of the reply's tokens come before its answer, 0 without reasoning."""
    if reply.reasoning is None and not _MARK.search(reply.text):
        return 0
    texts = [token.token for token in reply.logprobs or ()]
    if reply.reasoning is None:
        if texts:
            return reasoning_tokens(
                reply.text, range(len(texts)), lambda n: "".join(texts[: len(n)])
            )
    elif texts:
        return _before(reply.text, texts)
    if reply.reasoning_tokens is not None:
        return reply.reasoning_tokens
    return Missing("where the reasoning ends among the tokens is not known")


def _before(answer: str, texts: Sequence[str]) -> int:
    """How many tokens end before the last place where the answer stands; all without an answer."""
    said = answer.strip()
    start = "".join(texts).rfind(said) if said else -1
    if start < 0:
        return len(texts)
    return bisect_right(list(accumulate(map(len, texts))), start)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
