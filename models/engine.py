"""The one protocol every engine speaks: encode a prompt, generate an answer, say whether it lives.

Three implementations are ours: ``vllm_engine`` (in this process), ``upstream`` (servers over HTTP)
and ``scripted`` (for tests of logic).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The served model: its name and the sizes a request is checked against.

    ``entropy`` says what the engine's token entropies are: ``exact`` (full vocabulary, seen to
    be right when the engine started) or ``bounds`` (from the top-K log-probabilities).
    ``entropy_note`` says why it is not exact, when it is not. ``prompt_template`` is the digest of
    the chat template, None where there is none or it is not known. ``grammars`` says whether an
    answer can be held to a JSON schema. Sizes are None where a server does not tell them.
    """

    id: str
    revision: str
    context_length: int | None
    vocab_size: int | None
    entropy: str
    entropy_note: str | None = None
    prompt_template: str | None = None
    grammars: bool = False


class Engine(Protocol):
    """A model that answers.

    Cancelling a call aborts its work in the engine. Every method may raise ``EngineUnavailable``;
    ``generate`` and ``next_token`` may raise ``EngineFailed``.
    """

    @property
    def info(self) -> ModelInfo:
        """The served model. Raises ``EngineUnavailable`` before the engine has started."""
        ...

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """Token ids of a prompt, through the model's chat template.

        A plain string is one user message; ``raw``, or without a chat template, it is the text to
        continue. Raises ``PromptTooLong`` when not even one token of answer would fit, and
        ``InvalidRequest`` when the template refuses the messages.
        """
        ...

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """One answer; with ``entropies`` also the entropy of each of its tokens.

        ``listen`` is told the answer piece by piece as it comes, the last piece before this
        returns; nothing more once the call has been cancelled or has failed.
        Safe to call concurrently: calls in flight together are batched by the engine. Entropies
        that cannot be collected come back as ``Missing``, never as an error.
        """
        ...

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """Log-probabilities, in nats, of the ``top`` likeliest next tokens, by their text.

        Tokens of the same text are added up. Of the model's own distribution, at temperature 1.
        """
        ...

    async def alive(self) -> bool:
        """Whether the engine produces tokens now. Never raises."""
        ...

    async def close(self) -> None:
        """Stop the engine and free what it holds. Safe to call twice."""
        ...


@runtime_checkable
class Mortal(Protocol):
    """An engine that can end for good while the gateway lives; then only a new one answers."""

    @property
    def dead(self) -> bool:
        """Whether it has."""
        ...
