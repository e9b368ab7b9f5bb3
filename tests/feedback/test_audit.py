"""The audit draw: uniform, blind to outcomes, completed after the reply, labelled, exported."""

import asyncio
import fcntl
import json
import math
import os
import pty
import select
import subprocess
import sys
import termios
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.feedback.conftest import keeping
from tests.store.conftest import RECORD, records
from ucbd.app.commands.label import shown
from ucbd.app.records import AuditDraw
from ucbd.cascade.evaluation.rates import wilson
from ucbd.cascade.evaluation.records import label, read_records
from ucbd.models.errors import EngineFailed
from ucbd.models.scripted import Script
from ucbd.models.store.store import RecordStore

TEXT = {"prompt": "Where?", "answer": {"text": "Here.", "tokens": 2}}


def ucbd(*arguments: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("ucbd")), *arguments]
    return subprocess.run(command, input=keys, capture_output=True, text=True, timeout=300)


def test_the_draw_is_settled_by_the_id_alone_and_takes_its_share():
    draw = AuditDraw(0.1, key=b"k")
    ids = [f"gen-{i}" for i in range(20_000)]
    taken = [draw.takes(one) for one in ids]
    assert taken == [draw.takes(one) for one in ids]
    lower, upper = wilson(sum(taken), len(ids))
    assert lower < 0.1 < upper
    other = [AuditDraw(0.1, key=b"another").takes(one) for one in ids]
    both = sum(a and b for a, b in zip(taken, other, strict=True))
    assert wilson(both, len(ids))[0] < 0.01 < wilson(both, len(ids))[1]  # keys draw independently


def test_a_share_of_nothing_takes_nothing_and_of_everything_all():
    ids = [f"gen-{i}" for i in range(1000)]
    assert not any(AuditDraw(0.0).takes(one) for one in ids)
    assert all(AuditDraw(1.0).takes(one) for one in ids)


def wavering(prompt: str) -> Script:
    """Certain of one question, lost at the other."""
    believed = {"True": math.log(0.3), "False": math.log(0.1)}
    if "easy" in prompt:
        return Script("yes", (0.01,), ("yes",), next_token=believed)
    samples = tuple(f"answer{i} no{i}" for i in range(10))
    return Script("Tarn Holm", (2.5, 2.5), samples, next_token=believed)


