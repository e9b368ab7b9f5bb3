"""What goes into a model and what comes out of it, as plain frozen values.

Knows no engine, no HTTP and no cascade, and imports nothing of ours.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as the token ids the model reads: encoded once, for every call of a request."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How one answer is drawn. Temperature 0 is greedy.

    ``top_p`` 1 keeps the whole distribution. Top-k, min-p and penalties are always off: they would
    change the distribution whose entropy is reported.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class TokenEntropies:
    """Entropy of the model's own next-token distribution at each generated token.

    In nats, one value per generated token (end-of-sequence included), of the raw distribution
    (T = 1, before sampling filters); higher = less certain. When ``exact``, ``lower`` and
    ``upper`` are the same values, over the full vocabulary. Otherwise they bound the entropy from
    the ``top_k`` largest log-probabilities, and ``upper`` is None when the vocabulary size is
    unknown (method.md section 3, B1).
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...] | None
    exact: bool
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Evidence that could not be had, and why. Never stands for zero."""

    reason: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One finished answer of a model.

    ``tokens`` counts generated tokens, end-of-sequence included. ``entropies`` is ``Missing`` when
    they were not asked for or could not be collected; those of a reasoning block before the answer
    stand apart in ``reasoning``, None without one.
    """

    text: str
    tokens: int
    finish_reason: FinishReason
    entropies: TokenEntropies | Missing
    prompt_tokens: int
    cached_prompt_tokens: int
    reasoning: TokenEntropies | None = None
