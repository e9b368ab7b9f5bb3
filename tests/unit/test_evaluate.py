"""The commands that need no engine, and every bad input that is told before an engine starts."""

import json
import re
from pathlib import Path

import pytest

from ucbd.app.cli import main
from ucbd.cascade.evaluation.progress import so_far

RECORDINGS = Path(__file__).parents[3] / "shared" / "data"
RECORD = {
    "id": "a",
    "prompt": "Where was she born?",
    "reference": ["Tarn"],
    "answer": {"text": "In Tarn.", "tokens": 4, "token_entropies": [0.01, 0.01, 0.01, 0.01]},
    "samples": [{"text": "In Tarn."}, {"text": "In Tarn."}],
    "kind": "fact",
}


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def replay(path: Path, out: Path, *more: str) -> int:
    return main(["replay", str(path), "--out", str(out), "--clusterers", "jaccard,exact", *more])


def test_replay_writes_records_report_and_page(tmp_path: Path, capsys):
    other = {**RECORD, "id": "b", "answer": {**RECORD["answer"], "text": "In Dole."}}
    out = tmp_path / "out"
    assert replay(lines(tmp_path / "r.jsonl", RECORD, other), out) == 0
    assert {file.name for file in out.iterdir()} == {
        "records.jsonl",
        "report.json",
        "report.html",
    }
    report = json.loads((out / "report.json").read_text())
    assert (report["n"], report["accuracy"]) == (2, 0.5)
    first = json.loads((out / "records.jsonl").read_text().splitlines()[0])
    assert first["decision"] == "answer"
    assert first["correct"] is True
    assert first["clusters"]["jaccard"]["count"] == 1
    assert first["kind"] == "fact"
    assert "2 records, 50.0% right of 2" in capsys.readouterr().out


