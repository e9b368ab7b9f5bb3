"""Request records and labels: put in, joined, queued for labellers, given out, let go.

Knows the tables, and nothing of how a record or a label comes about.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from ucbd.models.errors import ContradictoryLabel, UnknownRecord
from ucbd.models.store.columns import (
    JUDGED,
    completion_of,
    judged_of,
    label_of,
    record_of,
    row_of,
)
from ucbd.models.store.connect import Database, check_there
from ucbd.models.store.rows import (
    Completion,
    Judged,
    Labelled,
    RequestRecord,
    Retention,
    Source,
)
from ucbd.models.store.tables import LABELS, MONITORS, REQUESTS


class RecordStore:
    """A store that is open. Every method may raise ``StoreFailed``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, where: str, *, serving: bool = False) -> "RecordStore":
        """The store at a file or URL (``Database.open``). Raises ``StoreUnusable``."""
        return cls(await Database.open(where, serving=serving))

    @classmethod
    async def open_existing(cls, where: str) -> "RecordStore":
        """As ``open``, for what reads a gateway's store: makes no file."""
        check_there(where)
        return await cls.open(where)

    async def close(self) -> None:
        """Give back the database."""
        await self._database.close()

    async def add(self, entries: Sequence[RequestRecord | Completion]) -> None:
        """Records, and completions of records; an id that is there already stays as it is."""
        records = [row_of(entry) for entry in entries if isinstance(entry, RequestRecord)]
        completions = [entry for entry in entries if isinstance(entry, Completion)]
        async with self._database.writing(durable=False) as connection:
            if records:
                new = self._insert(REQUESTS).on_conflict_do_nothing(index_elements=["id"])
                await connection.execute(new, records)
            for one in completions:
                mine = REQUESTS.c.id == one.id
                await connection.execute(
                    update(REQUESTS).where(mine).values(completion=dict(one.further))
                )

    async def label(
        self,
        record: str,
        source: Source,
        *,
        correct: bool,
        at: float,
        by: str | None = None,
        note: str | None = None,
    ) -> bool:
        """Join a label to its record; on return it is on disk. False when it was there already.

        Raises ``UnknownRecord`` (for an audit label also where the record was not drawn) and
        ``ContradictoryLabel``; nothing is overwritten.
        """
        async with self._database.writing(durable=True) as connection:
            number = await _number(connection, record, drawn=source == "audit")
            same = (LABELS.c.request == number) & (LABELS.c.source == source)
            known = await connection.scalar(select(LABELS.c.correct).where(same))
            if known is None:
                values = {"request": number, "source": source, "correct": correct, "at": at}
                said = {"by": by, "note": note}
                await connection.execute(insert(LABELS).values(**values, said=said))
            elif known is not correct:
                told = "right" if known else "wrong"
                raise ContradictoryLabel(f"{record!r} was said to be {told} before; that stays")
            return known is None

    async def withdraw(self, record: str) -> None:
        """Take an audit label back; the record waits again."""
        async with self._database.writing(durable=True) as connection:
            number = await _number(connection, record, drawn=True)
            mine = (LABELS.c.request == number) & (LABELS.c.source == "audit")
            await connection.execute(delete(LABELS).where(mine))

    async def waiting(self, passed: Collection[str] = ()) -> RequestRecord | None:
        """The oldest drawn record without an audit label, but for those ``passed`` over."""
        oldest = _unlabelled(select(REQUESTS)).order_by(REQUESTS.c.number)
        async with self._database.reading() as connection:
            rows = await connection.execute(oldest.limit(len(passed) + 1))
            return next(
                (record for row in rows if (record := record_of(row)).id not in passed), None
            )

    async def audit_counts(self) -> tuple[int, int]:
        """How many drawn records there are, and how many of them wait for a label."""
        drawn = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.audit)
        left = _unlabelled(select(func.count()).select_from(REQUESTS))
        async with self._database.reading() as connection:
            return (await connection.scalar(drawn) or 0), (await connection.scalar(left) or 0)

    async def passed_over(self) -> int:
        """How many drawn records wait that are older than one with an audit label."""
        newest = _with_label("audit", func.max(REQUESTS.c.number)).scalar_subquery()
        left = _unlabelled(select(func.count()).select_from(REQUESTS))
        async with self._database.reading() as connection:
            return await connection.scalar(left.where(REQUESTS.c.number < newest)) or 0

    async def labelled(
        self, source: Source, *, model: str | None = None, policy: str | None = None
    ) -> AsyncIterator[Labelled]:
        """Every record with a label of that source, oldest first, one at a time."""
        chosen = _with_label(source, REQUESTS, LABELS).order_by(REQUESTS.c.number)
        if model is not None:
            chosen = chosen.where(REQUESTS.c.model == model)
        if policy is not None:
            chosen = chosen.where(REQUESTS.c.policy == policy)
        async with self._database.reading() as connection:
            async for row in await connection.stream(chosen):
                yield Labelled(record_of(row), label_of(row), completion_of(row))

    async def last_judged(self, source: Source, model: str, most: int) -> list[Judged]:
        """The latest ``most`` labels of that model's answers, in the order of the labels."""
        mine = _with_label(source, *JUDGED).where(REQUESTS.c.model == model)
        latest = mine.order_by(LABELS.c.number.desc()).limit(most)
        return [judged_of(row) for row in reversed(await self._rows(latest))]

    async def judged_after(
        self, source: Source, model: str, number: int, most: int
    ) -> list[Judged]:
        """The next ``most`` of them after that number."""
        later = _with_label(source, *JUDGED).where(LABELS.c.number > number)
        mine = later.where(REQUESTS.c.model == model).order_by(LABELS.c.number).limit(most)
        return [judged_of(row) for row in await self._rows(mine)]

    async def monitors(self) -> dict[tuple[str, str], tuple[int, Any]]:
        """Every monitor by policy and reference: the last label it has seen, and its state."""
        rows = await self._rows(select(MONITORS))
        return {(row.policy, row.reference): (row.seen, row.state) for row in rows}

    async def keep_monitor(self, policy: str, reference: str, seen: int, state: Any) -> None:
        """A monitor's state, unless the store has a later one."""
        values = {"policy": policy, "reference": reference, "seen": seen, "state": state}
        new = self._insert(MONITORS).values(values)
        later = new.on_conflict_do_update(
            index_elements=["policy", "reference"],
            set_={"seen": new.excluded.seen, "state": new.excluded.state},
            where=MONITORS.c.seen < new.excluded.seen,
        )
        async with self._database.writing(durable=False) as connection:
            await connection.execute(later)

    async def prune(self, retention: Retention, now: float) -> int:
        """Let go of what is too old or too much, labels with their records; how many records."""
        old = REQUESTS.c.asked_at < now - retention.days * 86_400
        gone = 0
        async with self._database.writing(durable=False) as connection:
            gone += (await connection.execute(delete(REQUESTS).where(old))).rowcount
            for drawn in (True, False):
                kind = REQUESTS.c.audit.is_(drawn)
                newest = select(REQUESTS.c.number).where(kind).order_by(REQUESTS.c.number.desc())
                last = await connection.scalar(newest.limit(1).offset(retention.rows))
                if last is not None:
                    too_much = delete(REQUESTS).where(kind, REQUESTS.c.number <= last)
                    gone += (await connection.execute(too_much)).rowcount
        return gone

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """One that may say what to do about a row that is there already."""
        if self._database.dialect == "postgresql":
            return postgresql.insert(table)
        return sqlite.insert(table)

    async def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.reading() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
        return rows


async def _number(connection: AsyncConnection, record: str, *, drawn: bool) -> int:
    statement = select(REQUESTS.c.number, REQUESTS.c.audit).where(REQUESTS.c.id == record)
    row = (await connection.execute(statement)).first()
    if row is None:
        raise UnknownRecord(f"there is no record {record!r}: never made, lost, or let go since")
    if drawn and not row.audit:
        raise UnknownRecord(f"{record!r} is not among the records of the audit draw")
    return int(row.number)


def _unlabelled(statement: Select[Any]) -> Select[Any]:
    """Drawn records that wait."""
    mine = (LABELS.c.request == REQUESTS.c.number) & (LABELS.c.source == "audit")
    return statement.where(REQUESTS.c.audit, ~select(LABELS.c.number).where(mine).exists())


def _with_label(source: Source, *columns: Any) -> Select[Any]:
    """Of feedback only what is about the model's own answer: volunteers judge what they were given.

    Labellers are shown the model's own, whoever answered.
    """
    joined = LABELS.c.request == REQUESTS.c.number
    chosen = select(*columns).join_from(LABELS, REQUESTS, joined).where(LABELS.c.source == source)
    return chosen.where(REQUESTS.c.served_by.is_(None)) if source == "feedback" else chosen
