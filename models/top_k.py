"""Bounds on token entropy from the K largest log-probabilities of each token.

All that any OpenAI-compatible server shows. Knows no server. Truncating the sum, or renormalising
it, gives a value below the lower bound; neither is done here (method.md section 3, B1).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ucbd.models.generation import Missing, TokenEntropies

# A probability may exceed 1 by rounding; a log-probability above this is no log-probability.
_ABOVE_ZERO = 1e-3
# The largest of V probabilities is at least 1/V: below this no vocabulary is that large, and what
# stands there is a server's word for -inf (vLLM's is -9999).
_NEVER_LARGEST = -20.0
# Its probability is 0 as a double, and 0 times it is 0, which 0 times −inf is not.
_NOTHING = -1e4
_TINY = np.finfo(np.float64).tiny  # stands for 0 where a logarithm is multiplied by 0
# An array's own methods do the same through a layer of Python, which on so little is half the time.
_greatest, _least, _sum = np.maximum.reduce, np.minimum.reduce, np.add.reduce


def entropy_bounds(
    top_logprobs: Sequence[Sequence[float | None]], k: int, vocab_size: int | None
) -> TokenEntropies | Missing:
    """Lower and upper bound of each token's entropy, in nats; higher = less certain.

    ``top_logprobs`` holds per token its largest log-probabilities in any order, K of them or K + 1
    when the sampled token was added; only the ``k`` largest count. −inf is probability 0, None is
    NaN. With R the remaining mass and S the truncated sum: ``S − R ln R`` and ``+ R ln(V − K)``; no
    upper bound without ``vocab_size``. ``Missing`` when a token has no usable log-probability.
    """
    if not top_logprobs or not all(top_logprobs):
        return Missing("the server gave a token without log-probabilities")
    widths = list(map(len, top_logprobs))
    rows = _rows(top_logprobs, widths)
    largest = _greatest(rows, axis=1)
    if not _greatest(largest) <= _ABOVE_ZERO:  # false of NaN too, which a maximum passes on
        return Missing("the server gave log-probabilities that are NaN or above zero")
    if _least(largest) < _NEVER_LARGEST:
        return Missing("the server gave log-probabilities of which none can be the largest")
    if rows.shape[1] > k:
        rows = -np.sort(-rows, axis=1)[:, :k]
    top = np.minimum(np.maximum(rows, _NOTHING), 0.0)
    p = np.exp(top)
    rest = np.maximum(1.0 - _sum(p, axis=1), 0.0)
    lower = -np.vecdot(p, top) - rest * np.log(np.maximum(rest, _TINY))
    upper = None
    if vocab_size is not None:
        others = {width: math.log(max(1, vocab_size - min(width, k))) for width in set(widths)}
        upper = tuple((lower + rest * [others[width] for width in widths]).tolist())
    return TokenEntropies(lower=tuple(lower.tolist()), upper=upper, exact=False, top_k=k)


def _rows(
    top_logprobs: Sequence[Sequence[float | None]], widths: Sequence[int]
) -> NDArray[np.float64]:
    """(tokens, K), filled up with −inf where a server gave fewer."""
    width = max(widths)
    if min(widths) == width:
        return np.array(top_logprobs, np.float64)
    rows = np.full((len(widths), width), -np.inf)
    for row, values in zip(rows, top_logprobs, strict=True):
        row[: len(values)] = values
    return rows