async def test_answered_and_abstained_are_drawn_alike_and_get_samples_afterwards(tmp_path):
    async with keeping(tmp_path, wavering, record_text=True, audit_share=1.0) as gateway:
        answered = await gateway.ask(prompt="Is it easy?")
        abstained = await gateway.ask(prompt="Is it hard?", samples=0)
        assert [answered["decision"], abstained["decision"]] == ["answer", "abstain"]
        assert answered["uncertainty"]["samples"] == abstained["uncertainty"]["samples"] == 0
        await gateway.until_audited(drawn=2, completed=2)
        assert not any((await gateway.metric("ucbd_records_lost_total")).values())
    assert ucbd("label", "--records", gateway.where, "--by", "ada", keys="yn").returncode == 0
    out = tmp_path / "audit.jsonl"
    done = ucbd("records", "--audit", "--records", gateway.where, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: 2 records, labelled by audit\n"
    easy, hard = read_records(out)
    assert [label(easy), label(hard)] == [True, False]
    for record, body in ((easy, answered), (hard, abstained)):
        more = record.model_extra
        assert record.id == body["id"]
        assert len(record.samples) == record.sampling.n == 10
        assert more["decision"] == body["decision"]
        assert (record.label_source, more["labelled_by"]) == ("audit", "ada")
        for kept, told in zip(more["stages"], body["stages"], strict=True):
            assert kept | told == kept
        assert record.answer.text == body["answer"]
        assert record.answer.p_true == pytest.approx(0.75)
    assert {sample.text for sample in easy.samples} == {"yes"}
    assert len({sample.text for sample in hard.samples}) == 10


async def test_samples_that_fail_are_counted_and_the_record_waits_all_the_same(tmp_path):
    script = Script("yes", (0.01,), sample_fault=EngineFailed("broken"))
    async with keeping(tmp_path, script, audit_share=1.0, record_text=True) as gateway:
        answer = await gateway.ask()
        async with asyncio.timeout(300):
            while not await lost(gateway, "not_completed"):  # noqa: ASYNC110 - as a user
                await asyncio.sleep(0.02)
        await gateway.until_audited(drawn=1, completed=0)
    assert ucbd("label", "--records", gateway.where, keys="y").returncode == 0
    out = tmp_path / "audit.jsonl"
    done = ucbd("records", "--audit", "--records", gateway.where, "--out", str(out))
    assert done.returncode == 2
    assert "1 labelled ones are left out: no text or no samples was kept" in done.stderr
    done = ucbd(
        "records", "--audit", "--scores-only", "--records", gateway.where, "--out", str(out)
    )
    assert json.loads(out.read_text())["id"] == answer["id"]


async def lost(gateway, reason: str) -> float:
    return (await gateway.metric("ucbd_records_lost_total"))[f'reason="{reason}"']


async def test_without_text_a_labeller_is_sent_to_look_the_request_up(tmp_path):
    async with keeping(tmp_path, audit_share=1.0) as gateway:
        answer = await gateway.ask(prompt="a secret")
        await gateway.until_audited(drawn=1, completed=0)
    done = ucbd("label", "--records", gateway.where, keys="n")
    assert answer["id"] in done.stdout
    assert "not kept (record_text): look it up by its id" in done.stdout
    assert done.stdout.endswith("wrong\nNo drawn request waits for a label.\n1 labelled\n")
    out = tmp_path / "audit.jsonl"
    ucbd("records", "--audit", "--scores-only", "--records", gateway.where, "--out", str(out))
    line = json.loads(out.read_text())
    assert (line["prompt"], "answer" in line, line["correct"]) == ("", False, False)
    assert line["scores"]["cascade"] is not None


async def filled(folder: Path, *entries) -> str:
    where = str(folder / "records.db")
    store = await RecordStore.open(where)
    await store.add(entries)
    await store.close()
    return where


async def audit_labels(where: str) -> dict[str, bool]:
    store = await RecordStore.open(where)
    found = {one.record.id: one.label.correct async for one in store.labelled("audit")}
    await store.close()
    return found


async def test_the_queue_skips_undoes_and_goes_on_where_it_was_left(tmp_path):
    where = await filled(tmp_path, *records(5, text=TEXT))
    done = ucbd("label", "--records", where, keys="y s n u u u u ? y n q")
    # gen-1 y, gen-2 s, gen-3 n; undone: 3, 2, 1 and nothing; ? shows the keys; gen-1 y, gen-2 n
    assert "nothing to undo in this session" in done.stdout
    assert done.stdout.endswith("2 labelled\n")
    assert await audit_labels(where) == {"gen-1": True, "gen-2": False}
    ucbd("label", "--records", where, keys="sy")
    assert await audit_labels(where) == {"gen-1": True, "gen-2": False, "gen-4": True}
    out = str(tmp_path / "r.jsonl")
    done = ucbd("records", "--audit", "--scores-only", "--records", where, "--out", out)
    assert "1 drawn before the newest labelled one were passed over" in done.stdout
    assert done.stdout.endswith("2 wait for a label\n")


async def test_a_labeller_sees_no_judgement_and_the_terminal_obeys_no_prompt():
    text = {"prompt": "Is it?\x1b[2J", "answer": {"text": "\x07Yes."}, "evidence": ["A paper."]}
    told = shown(replace(RECORD, text=text, confidence=0.777), waiting=1, drawn=2)
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "Is it?\\x1b[2J" in told
    for hidden in ("0.777", "abstain", "0.25", "fluency"):
        assert hidden not in told


async def test_on_a_terminal_one_key_is_enough_and_ctrl_c_keeps_what_was_said(tmp_path):
    where = await filled(tmp_path, *records(3, text=TEXT))
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("ucbd")), "label", "--records", where]
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
    )
    os.close(theirs)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        while text not in seen:
            assert select.select([ours], [], [], 300)[0], f"{text!r} does not come after {seen!r}"
            seen += os.read(ours, 4096).decode()
        seen = seen.split(text, 1)[1]

    until("q quit")
    os.write(ours, b"y")  # no Enter
    until("right")
    until("q quit")
    os.write(ours, b"\x03")
    until("1 labelled")
    assert process.wait(timeout=300) == 0
    assert await audit_labels(where) == {"gen-1": True}


