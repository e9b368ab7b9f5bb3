"""Where a generation's reasoning ends, in tokens: what is thought aloud is not the answer.

Knows the ``<think>`` blocks of today's open models; a server's own reasoning field never gets here.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ucbd.models.generation import Missing, TokenEntropies

_OPEN, _CLOSE = "<think>", "</think>"


def reasoning_tokens(
    text: str, token_ids: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> int:
    """How many tokens come before the answer: through the last closing mark, 0 without any.

    All of them when a block is left open. ``decode`` gives the text of the first tokens.
    """
    said = text.lower()
    marks = said.count(_CLOSE)
    if _OPEN in said[said.rfind(_CLOSE) + 1 :]:
        return len(token_ids)
    if not marks:
        return 0
    # The first tokens that hold every mark: their number only grows with the tokens.
    return bisect_left(
        range(len(token_ids) + 1),
        marks,
        key=lambda n: decode(token_ids[:n]).lower().count(_CLOSE),
    )


def apart(
    entropies: TokenEntropies, reasoning: int
) -> tuple[TokenEntropies | None, TokenEntropies | Missing]:
    """Entropies of the reasoning (None without any) and of the answer."""
    if not reasoning:
        return None, entropies
    lower, upper = entropies.lower, entropies.upper
    thought = replace(entropies, lower=lower[:reasoning], upper=upper and upper[:reasoning])
    if reasoning >= len(lower):
        return thought, Missing("all of the generation is reasoning")
    return thought, replace(entropies, lower=lower[reasoning:], upper=upper and upper[reasoning:])
