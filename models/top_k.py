"""Bounds on token entropy from the K largest log-probabilities of each token.

All that any OpenAI-compatible server shows. Knows no server. Truncating the sum, or renormalising
it, gives a value below the lower bound; neither is done here (method.md section 3, B1).
"""

from collections.abc import Sequence

import numpy as np

from ucbd.models.generation import Missing, TokenEntropies

# A probability may exceed 1 by rounding; a log-probability above this is no log-probability.
_ABOVE_ZERO = 1e-3


def entropy_bounds(
    top_logprobs: Sequence[Sequence[float]], k: int, vocab_size: int | None
) -> TokenEntropies | Missing:
    """Lower and upper bound of each token's entropy, in nats; higher = less certain.

    ``top_logprobs`` holds per token its largest log-probabilities in any order, K of them or K + 1
    when the sampled token was added; only the ``k`` largest count. −inf is probability 0. With R
    the remaining mass and S the truncated sum: ``S − R ln R`` and ``+ R ln(V − K)``; no upper bound
    without ``vocab_size``. ``Missing`` when a token has no usable log-probability.
    """
    if not top_logprobs or not all(top_logprobs):
        return Missing("the server gave a token without log-probabilities")
    width = max(map(len, top_logprobs))
    padded = np.full((len(top_logprobs), width), -np.inf)
    for row, values in zip(padded, top_logprobs, strict=True):
        row[: len(values)] = values
    if np.isnan(padded).any() or (padded > _ABOVE_ZERO).any():
        return Missing("the server gave log-probabilities that are NaN or above zero")
    top = -np.sort(-padded, axis=1)[:, :k]
    p = np.exp(np.minimum(top, 0.0))
    rest = np.clip(1.0 - p.sum(axis=1), 0.0, 1.0)
    truncated = -(p * np.where(p > 0, top, 0.0)).sum(axis=1)
    lower = truncated - rest * np.log(np.where(rest > 0, rest, 1.0))
    upper = None
    if vocab_size is not None:
        known = np.minimum([len(values) for values in top_logprobs], k)
        others = np.maximum(1, vocab_size - known)
        upper = tuple((lower + rest * np.log(others)).tolist())
    return TokenEntropies(lower=tuple(lower.tolist()), upper=upper, exact=False, top_k=k)
