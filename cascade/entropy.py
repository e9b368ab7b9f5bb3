"""The arithmetic of uncertainty: token entropy of one answer, semantic entropy of its samples.

Pure functions over numbers; knows no model, no text and no threshold. Everything is in nats, and
higher means less certain (method.md sections 3 and 6).
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from ucbd.models.generation import Missing, TokenEntropies

HIGH_ENTROPY_NATS = 1.0
"""A token counts into ``high_share`` above this: about three equally likely continuations."""

MOST_NATS = 50.0
"""A token's entropy is at most ln of the vocabulary, 12 for the largest in use; this is that of
5·10²¹ tokens. What a record states above it is no entropy."""


class EntropySummary(Struct, frozen=True):
    """Token entropy of one answer, in nats; higher = less certain (method.md section 3, B1).

    ``mean``, ``max``, ``std`` (population) and ``high_share`` are over the answer's tokens. When
    ``exact``, ``lower == mean == upper``. Otherwise ``lower`` and ``upper`` bound the mean, and
    the other four are of the per-token midpoints, or None when there is no upper bound.
    ``top_k`` tells from how many log-probabilities the bounds were made; ``constrained`` that a
    grammar had forbidden tokens before.
    """

    mean: float | None
    max: float | None
    std: float | None
    high_share: float | None
    lower: float
    upper: float | None
    exact: bool
    top_k: int | None
    tokens: int
    constrained: bool = False

    @property
    def signal(self) -> str:
        """Name of the value ``score`` gives, with everything that changes its meaning."""
        kind = "exact" if self.exact else "lower" if self.mean is None else "midpoint"
        k = "" if self.exact else f",k={self.top_k}"
        return f"mean_token_entropy({kind}{k}{',constrained' if self.constrained else ''})"

    @property
    def score(self) -> float:
        """The mean where it is known, else its lower bound; nats, higher = less certain."""
        return self.lower if self.mean is None else self.mean


def summarise(entropies: TokenEntropies) -> EntropySummary | Missing:
    """Summary of one answer's token entropies; ``Missing`` when there is no finite value."""
    if not entropies.lower:
        return Missing("the answer has no tokens")
    upper = entropies.upper
    if not all(map(math.isfinite, (*entropies.lower, *(upper or ())))):
        return Missing("the engine returned token entropies that are not finite")
    tokens = len(entropies.lower)
    lower = _mean(entropies.lower)
    if upper is None:
        return EntropySummary(
            mean=None,
            max=None,
            std=None,
            high_share=None,
            lower=lower,
            upper=None,
            exact=False,
            top_k=entropies.top_k,
            tokens=tokens,
            constrained=entropies.constrained,
        )
    values = entropies.points
    mean = _mean(values)
    return EntropySummary(
        mean=mean,
        max=max(values),
        std=math.sqrt(_mean([(value - mean) ** 2 for value in values])),
        high_share=sum([value > HIGH_ENTROPY_NATS for value in values]) / tokens,
        lower=lower,
        upper=_mean(upper),
        exact=entropies.exact,
        top_k=entropies.top_k,
        tokens=tokens,
        constrained=entropies.constrained,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def discrete_semantic_entropy(cluster_sizes: Sequence[int]) -> float:
    """``-sum n_c/N ln n_c/N`` over clusters of N samples: nats, 0 … ln N, higher = less certain.

    Kuhn et al. 2023 with counts for likelihoods; method.md section 3. One cluster gives 0, which
    means "cannot rank", not "certain". Raises ValueError without samples.
    """
    total = sum(cluster_sizes)
    if total <= 0:
        raise ValueError("semantic entropy needs at least one sample")
    return math.fsum(n / total * math.log(total / n) for n in cluster_sizes if n)
