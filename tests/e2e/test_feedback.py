"""Feedback and audit on the real engine: asked, drawn, completed, labelled, exported, replayed."""

import json
import subprocess
import time

import httpx
import pytest

from tests.e2e.conftest import START_SECONDS, serving, ucbd
from ucbd.cascade.evaluation.records import read_records
from ucbd.models.reference.question_files import FOLDER

pytestmark = pytest.mark.slow


def command(*arguments: str, keys: str = "") -> str:
    done = subprocess.run(
        ucbd(*arguments), input=keys, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def metric(gateway, name: str) -> float:
    lines = gateway.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def test_audited_answers_of_the_real_model_become_records_that_can_be_judged_again(tmp_path):
    lines = (FOLDER / "facts.jsonl").read_text().splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines[::400]][:4]
    where, out = str(tmp_path / "records.db"), tmp_path / "audit.jsonl"
    settings = {"RECORDS": where, "RECORD_TEXT": "true", "AUDIT_SHARE": "1"}
    environment = {f"UCBD_{name}": value for name, value in settings.items()}
    with serving(tmp_path / "log", **environment) as gateway:
        answers = [gateway.ask(prompt=prompt).json() for prompt in prompts]
        chat = httpx.post(
            f"{gateway.url}/v1/chat/completions",
            json={"model": "reference-dpo", "messages": [{"role": "user", "content": prompts[0]}]},
            timeout=60,
        ).json()
        for answer in (answers[0], chat):
            said = {"id": answer["id"], "correct": True}
            response = httpx.post(f"{gateway.url}/feedback", json=said, timeout=60)
            assert response.status_code == 200, response.text
        command("label", "--records", where, keys="ynyny")
        assert "wait" not in command("records", "--feedback", "--records", where, "--out", str(out))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            told = command(
                "records", "--audit", "--scores-only", "--records", where, "--out", str(out)
            )
            if all(record.samples for record in read_records(out)):
                break
            time.sleep(1)
        assert told == f"{out}: 5 records, labelled by audit\n"
        assert metric(gateway, "ucbd_records_lost_total") == 0
    records = {record.id: record for record in read_records(out)}
    for answer in answers:
        record = records[answer["id"]]
        assert record.answer.text == answer["answer"]
        mean = answer["uncertainty"]["token_entropy"]["mean"]
        assert sum(record.answer.token_entropies) / record.answer.tokens == pytest.approx(mean)
        assert len(record.samples) == 10
        assert record.answer.p_true is not None
    command("replay", str(out), "--out", str(tmp_path / "report"), "--clusterers", "jaccard")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["n"], report["accuracy"]) == (5, 0.6)
