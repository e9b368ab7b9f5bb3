"""A scripted engine: answers from a table instead of a model. For tests of logic.

Speaks the ``Engine`` protocol exactly, so what works with it differs from the real engine only in
what the model says. Knows nothing of tokenisation: a token is a word.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ucbd.models.engine import ModelInfo
from ucbd.models.errors import EngineUnavailable, PromptTooLong
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
    Missing,
    TokenEntropies,
    TokenLogprob,
)
from ucbd.models.live import Live
from ucbd.models.thinking import apart, reasoning_tokens

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Script:
    """What the engine says: one greedy answer with its entropies, and samples in turn.

    ``entropies`` None means the engine has none to give. ``fault`` is raised instead of answering
    (``sample_fault`` only for samples), after ``words`` of the answer have been told a listener;
    ``delay`` is in seconds, and ``pace`` between words; no answer ends before ``held`` is set. Each
    word has the log-probability
    ``logprob`` and is the likeliest of its place. Call n of the engine, counted from 0, says
    sample n modulo their number when it is a sample.
    """

    answer: str = "yes"
    entropies: tuple[float, ...] | None = (0.01,)
    samples: tuple[str, ...] = ("yes",)
    delay: float = 0.0
    pace: float = 0.0
    words: int = 0
    sample_delay: float = 0.0
    fault: Exception | None = None
    sample_fault: Exception | None = None
    held: asyncio.Event | None = None
    next_token: Mapping[str, float] = field(default_factory=dict)
    logprob: float = -0.5


@dataclass
class ScriptedEngine:
    """An engine that reads its lines from ``script``; ``calls`` and ``aborted`` are for tests.

    It remembers the last 1,000 calls and prompts, so that it can serve for hours.
    """

    script: Script | Callable[[str], Script] = field(default_factory=Script)
    model: ModelInfo = field(
        default_factory=lambda: ModelInfo("scripted", "1", 64, 1000, "exact", grammars=True)
    )
    dead: bool = False
    calls: list[GenerationOptions] = field(default_factory=list)
    running: int = 0
    aborted: int = 0
    _turns: int = 0
    _prompts: dict[int, str] = field(default_factory=dict)
    _encoded: int = 0

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        return self.model

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """One token per word."""
        self._check()
        text = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
        words = len(text.split())
        limit = self.model.context_length
        if limit is not None and words >= limit:
            raise PromptTooLong("prompt", f"{words} tokens; the model's context holds {limit}")
        self._prompts[self._encoded] = text
        self._prompts.pop(self._encoded - _REMEMBERED, None)
        self._encoded += 1
        return EncodedPrompt((self._encoded - 1, *range(1, words)))

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """The script's answer when entropies are wanted, else its next sample.

        A listener hears it word by word; each entropy is known with the word after its own.
        """
        self._check()
        text = self._prompts[prompt.token_ids[0]]
        script = self.script if isinstance(self.script, Script) else self.script(text)
        turn, self._turns = self._turns, self._turns + 1
        self.calls.append(options)
        del self.calls[:-_REMEMBERED]
        self.running += 1
        measured = _entropies(script, options) if entropies else Missing("not asked for")
        said = script.answer if entropies else script.samples[turn % len(script.samples)]
        fault = script.fault if entropies else script.sample_fault
        live = Live(listen)
        logprobs = _logprobs(script, said) if options.logprobs is not None else ()
        try:
            await asyncio.sleep(script.delay if entropies else script.sample_delay)
            if listen is not None:
                await _speak(
                    live, script, said, script.words if fault else None, measured, logprobs
                )
            if entropies and script.held is not None:
                await script.held.wait()
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.running -= 1
        self._check()
        if fault:
            raise fault
        live.finish(said, max(1, len(said.split())), measured, logprobs)
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
            logprobs=logprobs if options.logprobs is not None else None,
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


async def _speak(
    live: Live,
    script: Script,
    text: str,
    most: int | None,
    measured: TokenEntropies | Missing,
    logprobs: Sequence[TokenLogprob],
) -> None:
    """All words but the last, which comes with what is known in the end, or the first ``most``."""
    words = _words(text)[: -1 if most is None else most]
    points = () if isinstance(measured, Missing) else measured.points
    for turn, word in enumerate(words):
        live.say(word, 1, points[turn - 1 : turn] if turn else (), logprobs[turn : turn + 1])
        await asyncio.sleep(script.pace)


def _words(text: str) -> list[str]:
    """With the white space before each."""
    return re.findall(r"\s*\S+", text)


def _logprobs(script: Script, text: str) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(word, script.logprob, ((word, script.logprob),)) for word in _words(text)
    )


def _entropies(script: Script, options: GenerationOptions) -> TokenEntropies | Missing:
    if script.entropies is None:
        return Missing("the script has no entropies")
    constrained = options.json_schema is not None
    return TokenEntropies(script.entropies, script.entropies, exact=True, constrained=constrained)
