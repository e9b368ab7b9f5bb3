"""A scripted engine: answers from a table instead of a model. For tests of logic.

Speaks the ``Engine`` protocol exactly, so what works with it differs from the real engine only in
what the model says. Knows nothing of tokenisation: a token is a word.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ucbd.models.engine import ModelInfo
from ucbd.models.errors import EngineUnavailable, PromptTooLong
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Message,
    Missing,
    TokenEntropies,
)
from ucbd.models.thinking import apart, reasoning_tokens


@dataclass(frozen=True, slots=True)
class Script:
    """What the engine says: one greedy answer with its entropies, and samples in turn.

    ``entropies`` None means the engine has none to give. ``fault`` is raised instead of answering
    (``sample_fault`` only for samples); ``delay`` is in seconds. Call n of the
    engine, counted from 0, says sample n modulo their number when it is a sample.
    """

    answer: str = "yes"
    entropies: tuple[float, ...] | None = (0.01,)
    samples: tuple[str, ...] = ("yes",)
    delay: float = 0.0
    sample_delay: float = 0.0
    fault: Exception | None = None
    sample_fault: Exception | None = None
    next_token: Mapping[str, float] = field(default_factory=dict)


@dataclass
class ScriptedEngine:
    """An engine that reads its lines from ``script``; ``calls`` and ``aborted`` are for tests."""

    script: Script | Callable[[str], Script] = field(default_factory=Script)
    model: ModelInfo = field(default_factory=lambda: ModelInfo("scripted", "1", 64, 1000, "exact"))
    dead: bool = False
    calls: list[GenerationOptions] = field(default_factory=list)
    running: int = 0
    aborted: int = 0
    _prompts: list[str] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        return self.model

    async def encode(self, prompt: str | Sequence[Message]) -> EncodedPrompt:
        """One token per word."""
        self._check()
        text = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
        words = len(text.split())
        if words >= self.model.context_length:
            limit = self.model.context_length
            raise PromptTooLong("prompt", f"{words} tokens; the model's context holds {limit}")
        self._prompts.append(text)
        return EncodedPrompt((len(self._prompts) - 1, *range(1, words)))

    async def generate(
        self, prompt: EncodedPrompt, options: GenerationOptions, *, entropies: bool
    ) -> Generation:
        """The script's answer when entropies are wanted, else its next sample."""
        self._check()
        text = self._prompts[prompt.token_ids[0]]
        script = self.script if isinstance(self.script, Script) else self.script(text)
        turn = len(self.calls)
        self.calls.append(options)
        self.running += 1
        try:
            await asyncio.sleep(script.delay if entropies else script.sample_delay)
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.running -= 1
        self._check()
        if fault := script.fault if entropies else script.sample_fault:
            raise fault
        measured = _entropies(script) if entropies else Missing("not asked for")
        said = script.answer if entropies else script.samples[turn % len(script.samples)]
        reasoning = None
        if not isinstance(measured, Missing):
            words = said.split()
            thought = reasoning_tokens(
                said, range(len(words)), lambda ids: " ".join(words[: len(ids)])
            )
            reasoning, measured = apart(measured, thought)
        return Generation(
            text=said,
            tokens=max(1, len(said.split())),
            finish_reason="stop",
            entropies=measured,
            prompt_tokens=len(prompt.token_ids),
            cached_prompt_tokens=0,
            reasoning=reasoning,
        )

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """The script's ``next_token``, its likeliest ``top``."""
        self._check()
        text = self._prompts[prompt.token_ids[0]]
        script = self.script if isinstance(self.script, Script) else self.script(text)
        ranked = sorted(script.next_token.items(), key=lambda item: -item[1])
        return dict(ranked[:top])

    async def alive(self) -> bool:
        """Not ``dead``."""
        return not self.dead

    async def close(self) -> None:
        """Nothing to free."""

    def _check(self) -> None:
        if self.dead:
            raise EngineUnavailable("the scripted engine is dead")


def _entropies(script: Script) -> TokenEntropies | Missing:
    if script.entropies is None:
        return Missing("the script has no entropies")
    return TokenEntropies(lower=script.entropies, upper=script.entropies, exact=True)
