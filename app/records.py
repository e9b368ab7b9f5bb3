"""What a gateway keeps of its requests: records, the audit draw, labels that come back.

Opens the store, hands records to its writer, and has samples drawn of drawn answers afterwards. A
request never waits for any of it. Knows no route.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from ucbd.app.live import Live, RecordMetrics
from ucbd.app.recording import completion_of, record_of
from ucbd.app.settings import Settings
from ucbd.cascade.case import Question
from ucbd.cascade.evaluation.ask import ask_further
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy
from ucbd.models.engine import Engine
from ucbd.models.errors import EngineUnavailable, GatewayError, StoreFailed, UnknownRecord
from ucbd.models.generation import Generation
from ucbd.models.store.rows import Retention
from ucbd.models.store.store import RecordStore
from ucbd.models.store.writer import Writer

log = logging.getLogger(__name__)

_COMPLETED_AT_ONCE = 2
_WAITING = 1024
"""Audited answers that wait for their samples. Those without text, or with more than 32,768
characters of it, never wait: this bounds memory. A burst of draws is completed after it: which of
them get samples should not depend on the load that they came under."""
_PATIENCE_SECONDS = 120.0
_REFRESH_SECONDS = 15.0


class AuditDraw:
    """A uniform share of all requests, drawn by their ids.

    The draw is a hash of the id under a key that only this process knows: settled with the id,
    before anything is known of the request, and nobody who asks can bend it.
    """

    def __init__(self, share: float, key: bytes | None = None) -> None:
        self._share = share
        self._key = secrets.token_bytes(32) if key is None else key

    def takes(self, request_id: str) -> bool:
        """Whether the request is drawn; always the same for one id."""
        digest = hashlib.blake2b(request_id.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) < self._share * 2**64


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A drawn answer that waits for its samples."""

    id: str
    question: Question
    given: Generation
    samples: int


class Records:
    """Keeps the records of one gateway process, in the store at ``settings.records``.

    ``labels`` has the series of what labels say.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        metrics: RecordMetrics,
        live: Live,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics
        self._live = live
        self.labels = CollectorRegistry()
        self.labels.register(live)
        self._draw = AuditDraw(settings.audit_share)
        self._to_complete: asyncio.Queue[_Drawn] = asyncio.Queue(_WAITING)
        self._store: RecordStore | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        """Open the store and begin to write. Raises ``StoreUnusable``."""
        settings = self._settings
        store = await RecordStore.open(str(settings.records), serving=True)
        retention = Retention(settings.records_rows, settings.records_days)
        self._store, self._writer = store, Writer(store, retention, self._metrics.lost)
        self._writer.start()
        await self._live.restore(store)

    async def close(self) -> None:
        """Write what is waiting, and give the store back."""
        if self._writer and self._store:
            await self._writer.close()
            await self._store.close()

    async def run(self) -> None:
        """Complete drawn answers and watch the labels, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for _ in range(_COMPLETED_AT_ONCE):
                group.create_task(self._complete())

    def keep(
        self, request_id: str, outcome: Outcome, question: Question, name: str, policy: Policy
    ) -> None:
        """Take the record of an answered request; ``name`` is its policy's. Waits for nothing."""
        if self._writer is None:
            return
        try:
            info = self._engine.info
        except EngineUnavailable:  # it died since
            self._metrics.lost("engine_gone", 1)
            return
        drawn = self._draw.takes(request_id)
        record = record_of(
            request_id,
            outcome,
            question,
            policy=name,
            info=info,
            asked_at=time.time(),
            drawn=drawn,
            with_text=self._settings.record_text,
        )
        self._writer.put(record)
        if not drawn or record.text is None:
            return  # without text there is nothing that samples could be of
        waits = _Drawn(request_id, question, outcome.generation, policy.samples)
        try:
            self._to_complete.put_nowait(waits)
        except asyncio.QueueFull:
            self._metrics.lost("not_completed", 1)

    async def feedback(self, request_id: str, *, correct: bool, note: str | None) -> bool:
        """Join what somebody volunteered to its request; on return it is on disk.

        False when it was there already. Raises ``UnknownRecord``, ``ContradictoryLabel`` and
        ``StoreFailed``.
        """
        if self._store is None or self._writer is None:
            raise StoreFailed("the store of records is not open yet")
        say = partial(self._store.label, request_id, "feedback", correct=correct, note=note)
        try:
            new = await say(at=time.time())
        except UnknownRecord:
            await self._writer.caught_up()  # its record may still be on its way
            new = await say(at=time.time())
        self._metrics.feedback(new=new)
        return new

    async def _complete(self) -> None:
        while True:
            drawn = await self._to_complete.get()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    further = await ask_further(
                        drawn.question, drawn.given, self._engine, drawn.samples
                    )
            except Exception as error:
                # Nobody waits for this; the counter and the log are where a fault shows.
                known = isinstance(error, GatewayError | TimeoutError)
                log.warning(
                    "the drawn answer %s got no samples: %r", drawn.id, error, exc_info=not known
                )
                self._metrics.lost("not_completed", 1)
            else:
                if self._writer:
                    self._writer.put(completion_of(drawn.id, further))

    async def _watch(self) -> None:
        while self._store is not None:
            try:
                await self._live.refresh(self._store, self._engine.info.id)
            except (StoreFailed, EngineUnavailable) as error:
                log.warning("labels could not be read: %s", error)
            await asyncio.sleep(_REFRESH_SECONDS)


async def check_store(where: str) -> None:
    """Raise ``StoreUnusable`` for a store that no gateway could use, and leave it as it is."""
    await (await RecordStore.open(where, serving=True)).close()