async def test_volunteered_feedback_is_exported_apart_and_marked(tmp_path):
    where = await filled(tmp_path, *records(2, text=TEXT))
    store = await RecordStore.open(where)
    await store.label("gen-1", "feedback", correct=True, at=1.0, note="thanks")
    await store.label("gen-2", "audit", correct=False, at=1.0)
    await store.close()
    out = tmp_path / "feedback.jsonl"
    done = ucbd("records", "--feedback", "--records", where, "--out", str(out))
    assert "these certify nothing" in done.stdout
    (line,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (line["id"], line["label_source"], line["correct"]) == ("gen-1", "feedback", True)
    assert line["calibration"] == {"id": "c1", "risk_upper": 0.1}
    assert (line["asked_at"], line["note"]) == ("2026-11-18T11:06:40.250000Z", "thanks")


@pytest.mark.parametrize("entropies", [(0.1, math.nan), (math.inf,), (-0.5,), (50.5, 1.0)])
async def test_entropies_that_are_none_are_not_kept_and_the_rest_is_exported(tmp_path, entropies):
    def said(prompt: str) -> Script:
        return Script("Tarn it is", entropies if "odd" in prompt else (0.1, 0.2, 0.3))

    async with keeping(tmp_path, said, record_text=True, audit_share=1.0) as gateway:
        asked = [(await gateway.ask(prompt=prompt))["id"] for prompt in ("odd?", "even?")]
        await gateway.until_audited(drawn=2, completed=2)
        async with gateway.store() as store:
            for one in asked:
                await store.label(one, "audit", correct=True, at=1.0)
    out = tmp_path / "audit.jsonl"
    done = ucbd("records", "--audit", "--records", gateway.where, "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    odd, even = read_records(out)
    assert (odd.prompt, odd.answer.text, odd.answer.token_entropies) == ("odd?", "Tarn it is", None)
    assert even.answer.token_entropies == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("rows", [1, 3])
async def test_a_record_that_is_no_line_is_left_out_and_named(tmp_path, rows):
    """One kept by an earlier version, with an entropy of NaN."""
    odd = TEXT | {"answer": TEXT["answer"] | {"token_entropies": [math.nan]}}
    (first, *others) = records(rows, text=TEXT)
    where = await filled(tmp_path, replace(first, text=odd), *others)
    store = await RecordStore.open(where)
    for one in (first, *others):
        await store.label(one.id, "feedback", correct=True, at=1.0)
    await store.close()
    out = tmp_path / "f.jsonl"
    done = ucbd("records", "--feedback", "--records", where, "--out", str(out))
    assert "Traceback" not in done.stderr
    told = done.stdout if others else done.stderr
    assert "1 labelled" in told
    assert "gen-1: answer.token_entropies.0: Input should be" in told
    assert done.returncode == (0 if others else 2)
    found = [record.id for record in read_records(out)] if others else []
    assert found == [one.id for one in others]
    assert out.exists() == bool(others)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["label"], 2, "ucbd label: records: say where they are: --records FILE|URL"),
        (["label", "--records", "{tmp}/no/r.db"], 2, "ucbd label: records: {tmp}/no/r.db: there"),
        (["label", "--records", "{tmp}/r.bd"], 2, "{tmp}/r.bd: there is no such file"),
        (["label", "--records", "{tmp}/text.db"], 2, "file is not a database"),
        (["records", "--out", "{tmp}/o.jsonl"], 2, "one of the arguments --audit --feedback"),
        (
            ["records", "--audit", "--records", "{tmp}/empty.db", "--out", "{tmp}/o.jsonl"],
            2,
            "ucbd records: no record that was asked for has a label by audit",
        ),
        (["serve", "--config", "{tmp}/bad.toml"], 2, "needs `records`, where they are kept"),
        (["serve", "--config", "{tmp}/workers.toml"], 2, "2 processes cannot share one file"),
    ],
)
def test_commands_name_what_is_wrong_and_write_nothing(tmp_path, arguments, code, message):
    (tmp_path / "text.db").write_text("no database at all " * 100)
    (tmp_path / "empty.db").touch()
    (tmp_path / "bad.toml").write_text("audit_share = 0.1\n")
    upstream = 'upstream = "http://127.0.0.1:9"\nworkers = 2\nrecords = "r.db"\n'
    (tmp_path / "workers.toml").write_text(upstream)
    done = ucbd(*[one.replace("{tmp}", str(tmp_path)) for one in arguments])
    assert done.returncode == code
    assert message.replace("{tmp}", str(tmp_path)) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.jsonl").exists()
    assert not (tmp_path / "r.bd").exists()
    assert not list(tmp_path.glob("*.partial"))


async def test_a_running_gateway_and_a_labeller_share_the_store(tmp_path):
    async with keeping(tmp_path, audit_share=1.0) as gateway:
        for _ in range(3):
            await gateway.ask()
        await gateway.until_audited(drawn=3, completed=0)
        assert ucbd("label", "--records", gateway.where, keys="yyn").returncode == 0
        answer = await gateway.ask()
        response = await gateway.feedback(id=answer["id"], correct=True)
        assert response.status_code == 200, response.text
    labels = await audit_labels(gateway.where)
    assert Counter(labels.values()) == {True: 2, False: 1}
