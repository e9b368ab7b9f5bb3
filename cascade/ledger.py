"""The ledger of one request: its deadline, what it spent, and how long it waited.

The one mutable thing in a request's life, owned by that request alone. Knows no model.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ucbd.cascade.outcome import Spent
from ucbd.models.generation import Generation

T = TypeVar("T")


class Ledger:
    """Counts tokens, calls and waiting; ``deadline`` is on ``clock``'s scale, None for none."""

    def __init__(
        self, deadline: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.deadline = deadline
        self.clock = clock
        self.prompt_tokens = 0  # of the main answer's prompt, as the engine counted them
        self.main_seconds = 0.0  # how long the main answer took, from its call on
        self._main_tokens = 0
        self._sampled_tokens = 0
        self._judged_tokens = 0
        self._choice_tokens = 0
        self._larger_tokens = 0
        self._engine_calls = 0
        self._waited = 0.0

    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock())

    async def wait(self, work: Awaitable[T]) -> T:
        """Await the engine or a model, counting the wall time as waiting, not as overhead."""
        start = self.clock()
        try:
            return await work
        finally:
            self._waited += self.clock() - start

    def record_main(self, generation: Generation, seconds: float) -> None:
        """Enter the main answer, and how long it took."""
        self.main_seconds = seconds
        self.prompt_tokens = generation.prompt_tokens
        self._main_tokens += generation.tokens
        self._engine_calls += 1

    def record_sample(self, generation: Generation) -> None:
        """Enter one sample."""
        self._sampled_tokens += generation.tokens
        self._engine_calls += 1

    def record_choice(self, generation: Generation) -> None:
        """Enter one further choice beside the main answer."""
        self._choice_tokens += generation.tokens
        self._engine_calls += 1

    def record_larger(self, generation: Generation) -> None:
        """Enter the larger tier's answer."""
        self._larger_tokens += generation.tokens
        self._engine_calls += 1

    def record_judgement(self) -> None:
        """Enter one token in which the model judged an answer."""
        self._judged_tokens += 1
        self._engine_calls += 1

    @property
    def further_tokens(self) -> int:
        """All tokens so far but the main answer's; see ``Spent``."""
        return (
            self._sampled_tokens + self._judged_tokens + self._choice_tokens + self._larger_tokens
        )

    def spent(self) -> Spent:
        """The account so far."""
        return Spent(
            main_tokens=self._main_tokens,
            sampled_tokens=self._sampled_tokens,
            judged_tokens=self._judged_tokens,
            choice_tokens=self._choice_tokens,
            larger_tokens=self._larger_tokens,
            engine_calls=self._engine_calls,
            waited=self._waited,
        )
