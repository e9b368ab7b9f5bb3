"""The store on SQLite and a real PostgreSQL: what is put in comes out, and bad input is named."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest

from tests.store.conftest import RECORD, records
from ucbd.models.errors import ContradictoryLabel, StoreUnusable, UnknownRecord
from ucbd.models.store.connect import database_url
from ucbd.models.store.rows import Certificate, Completion, Judged, Label, Labelled, Retention
from ucbd.models.store.store import RecordStore


async def labelled(store: RecordStore, source="audit", **filters) -> list[Labelled]:
    return [one async for one in store.labelled(source, **filters)]


async def ids(store: RecordStore, source="audit", **filters) -> list[str]:
    return [one.record.id for one in await labelled(store, source, **filters)]


async def test_a_record_comes_out_as_it_went_in_with_its_label_and_its_completion(store):
    completion = Completion("gen-1", {"samples": [{"text": "a"}], "p_true": 0.5})
    await store.add([RECORD, completion])
    assert await store.label("gen-1", "audit", correct=False, at=7.5, by="ada", note="no")
    label = Label(1, "audit", False, "ada", 7.5, "no")
    assert await labelled(store) == [Labelled(RECORD, label, completion)]


async def test_a_record_without_text_or_certificate_keeps_null_in_their_place(store):
    bare = replace(RECORD, text=None, certificate=None, confidence=None, rung=None)
    await store.add([bare])
    await store.label("gen-1", "audit", correct=True, at=0.0)
    (found,) = await labelled(store)
    assert (found.record, found.completion) == (bare, None)


async def test_an_id_that_is_there_already_is_not_overwritten(store):
    await store.add([RECORD])
    await store.add([replace(RECORD, decision="abstain")])
    await store.label("gen-1", "feedback", correct=True, at=0.0)
    (found,) = await labelled(store, "feedback")
    assert found.record.decision == "answer"


async def test_the_same_label_again_is_no_news_and_the_opposite_is_refused(store):
    await store.add([RECORD])
    assert await store.label("gen-1", "feedback", correct=True, at=1.0) is True
    assert await store.label("gen-1", "feedback", correct=True, at=2.0) is False
    with pytest.raises(ContradictoryLabel, match="'gen-1' was said to be right before"):
        await store.label("gen-1", "feedback", correct=False, at=3.0)
    (found,) = await labelled(store, "feedback")
    assert (found.label.correct, found.label.at) == (True, 1.0)


async def test_audit_and_feedback_may_differ_and_stand_apart(store):
    await store.add([RECORD])
    await store.label("gen-1", "feedback", correct=True, at=1.0)
    await store.label("gen-1", "audit", correct=False, at=2.0)
    assert [one.label.correct for one in await labelled(store)] == [False]
    assert [one.label.correct for one in await labelled(store, "feedback")] == [True]


async def test_unknown_ids_and_ids_that_were_not_drawn_get_no_audit_label(store):
    await store.add(records(1, audit=False))
    with pytest.raises(UnknownRecord, match="no record 'gen-9'"):
        await store.label("gen-9", "feedback", correct=True, at=1.0)
    with pytest.raises(UnknownRecord, match="'gen-1' is not among the records of the audit draw"):
        await store.label("gen-1", "audit", correct=True, at=1.0)


async def test_drawn_records_wait_oldest_first_until_they_are_labelled(store):
    await store.add(records(3))
    await store.add([replace(RECORD, id="not drawn", audit=False)])
    assert await store.audit_counts() == (3, 3)
    assert (await store.waiting()).id == "gen-1"
    await store.label("gen-1", "audit", correct=True, at=1.0)
    await store.label("gen-2", "feedback", correct=True, at=1.0)  # feedback labels no audit draw
    assert (await store.waiting()).id == "gen-2"
    assert (await store.waiting(passed=["gen-2"])).id == "gen-3"
    assert await store.waiting(passed=["gen-3", "gen-2"]) is None
    assert await store.audit_counts() == (3, 2)
    await store.withdraw("gen-1")
    assert (await store.waiting()).id == "gen-1"


async def test_labels_are_given_out_by_model_and_policy(store):
    await store.add(
        [RECORD, replace(RECORD, id="b", policy="strict"), replace(RECORD, id="c", model="n")]
    )
    for record in ("gen-1", "b", "c"):
        await store.label(record, "audit", correct=True, at=1.0)
    assert await ids(store) == ["gen-1", "b", "c"]
    assert await ids(store, model="m") == ["gen-1", "b"]
    assert await ids(store, model="m", policy="strict") == ["b"]


async def test_what_was_judged_comes_in_the_order_of_the_labels(store):
    await store.add(records(3))
    for record, correct in (("gen-3", True), ("gen-1", False), ("gen-2", True)):
        await store.label(record, "audit", correct=correct, at=1.0)
    first = Judged(1, "default", "answer", 0.8, Certificate("c1", 0.1), True)
    judged = await store.last_judged("audit", "m", 10)
    assert judged == [first, replace(first, number=2, correct=False), replace(first, number=3)]
    assert await store.last_judged("audit", "m", 2) == judged[1:]
    assert await store.judged_after("audit", "m", 1, 1) == judged[1:2]
    assert await store.last_judged("feedback", "m", 10) == []


async def test_feedback_on_a_larger_models_answer_says_nothing_of_the_models_own(store):
    """A labeller sees the model's own answer; a volunteer saw the larger one's."""
    await store.add(records(2, served_by="larger"))
    assert await store.label("gen-1", "feedback", correct=True, at=1.0)
    await store.label("gen-2", "audit", correct=False, at=1.0)
    assert await ids(store, "feedback") == []
    assert await store.last_judged("feedback", "m", 9) == []
    assert await ids(store, "audit") == ["gen-2"]


async def test_a_number_of_a_label_is_never_given_twice(store):
    await store.add(records(2))
    await store.label("gen-1", "audit", correct=True, at=1.0)
    await store.withdraw("gen-1")
    await store.label("gen-2", "audit", correct=True, at=1.0)
    assert [one.number for one in await store.last_judged("audit", "m", 9)] == [2]


async def test_a_monitor_is_never_set_back(store):
    await store.keep_monitor("default", "c1", 5, {"steps": 5})
    await store.keep_monitor("default", "c1", 4, {"steps": 4})
    assert await store.monitors() == {("default", "c1"): (5, {"steps": 5})}
    await store.keep_monitor("default", "c1", 6, {"steps": 6})
    assert await store.monitors() == {("default", "c1"): (6, {"steps": 6})}


async def test_retention_bounds_drawn_and_other_records_apart_and_labels_go_with_them(store):
    await store.add(records(5))
    await store.add([replace(one, id=f"o{one.id}", audit=False) for one in records(4)])
    for i in range(1, 6):
        await store.label(f"gen-{i}", "audit", correct=True, at=1.0)
    assert await store.prune(Retention(rows=3, days=1), RECORD.asked_at + 86_000) == 2 + 1
    assert await ids(store) == ["gen-3", "gen-4", "gen-5"]
    with pytest.raises(UnknownRecord):
        await store.label("ogen-1", "feedback", correct=True, at=1.0)
    assert await store.label("ogen-2", "feedback", correct=True, at=1.0)
    assert await store.prune(Retention(rows=3, days=1), RECORD.asked_at + 86_401) == 6
    assert await store.audit_counts() == (0, 0)


async def test_a_store_is_there_when_it_is_opened_again(where):
    store = await RecordStore.open(where, serving=True)
    await store.add([RECORD])
    await store.close()
    store = await RecordStore.open(where, serving=True)
    assert await store.audit_counts() == (1, 1)
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(where):
    store = await RecordStore.open(where)
    await store.add([RECORD])
    async with store._database.writing(durable=True) as connection:
        await connection.exec_driver_sql("UPDATE ucbd_schema SET version = 99")
    await store.close()
    with pytest.raises(StoreUnusable, match=r"is of schema 99, made by a newer.*schema 1"):
        await RecordStore.open(where)


async def test_a_second_gateway_on_the_same_file_is_refused_and_a_labeller_is_not(tmp_path):
    where = str(tmp_path / "records.db")
    gateway = await RecordStore.open(where, serving=True)
    with pytest.raises(StoreUnusable, match="several processes need PostgreSQL"):
        await RecordStore.open(where, serving=True)
    labeller = await RecordStore.open(where)
    await gateway.add([RECORD])
    await labeller.label("gen-1", "audit", correct=True, at=1.0)
    assert await ids(gateway) == ["gen-1"]
    await labeller.close()
    await gateway.close()
    await (await RecordStore.open(where, serving=True)).close()


async def test_several_gateways_share_a_postgresql(where):
    if not where.startswith("postgresql"):
        pytest.skip("one file is one gateway's")
    one, other = [await RecordStore.open(where, serving=True) for _ in range(2)]
    await one.add(records(50))
    await other.add([replace(one, id=f"other-{one.id}") for one in records(50)])
    labels = [(store, f"gen-{i}") for i in range(1, 51) for store in (one, other)]
    new = await asyncio.gather(
        *(store.label(record, "audit", correct=True, at=1.0) for store, record in labels)
    )
    assert sum(new) == 50  # each label is new once, whoever was first
    assert await one.audit_counts() == await other.audit_counts() == (100, 50)
    numbers = [judged.number for judged in await other.last_judged("audit", "m", 100)]
    assert numbers == sorted(set(numbers))
    await one.close()
    await other.close()


async def test_the_file_is_its_owners_alone(tmp_path):
    store = await RecordStore.open(str(tmp_path / "records.db"))
    await store.add([RECORD])
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    await store.close()


def test_an_sqlite_url_means_its_file():
    assert database_url("sqlite:////var/r.db").database == "/var/r.db"
    assert database_url("/var/r.db") == database_url("sqlite:////var/r.db")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{tmp}/no/records.db", "there is no folder {tmp}/no"),
        ("{tmp}", "unable to open database file"),
        ("mysql://ada:secret@host/db", "must be a file, sqlite:///FILE or postgresql://"),
        ("sqlite://", "must be a file, sqlite:///FILE or postgresql://"),
        ("postgresql://ada:secret@host", "must be a file, sqlite:///FILE or postgresql://"),
        ("://", "neither a file nor the URL of a database"),
        ("postgresql://ada:secret@127.0.0.1:1/db", "postgresql.*ada:.*127.0.0.1:1/db: .*"),
        ("{tmp}/text.db", "file is not a database"),
        ("{tmp}/damaged.db", "malformed"),
    ],
)
async def test_what_is_no_store_is_named_without_its_password(where, message, tmp_path):
    (tmp_path / "text.db").write_text("no database at all " * 100)
    damaged(tmp_path / "damaged.db")
    where, message = where.replace("{tmp}", str(tmp_path)), message.replace("{tmp}", str(tmp_path))
    with pytest.raises(StoreUnusable, match=message) as caught:
        await RecordStore.open(where, serving=True)
    assert "secret" not in str(caught.value)


def damaged(path) -> None:
    """A database whose first page tells of tables that the rest does not hold."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ucbd_schema (version INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 900,)] * 50)
    connection.commit()
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096 : 3 * 4096] = b"\xff" * (2 * 4096)
    path.write_bytes(bytes(content))
