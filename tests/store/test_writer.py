"""The writer on a real store: in order, in batches, and nothing that fails is silent."""

import asyncio
import resource
from contextlib import contextmanager

import pytest

from tests.store.conftest import records
from ucbd.models.errors import StoreFailed
from ucbd.models.store.rows import Completion, Retention
from ucbd.models.store.store import RecordStore
from ucbd.models.store.writer import Writer


class Losses(list):
    """What a writer said was lost."""

    def __call__(self, reason: str, count: int) -> None:
        self.append((reason, count))


@pytest.fixture
async def store(tmp_path):
    store = await RecordStore.open(str(tmp_path / "records.db"), serving=True)
    yield store
    await store.close()


def writer(store, lost=None, **options) -> Writer:
    told = Losses() if lost is None else lost
    return Writer(store, options.pop("retention", Retention()), told, **options)


async def test_what_was_put_before_is_in_the_store_once_it_has_caught_up(store):
    lost = Losses()
    writing = writer(store, lost)
    writing.start()
    for record in records(1000):
        writing.put(record)
        writing.put(Completion(record.id, {"samples": []}))
    await writing.caught_up()
    assert await store.audit_counts() == (1000, 1000)
    await store.label("gen-1000", "audit", correct=True, at=1.0)
    assert [one.completion is not None async for one in store.labelled("audit")] == [True]
    assert lost == []
    await writing.close()


async def test_closing_writes_what_is_waiting(store):
    writing = writer(store)
    writing.start()
    for record in records(700):
        writing.put(record)
    await writing.close()
    assert await store.audit_counts() == (700, 700)


async def test_a_full_queue_drops_the_newest_and_counts_it(store):
    lost = Losses()
    writing = writer(store, lost, room=2)
    for record in records(5):
        writing.put(record)
    assert lost == [("queue_full", 1)] * 3
    writing.start()
    await writing.caught_up()
    assert (await store.waiting()).id == "gen-1"
    assert await store.audit_counts() == (2, 2)
    await writing.close()


async def test_retention_holds_while_writing(store):
    writing = writer(store, retention=Retention(rows=50, days=1e6))
    writing.start()
    for record in records(2000):
        writing.put(record)
    await writing.caught_up()
    drawn, _ = await store.audit_counts()
    assert 50 <= drawn <= 50 + 2 * 256
    await writing.close()


@contextmanager
def full_disk(most: int):
    """No file may grow beyond ``most`` bytes: the system refuses the write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_loses_records_that_are_counted_and_the_store_works_again(store, caplog):
    lost = Losses()
    writing = writer(store, lost)
    writing.start()
    writing.put(records(1)[0])
    await writing.caught_up()
    with full_disk(120_000):
        for record in records(2000)[1:]:
            writing.put(record)
        await writing.caught_up()
        with pytest.raises(StoreFailed, match=r"records\.db: .*(disk|full)"):
            await store.label("gen-1", "feedback", correct=True, at=1.0, note="n" * 500_000)
    assert await store.last_judged("feedback", "m", 9) == []
    assert {reason for reason, _ in lost} == {"store_failed"}
    kept = (await store.audit_counts())[0]
    assert kept + sum(count for _, count in lost) == 2000
    assert [r.message for r in caplog.records if "not kept until" in r.message]
    before = len(lost)
    for record in records(3000)[2500:]:
        writing.put(record)
    await writing.caught_up()
    assert (await store.audit_counts())[0] == kept + 500
    assert len(lost) == before
    await writing.close()


async def test_the_old_are_let_go_now_and_then_even_where_little_is_written(store):
    now = [records(1)[0].asked_at]
    writing = writer(store, retention=Retention(days=1), clock=lambda: now[0])
    writing.start()
    writing.put(records(1)[0])
    await writing.caught_up()
    now[0] += 2 * 86_400
    writing.put(Completion("nobody", {}))
    await writing.caught_up()
    async with asyncio.timeout(120):
        while await store.audit_counts() != (0, 0):
            pass
    await writing.close()


async def test_waiting_for_the_store_ends_when_the_store_does_not_move(store):
    writing = writer(store, patience=0.05)  # not started: as stuck as can be
    with pytest.raises(StoreFailed, match=r"the store took nothing for 0\.05 s"):
        await writing.caught_up()
