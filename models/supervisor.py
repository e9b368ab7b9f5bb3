"""An engine that may still be starting, or dead: it answers at once either way.

Wraps the start of any engine in the ``Engine`` protocol, so that the gateway listens while a model
loads and a request never hangs on an engine that cannot answer. Does not restart a dead engine.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ucbd.models.engine import Engine, ModelInfo
from ucbd.models.errors import EngineUnavailable
from ucbd.models.generation import EncodedPrompt, Generation, GenerationOptions, Message


class SupervisedEngine:
    """Speaks ``Engine``; raises ``EngineUnavailable`` until ``start`` has brought one up."""

    def __init__(self, start: Callable[[], Awaitable[Engine]]) -> None:
        self._start = start
        self._engine: Engine | None = None
        self._state = "the engine has not been started"

    async def start(self) -> None:
        """Bring the engine up. Raises what its start raises, which stays the stated reason."""
        self._state = "the engine is starting"
        try:
            self._engine = await self._start()
        except BaseException as error:
            self._state = f"the engine did not start: {error}"
            raise

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        return self._running().info

    async def encode(self, prompt: str | Sequence[Message]) -> EncodedPrompt:
        """See ``Engine``."""
        return await self._running().encode(prompt)

    async def generate(
        self, prompt: EncodedPrompt, options: GenerationOptions, *, entropies: bool
    ) -> Generation:
        """See ``Engine``."""
        return await self._running().generate(prompt, options, entropies=entropies)

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """See ``Engine``."""
        return await self._running().next_token(prompt, top)

    async def alive(self) -> bool:
        """False while starting, else the engine's own word."""
        return self._engine is not None and await self._engine.alive()

    @property
    def state(self) -> str:
        """Why the engine is not alive, in words."""
        return self._state if self._engine is None else "the engine produces no tokens"

    async def close(self) -> None:
        """See ``Engine``."""
        engine, self._engine = self._engine, None
        self._state = "the engine is shutting down"
        if engine is not None:
            await engine.close()

    def _running(self) -> Engine:
        if self._engine is None:
            raise EngineUnavailable(self._state)
        return self._engine
