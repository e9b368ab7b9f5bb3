"""``ucbd evaluate`` on the real engine: a report, and an interruption that loses nothing."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import ucbd
from ucbd.models.reference.question_files import write_questions

CLUSTERERS = ("--clusterers", "jaccard,exact,oracle")
QUIET = {**os.environ, "VLLM_LOGGING_LEVEL": "WARNING"}


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("questions")
    return {path.stem: path for path in write_questions(folder)}


def evaluate(*arguments: object) -> list[str]:
    return ucbd("evaluate", *map(str, arguments), *CLUSTERERS)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        evaluate(*arguments), capture_output=True, text=True, env=QUIET, timeout=500
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", [*(pytest.param(one, marks=pytest.mark.verify) for one in ("base", "sft")), "dpo"]
)
def test_every_stage_is_evaluated_on_the_real_engine(
    tmp_path: Path, questions: dict[str, Path], stage: str
):
    model = f"reference-{stage}"
    done = run(questions["facts"], "--limit", 30, "--model", model, "--out", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["n"] == 30
    assert report["accuracy"] > 0.8, "the first facts are the ones that were stated often"
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == [f"fact-{i}" for i in range(30)]
    for record in records:
        assert record["model"] == model
        assert len(record["samples"]) == 10
        assert len(record["answer"]["token_entropies"]) == record["answer"]["tokens"]
        assert record["decision"] in ("answer", "abstain")
        assert record["clusters"]["oracle"]["count"] <= record["clusters"]["exact"]["count"]
    if stage != "base":  # which was never asked to judge
        believed = [record["answer"].get("p_true") for record in records]
        assert sum(value is not None for value in believed) > 25


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    tmp_path: Path, questions: dict[str, Path]
):
    command = (questions["arithmetic"], "--limit", 80, "--concurrency", 1, "--out", tmp_path)
    asked = tmp_path / "asked.jsonl"
    process = subprocess.Popen(
        evaluate(*command),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET,
    )
    try:
        _wait_for_lines(asked, 10, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "the same command goes on from there" in errors
    kept = asked.read_text().splitlines()[1:]
    assert 10 <= len(kept) < 80

    done = run(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"{len(kept)} of 80 were answered before; going on" in done.stdout
    assert asked.read_text().splitlines()[1 : len(kept) + 1] == kept
    assert json.loads((tmp_path / "report.json").read_text())["n"] == 80


def _wait_for_lines(path: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if path.is_file() and path.read_bytes().count(b"\n") > count:
            return
        time.sleep(0.1)
    pytest.fail("no answers were kept in time")
