"""An engine that may still be starting, or dead: it answers at once either way, and comes back.

Wraps the start of any engine in the ``Engine`` protocol, so that the gateway listens while a model
loads and a request never hangs on an engine that cannot answer. An engine that has died is started
anew, with growing pauses and a bounded number of times. Knows nothing of requests; whether a living
engine is any good (one that hangs is alive) it leaves to ``alive``.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ucbd.models.engine import Engine, ModelInfo, Mortal
from ucbd.models.errors import EngineStartFailed, EngineUnavailable
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
)

log = logging.getLogger(__name__)

EngineEvent = Literal["died", "restarted", "restart_failed"]
ENGINE_EVENTS: tuple[EngineEvent, ...] = get_args(EngineEvent)


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """How often and how soon a dead engine is started again.

    At most ``attempts`` within any ``window``, and a pause before each, of ``pause`` at first and
    twice as long each time, at most ``longest_pause``. ``look`` is the time between two looks at a
    living engine. All in seconds.
    """

    attempts: int = 5
    window: float = 600.0
    pause: float = 1.0
    longest_pause: float = 60.0
    look: float = 0.2

    def wait(self, recent: int) -> float:
        """The pause before the next attempt, after ``recent`` ones within the window."""
        return min(self.longest_pause, self.pause * 2.0**recent)


class SupervisedEngine:
    """Speaks ``Engine``; raises ``EngineUnavailable`` while there is none that could answer."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Engine]],
        plan: RestartPlan | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._plan = plan or RestartPlan()
        self._clock = clock
        self._engine: Engine | None = None
        self._state = "the engine has not been started"
        self._attempts: deque[float] = deque()
        self._start_seconds = 0.0
        self._expected: float | None = None

    async def start(self) -> None:
        """Bring the engine up. Raises what its start raises, which stays the stated reason."""
        await self._bring_up("the engine is starting")

    async def supervise(self, tell: Callable[[EngineEvent], None] = lambda event: None) -> None:
        """Start the engine anew whenever it has died, telling what happens; never returns.

        Raises ``EngineStartFailed`` when the plan allows no further attempt.
        """
        while True:
            await asyncio.sleep(self._plan.look)
            engine = self._engine
            if engine is not None and _dead(engine):
                self._engine, self._state = None, "the engine died"
                log.error("the engine died")
                tell("died")
                await engine.close()
                while not await self._attempt(tell):
                    pass

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        return self._running().info

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """See ``Engine``."""
        try:
            return await self._running().encode(prompt, raw=raw)
        except EngineUnavailable as error:
            self._explain(error)
            raise

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """See ``Engine``."""
        try:
            running = self._running()
            return await running.generate(prompt, options, entropies=entropies, listen=listen)
        except EngineUnavailable as error:
            self._explain(error)
            raise

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """See ``Engine``."""
        try:
            return await self._running().next_token(prompt, top)
        except EngineUnavailable as error:
            self._explain(error)
            raise

    async def alive(self) -> bool:
        """False while starting or dead, else the engine's own word."""
        engine = self._engine
        return engine is not None and not _dead(engine) and await engine.alive()

    def unavailable(self) -> EngineUnavailable:
        """Why no engine answers, in words, and when one is expected."""
        known = self._engine is None
        return EngineUnavailable(
            self._state if known else "the engine produces no tokens", self._retry_after()
        )

    async def close(self) -> None:
        """See ``Engine``."""
        engine, self._engine = self._engine, None
        self._state = "the engine is shutting down"
        if engine is not None:
            await engine.close()

    async def _bring_up(self, state: str) -> None:
        began, self._state = self._clock(), state
        try:
            self._engine = await self._start()
        except BaseException as error:
            self._state = f"the engine did not start: {error}"
            raise
        self._start_seconds = self._clock() - began
        self._expected = None

    async def _attempt(self, tell: Callable[[EngineEvent], None]) -> bool:
        """Pause and start once; whether there is an engine now."""
        plan = self._plan
        while self._attempts and self._attempts[0] < self._clock() - plan.window:
            self._attempts.popleft()
        if len(self._attempts) >= plan.attempts:
            message = f"the engine was started {plan.attempts} times within {plan.window:g} s"
            raise EngineStartFailed(f"{message} and is not up; given up")
        pause = plan.wait(len(self._attempts))
        self._attempts.append(self._clock() + pause)
        nth = f"start {len(self._attempts)} of at most {plan.attempts} within {plan.window:g} s"
        self._state = f"the engine died; {nth} begins after {pause:g} s"
        self._expected = self._clock() + pause + self._start_seconds
        log.warning("%s", self._state)
        await asyncio.sleep(pause)
        try:
            await self._bring_up(f"the engine died; {nth} is under way")
        except EngineStartFailed as error:
            log.error("the engine did not start again: %s", error)
            tell("restart_failed")
            return False
        log.warning("the engine is up again, %.1f s after its start", self._start_seconds)
        tell("restarted")
        return True

    def _running(self) -> Engine:
        if self._engine is None:
            raise self.unavailable()
        return self._engine

    def _explain(self, error: EngineUnavailable) -> None:
        """Adds to an engine's error when another attempt is worth it."""
        if error.retry_after is None:
            error.retry_after = self._retry_after()

    def _retry_after(self) -> float | None:
        """Seconds until an engine is expected; None when nobody knows."""
        if self._expected is not None:
            return max(1.0, self._expected - self._clock())
        died = self._engine is not None and _dead(self._engine)
        return self._plan.wait(0) + self._start_seconds if died else None


def _dead(engine: Engine) -> bool:
    return isinstance(engine, Mortal) and engine.dead
