"""The likeliest next tokens by their text: different tokens may read alike. Knows no engine."""

import math
from collections.abc import Iterable

_ABOVE_ZERO = 1e-3  # a probability may exceed 1 by rounding


def by_text(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Log-probabilities in nats, those of the same text added up; what is none is left out."""
    found: dict[str, float] = {}
    for text, value in tokens:
        if value <= _ABOVE_ZERO:  # NaN is not
            found[text] = _added(found[text], value) if text in found else value
    return found


def _added(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities, from theirs."""
    high, low = max(one, other), min(one, other)
    return high if high == -math.inf else high + math.log1p(math.exp(low - high))
