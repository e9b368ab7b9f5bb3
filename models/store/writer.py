"""Writing records behind the requests' backs: one task, a bounded queue, a batch a transaction.

A request hands its record over and goes on: it never waits for the store and never fails by it.
What the store cannot take is dropped and counted. Knows no request.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from ucbd.models.errors import StoreFailed
from ucbd.models.store.rows import Completion, RequestRecord, Retention
from ucbd.models.store.store import RecordStore

log = logging.getLogger(__name__)

Loss = Literal["queue_full", "store_failed"]
Entry = RequestRecord | Completion

_BATCH = 256
_PRUNE_SECONDS = 60.0
_CLOSE_SECONDS = 15.0


class Writer:
    """Writes what it is given, in order. ``lost`` is told how many entries were dropped, and why.

    ``room`` entries may wait; a store that moves none of them for ``patience`` seconds has failed.
    """

    def __init__(
        self,
        store: RecordStore,
        retention: Retention,
        lost: Callable[[Loss, int], None],
        room: int = 4096,
        patience: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._retention = retention
        self._lost = lost
        self._patience = patience
        self._clock = clock
        self._queue: asyncio.Queue[Entry | asyncio.Future[None]] = asyncio.Queue(room)
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._pruned_at, self._since_pruned = float("-inf"), 0

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    def put(self, entry: Entry) -> None:
        """Take an entry if there is room, at once."""
        try:
            self._queue.put_nowait(entry)
        except asyncio.QueueFull:
            self._lost("queue_full", 1)

    async def caught_up(self) -> None:
        """Return when everything put before is in the store, or lost. May raise ``StoreFailed``."""
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._patience):
                await self._queue.put(mark)
                await mark
        except TimeoutError as error:
            raise StoreFailed(f"the store took nothing for {self._patience:g} s") from error

    async def close(self) -> None:
        """Write what is waiting, then stop."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.caught_up()
        except (TimeoutError, StoreFailed):
            log.error("records: %d were not written before the end", self._queue.qsize())
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            entries = [one for one in batch if not isinstance(one, asyncio.Future)]
            if entries:
                await self._write(entries)
            for mark in batch:
                if isinstance(mark, asyncio.Future) and not mark.done():
                    mark.set_result(None)
            await self._prune(len(entries))

    async def _write(self, entries: list[Entry]) -> None:
        try:
            await self._store.add(entries)
        except StoreFailed as error:
            self._lost("store_failed", len(entries))
            if not self._failing:
                log.error("records: not kept until the store works again: %s", error)
            self._failing = True
        else:
            if self._failing:
                log.info("records: kept again")
            self._failing = False

    async def _prune(self, written: int) -> None:
        """Now and then; more often where much is written, so that the bound holds."""
        self._since_pruned += written
        now = self._clock()
        due = now - self._pruned_at >= _PRUNE_SECONDS
        if not due and self._since_pruned <= max(_BATCH, self._retention.rows // 10):
            return
        self._pruned_at, self._since_pruned = now, 0
        try:
            await self._store.prune(self._retention, now)
        except StoreFailed as error:
            log.error("records: the old ones stay for now: %s", error)