def test_what_replay_writes_it_can_replay(tmp_path: Path):
    first, second = tmp_path / "one", tmp_path / "two"
    assert replay(lines(tmp_path / "r.jsonl", RECORD), first) == 0
    assert replay(first / "records.jsonl", second) == 0
    for name in ("records.jsonl", "report.json", "report.html"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_decision_is_the_given_policys(tmp_path: Path):
    strict = {
        "schema": 1,
        "description": "answers nothing",
        "stages": [{"stage": "fluency", "fire": 0.0}],
        "threshold": 0.0,
    }
    policy = lines(tmp_path / "strict.json", strict)
    out = tmp_path / "out"
    assert replay(lines(tmp_path / "r.jsonl", RECORD), out, "--policy", str(policy)) == 0
    assert json.loads((out / "records.jsonl").read_text())["decision"] == "abstain"


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings lie beside the repository")
def test_the_recording_of_a_real_model_is_replayed(tmp_path: Path):
    assert replay(RECORDINGS / "truthfulqa-qwen3-14b.jsonl.gz", tmp_path) == 0
    assert json.loads((tmp_path / "report.json").read_text())["n"] == 401


def test_the_questions_of_the_embedded_world_are_written(tmp_path: Path):
    assert main(["questions", "--out", str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {
        "arithmetic.jsonl",
        "facts.jsonl",
        "freshness.jsonl",
    }


def test_a_dataset_of_the_users_becomes_questions(tmp_path: Path):
    row = {"question": "What is 2 + 3?", "answer": "2 + 3 = 5\n#### 5"}
    file = lines(tmp_path / "test.jsonl", row)
    assert main(["questions", "--out", str(tmp_path / "q"), "--from", "gsm8k", str(file)]) == 0
    assert json.loads((tmp_path / "q" / "gsm8k.jsonl").read_text())["reference"] == ["5"]


BAD = [
    (["replay", "R"], [{"id": "a"}], r"r\.jsonl, line 1: prompt"),
    (["replay", "R"], [RECORD, RECORD], "line 2: id 'a' is line 1's too"),
    (["replay", "R", "R"], [RECORD], "id 'a' is in .* too"),
    (["replay", "R"], [{"id": "a", "prompt": "?"}], "no record has an answer or samples"),
    (["replay", "R"], [{**RECORD, "match": "close"}], "line 1: match: .*'exact'"),
    (["replay", "R", "--clusterers", "jacard"], [RECORD], "'jacard' is no clusterer; there are"),
    (
        ["replay", "R", "--policy", "none"],
        [RECORD],
        "'none' is neither a file nor one of .*default",
    ),
    (["replay", "R"], [{**RECORD, "prompt": "B\ud800"}], "line 1: prompt: holds half of a surr"),
    (
        ["replay", "R"],
        [{**RECORD, "answer": {"text": "Bob", "token_entropies": [1e308] * 3}}],
        r"line 1: answer\.token_entropies\.0: .* 50, got 1e\+308",
    ),
    (["evaluate", "R", "--model", "./gone"], [RECORD], "model: './gone' is no folder"),
    (
        ["evaluate", "R", "--model", "referense-dpo"],
        [RECORD],
        "model: 'referense-dpo' is none of reference-base, .* fetched from the Hub before",
    ),
    (["evaluate", "R", "--model", "a/b/c"], [RECORD], "'a/b/c' is none of"),
    (["evaluate", "R", "--model", "FOLDER"], [RECORD], r"holds no config\.json"),
    (["evaluate", "R"], [{**RECORD, "match": "close"}], "line 1: match"),
    (["questions", "--from", "gsm9k", "R"], [RECORD], "gsm9k: no such dataset"),
    (["questions", "--from", "gsm8k", "R"], [{"question": "?"}], r"r\.jsonl: line 1: answer"),
]


@pytest.mark.parametrize(("command", "records", "told"), BAD)
def test_bad_input_is_told_before_anything_is_done(
    tmp_path: Path, capsys, command: list[str], records: list[object], told: str
):
    file = lines(tmp_path / "r.jsonl", *records)
    (tmp_path / "empty").mkdir()
    places = {"R": str(file), "FOLDER": str(tmp_path / "empty")}
    out = tmp_path / "out"
    arguments = [places.get(word, word) for word in command]
    assert main([*arguments, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ucbd {command[0]}: ")
    assert re.search(told, error), error
    assert not out.exists() or not list(out.iterdir())


def test_a_truncated_question_file_is_told_before_an_engine_starts(tmp_path: Path, capsys):
    file = tmp_path / "cut.jsonl"
    file.write_text(json.dumps(RECORD) + "\n" + json.dumps(RECORD)[:30])
    assert main(["evaluate", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "cut.jsonl, line 2: not JSON" in capsys.readouterr().err


def test_the_answers_of_another_evaluation_are_refused(tmp_path: Path, capsys):
    file = lines(tmp_path / "r.jsonl", RECORD)
    out = tmp_path / "out"
    out.mkdir()
    lines(out / "asked.jsonl", {"evaluation": 1, "model": "another"}, RECORD)
    assert main(["evaluate", str(file), "--out", str(out)]) == 2
    assert "another evaluation: model (another, now reference-dpo)" in capsys.readouterr().err


def test_what_an_earlier_version_left_of_an_unknown_model_is_in_nobodys_way(tmp_path: Path, capsys):
    """The next refusal is the model's, not the folder's; and the folder is as it was."""
    file = lines(tmp_path / "r.jsonl", RECORD)
    (tmp_path / "out").mkdir()
    asked = lines(tmp_path / "out" / "asked.jsonl", {"evaluation": 1, "model": "nosuch"})
    assert so_far(asked, {"evaluation": 1, "model": "reference-dpo"}) == {}
    assert main(["evaluate", str(file), "--model", "no/such", "--out", str(asked.parent)]) == 2
    assert "'no/such' is none of" in capsys.readouterr().err
    assert json.loads(asked.read_text()) == {"evaluation": 1, "model": "nosuch"}


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--samples", "1", "must be 2 to 64, got 1"),
        ("--sample-temperature", "0", "must be above 0"),
        ("--limit", "0", "must be at least 1"),
        ("--max-tokens", "x", "invalid whole number value"),
    ],
)
def test_a_bad_flag_is_told(tmp_path: Path, capsys, flag: str, value: str, told: str):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "q.jsonl", "--out", str(tmp_path), flag, value])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
