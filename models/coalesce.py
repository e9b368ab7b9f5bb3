"""Coalescing: calls that arrive while one is under way go together in the next.

Turns many small concurrent calls into few large ones without a timer: alone, an item waits for
nothing; under load, batches grow by themselves. Knows nothing of what is called.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """One call of ``call`` in flight at a time, over at most ``max_items`` items.

    ``call`` gives one result per item, in order; what it raises reaches every waiter of that call.
    A waiter that is cancelled harms no other.
    """

    def __init__(
        self, call: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], max_items: int = 1024
    ) -> None:
        self._call = call
        self._max_items = max_items
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result for one item."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._one_call()
        finally:
            self._running = None

    async def _one_call(self) -> None:
        size = min(self._max_items, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(size)]
        batch = [(item, future) for item, future in batch if not future.done()]
        if not batch:
            return
        try:
            results = await self._call([item for item, _ in batch])
            outcomes = list(zip(batch, results, strict=True))
        except Exception as error:
            # Whatever it was belongs to the waiters; this task serves the next batch.
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in outcomes:
            if not future.done():
                future.set_result(result)
