"""What goes into a model and what comes out of it, as plain frozen values.

Knows no engine, no HTTP and no cascade, and imports nothing of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


class Message(Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


Headers = tuple[tuple[str, str], ...]
"""HTTP headers, name and value."""


class EncodedPrompt(Struct, frozen=True):
    """A prompt as the token ids the model reads: encoded once, for every call of a request.

    Where a server does the encoding, there are no ids here and ``asked`` is the prompt itself.
    ``session`` names what begins alike, the turns of a conversation, and ``home`` the server that
    all calls of this prompt go to as long as it works, so that the prompt is read once. ``trace``
    tells that server which trace a call belongs to.
    """

    token_ids: tuple[int, ...]
    asked: str | tuple[Message, ...] | None = None
    session: str = ""
    home: str | None = None
    trace: Headers = ()


class GenerationOptions(Struct, frozen=True):
    """How one answer is drawn. Temperature 0 is greedy.

    ``top_p`` 1 keeps the whole distribution. Top-k, min-p and penalties are always off: they would
    change the distribution whose entropy is reported. ``background`` work nobody waits for: an
    engine that can serves everything else first. With ``logprobs`` the log-probability of each
    token is told, and those of that many likeliest in its place. ``json_schema``, as JSON, is a
    grammar that the answer is held to; its entropies are then of the constrained distribution.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    background: bool = False
    logprobs: int | None = None
    json_schema: str | None = None


class TokenEntropies(Struct, frozen=True):
    """Entropy of the model's own next-token distribution at each generated token.

    In nats, one value per generated token (end-of-sequence included), of the raw distribution
    (T = 1, before sampling filters); higher = less certain. When ``exact``, ``lower`` and
    ``upper`` are the same values, over the full vocabulary. Otherwise they bound the entropy from
    the ``top_k`` largest log-probabilities, and ``upper`` is None when the vocabulary size is
    unknown (method.md section 3, B1). ``constrained``: a grammar had forbidden tokens before.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...] | None
    exact: bool
    top_k: int | None = None
    constrained: bool = False

    @property
    def points(self) -> tuple[float, ...]:
        """One value per token: the midpoint of its bounds, the lower one without an upper."""
        if self.exact or self.upper is None:
            return self.lower
        return tuple([(low + high) / 2 for low, high in zip(self.lower, self.upper, strict=True)])


class Missing(Struct, frozen=True):
    """Evidence that could not be had, and why. Never stands for zero."""

    reason: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token: its text, its log-probability in nats, and the likeliest of its place.

    ``top`` holds (text, log-probability), likeliest first; of the model's own distribution, T = 1.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of an answer, told while the rest is being generated.

    ``text`` continues the pieces before; the texts of all of them are the generation's. ``tokens``
    were generated for it (a piece may have tokens and no text yet). ``entropies`` are those that
    have become known since the piece before, one per token in the order of tokens, in nats, as
    ``TokenEntropies.points``: they may lag behind the text, and reasoning is among them.
    ``logprobs`` are those of the piece's own tokens, where they were asked for.
    """

    text: str
    tokens: int
    entropies: tuple[float, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


Listener = Callable[[Piece], None]
"""Is told an answer piece by piece. Returns at once and raises nothing."""


class Generation(Struct, frozen=True):
    """One finished answer of a model.

    ``tokens`` counts generated tokens, end-of-sequence included. ``entropies`` is ``Missing`` when
    they were not asked for or could not be collected; those of a reasoning block before the answer
    stand apart in ``reasoning``, None without one. ``logprobs`` only when they were asked for.
    """

    text: str
    tokens: int
    finish_reason: FinishReason
    entropies: TokenEntropies | Missing
    prompt_tokens: int
    cached_prompt_tokens: int
    reasoning: TokenEntropies | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
