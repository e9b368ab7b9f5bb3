"""``ucbd diagnose`` against a scripted server on a real socket: what it writes and refuses."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.served import Answer, Refusal, greedy, prompt, served
from ucbd.app.cli import main
from ucbd.cascade.policy import read_policy

QUICK = ("--clusterers", "jaccard,combined,exact", "--temperatures", "none", "--yes")
COLOURS = ("red", "blue", "green", "white", "black")


def questions(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Two that the model answers in one way, two in several; it is right about a and c."""
    return questions(
        tmp_path / "q.jsonl",
        {"id": "a", "prompt": "same one", "kind": "fact", "reference": ["red"]},
        {"id": "b", "prompt": "same two", "kind": "fact", "reference": ["blue"]},
        {"id": "c", "prompt": "any one", "kind": "view", "reference": ["red"]},
        {"id": "d", "prompt": "any two", "kind": "view", "reference": ["grey"]},
    )


def colours(body: dict[str, Any], turn: int) -> Answer:
    """Red when asked for the same, and when greedy; else a colour of five in turn."""
    if prompt(body).startswith("same") or greedy(body):
        return Answer("red")
    return Answer(COLOURS[turn % len(COLOURS)], top=(-0.5, -1.0, -3.0))


def diagnose(url: str, out: Path, *more: object) -> int:
    return main(["diagnose", url, "--out", str(out), *QUICK, *map(str, more)])


def report(out: Path) -> Any:
    return json.loads((out / "report.json").read_text())


def test_a_report_of_four_questions_by_hand(tmp_path: Path, four: Path, capsys):
    out = tmp_path / "out"
    with served(colours) as server:
        assert diagnose(server.url, out, "--questions", four, "--samples", 5) == 0
    found = report(out)
    assert found["sentence"] == (
        "On 50 % of these questions self-consistency cannot rank this model's answers."
    )
    by = found["homogenization"]["combined"]
    assert (by["scr"], by["single"], by["n"], by["mean_clusters"]) == (0.5, 2, 4, 3.0)
    # b is wrong and of one cluster, d is wrong and of five
    assert (by["wrong_given_one"], by["wrong_given_several"], by["blind_mass"]) == (0.5, 0.5, 0.5)
    assert found["accuracy"] == 0.5
    assert found["by_kind"]["combined"]["fact"]["scr"] == 1.0
    assert found["by_kind"]["combined"]["view"]["scr"] == 0.0
    # no two of a scattered question's five agree, so the rate is one half at every N
    assert [point["scr"] for point in found["by_samples"]["combined"]] == [0.5] * 4
    groups = {group["clusters"]: group["n"] for group in found["token_entropy"]["bounds"]}
    assert groups == {"one": 2, "several": 2}
    # two calls for the dialect, two a question
    assert found["spent"]["requests"] == 2 + 2 * 4
    assert (found["complete"], found["answered"]) == (True, 4)
    printed = capsys.readouterr().out
    assert "24 answers in 8 requests" in printed
    assert found["sentence"] in printed


def test_two_samples_are_enough_for_a_report(tmp_path: Path, four: Path):
    with served(colours) as server:
        assert diagnose(server.url, tmp_path / "out", "--questions", four, "--samples", 2) == 0
    assert [one["samples"] for one in report(tmp_path / "out")["by_samples"]["jaccard"]] == [2]
    assert "Against the number" not in (tmp_path / "out" / "report.html").read_text()


def test_its_records_are_records_that_replay_reads(tmp_path: Path, four: Path):
    out, again = tmp_path / "out", tmp_path / "again"
    with served(colours) as server:
        assert diagnose(server.url, out, "--questions", four, "--vocab-size", 10) == 0
    names = ("--clusterers", "jaccard,combined,exact")
    assert main(["replay", str(out / "records.jsonl"), "--out", str(again), *names]) == 0
    first, second = report(out), report(again)
    for key in ("homogenization", "accuracy", "single_cluster"):
        assert first[key] == second[key]
    name = "mean_token_entropy"
    assert first["signals"][name]["auroc"] == second["signals"][name]["auroc"] is not None


def test_the_questions_that_ship_are_asked_at_other_temperatures_too(tmp_path: Path):
    """With heat the scripted model wanders; one of five questions is asked so, in each kind."""

    def script(body: dict[str, Any], turn: int) -> Answer:
        hot = body.get("temperature", 0) > 1
        return Answer(COLOURS[turn % 5] if hot else "red")

    out = tmp_path / "out"
    with served(script) as server:
        arguments = ["diagnose", server.url, "--out", str(out), "--yes"]
        assert main([*arguments, "--clusterers", "jaccard", "--samples", "3"]) == 0
    found = report(out)
    points = found["by_temperature"]["jaccard"]
    assert [point["temperature"] for point in points] == [0.3, 0.7, 1.0, 1.5]
    assert [point["scr"] for point in points] == [1.0, 1.0, 1.0, 0.0]
    assert {point["n"] for point in points} == {43}
    assert found["answered"] == 200


def test_a_second_run_asks_nothing_again_and_says_the_same(tmp_path: Path, four: Path):
    out = tmp_path / "out"
    with served(colours) as server:
        assert diagnose(server.url, out, "--questions", four) == 0
        first, calls = report(out), len(server.calls)
        assert diagnose(server.url, out, "--questions", four) == 0
        assert len(server.calls) == calls
    second = report(out)
    assert {**first, "created": ""} == {**second, "created": ""}


def test_what_failed_is_asked_again_by_the_same_command(tmp_path: Path, four: Path):
    """The server answers two questions and refuses two, and afterwards takes them all."""
    answered: set[str] = set()

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        answered.add(prompt(body))
        return colours(body, turn) if len(answered) <= 3 else Refusal(401, "your key has expired")

    out = tmp_path / "out"
    with served(script) as server:
        assert diagnose(server.url, out, "--questions", four, "--concurrency", 1) == 0
        partial = report(out)
        server.script = colours
        assert diagnose(server.url, out, "--questions", four) == 0
    assert (partial["answered"], partial["planned"]) == (2, 4)
    assert [failure["id"] for failure in partial["failures"]] == ["c", "d"]
    assert any("2 questions failed" in words for words in partial["notes"])
    assert report(out)["answered"] == 4
    assert report(out)["failures"] == []


def test_an_interrupted_run_reports_on_what_there_is_and_goes_on(tmp_path: Path, four: Path):
    """As with Ctrl-C: the server holds the third question until the command is interrupted."""
    held, release = threading.Event(), threading.Event()

    def script(body: dict[str, Any], turn: int) -> Answer:
        if prompt(body) == "any one" and not release.is_set():
            held.set()
            release.wait(600)
        return colours(body, turn)

    out = tmp_path / "out"
    asked = ["--questions", str(four), "--concurrency", "1", "--out", str(out), *QUICK]
    with served(script) as server:
        command = [str(Path(sys.executable).with_name("ucbd")), "diagnose", server.url, *asked]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert held.wait(300)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
        release.set()
        partial = report(out)
        assert main(["diagnose", server.url, *asked]) == 0
    assert process.returncode == 1
    assert "interrupted; the report is of what there is, the same command goes on" in errors
    assert (partial["complete"], partial["answered"], partial["planned"]) == (False, 2, 4)
    assert partial["notes"][0].startswith("Not finished (interrupted): 2 of 4 questions")
    assert (report(out)["complete"], report(out)["answered"]) == (True, 4)


def test_references_may_be_mended_without_asking_again(tmp_path: Path, four: Path):
    out = tmp_path / "out"
    with served(colours) as server:
        assert diagnose(server.url, out, "--questions", four) == 0
        assert report(out)["accuracy"] == 0.5
        calls = len(server.calls)
        four.write_text(four.read_text().replace("grey", "red"))
        assert diagnose(server.url, out, "--questions", four) == 0
        assert len(server.calls) == calls
    assert report(out)["accuracy"] == 0.75


def test_a_server_that_goes_away_leaves_a_report_of_what_there_is(
    tmp_path: Path, four: Path, capsys
):
    """Busy for longer than anybody waits: two questions are answered, and the run has failed."""

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if prompt(body).startswith("any"):
            return Refusal(503, "come back tomorrow", retry_after="86400")
        return colours(body, turn)

    out = tmp_path / "out"
    with served(script) as server:
        assert diagnose(server.url, out, "--questions", four, "--concurrency", 1) == 1
    assert (report(out)["answered"], report(out)["complete"]) == (2, False)
    assert "come back tomorrow; come again in 86,400 s" in report(out)["notes"][0]
    assert sum(prompt(call).startswith("any") for call in server.calls) <= 2  # both at once
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -3, "completion_tokens": -1}],
    ids=["none", "an empty one", "negative"],
)
def test_tokens_that_nobody_counted_are_no_zero(tmp_path: Path, four: Path, usage: Any, capsys):
    out = tmp_path / "out"
    with served(colours) as server:
        server.extra = {"usage": usage}
        assert diagnose(server.url, out, "--questions", four) == 0
    spent = report(out)["spent"]
    assert (spent["prompt_tokens"], spent["completion_tokens"]) == (None, None)
    assert spent["uncounted_requests"] == spent["requests"] == 10
    assert spent["tokens_missing"] == "not counted by the server"
    assert "10 requests, tokens not counted by the server, " in capsys.readouterr().out
    assert "<td>tokens not counted by the server</td>" in (out / "report.html").read_text()


def test_tokens_that_were_counted_now_and_then_are_at_least_so_many(
    tmp_path: Path, four: Path, capsys
):
    """The server counts nothing of its answers, and of each of five calls for samples 7 read."""
    out = tmp_path / "out"

    def script(body: dict[str, Any], turn: int) -> Answer:
        server.extra = {"usage": None} if greedy(body) else {}
        return colours(body, turn)

    with served(script) as server:
        more = ("--questions", four, "--samples", 2, "--concurrency", 1)
        assert diagnose(server.url, out, *more) == 0
    spent = report(out)["spent"]
    counts = ("prompt_tokens", "completion_tokens", "uncounted_requests", "tokens_missing")
    assert [spent[name] for name in counts] == [35, 10, 5, None]
    told = "at least 35 tokens read and 10 generated"
    assert told in capsys.readouterr().out
    assert told in (out / "report.html").read_text()


def test_an_unreachable_server_fails_and_says_which(tmp_path: Path, capsys):
    assert diagnose("http://127.0.0.1:9", tmp_path / "out") == 1
    assert "http://127.0.0.1:9 cannot be reached" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ftp://x",), "URL: must be like http://host:8000 or https://host, got 'ftp://x'"),
        (("http://h:70000",), "URL: Port out of range 0-65535, got 'http://h:70000'"),
        (("http://[::1",), "URL: must be like http://host:8000 or https://host, got 'http://[::1'"),
        (("http://h/a b",), "URL: must hold no space and no control sign, got 'http://h/a b'"),
        (("http://x", "--against", "http://[::1"), "got 'http://[::1'"),
        (("http://me:secret@x",), "URL: must have no user"),
        (("http://me:secret@[x",), "URL: must have no user"),
        (("http://x/v1?key=secret",), "a key goes into --key-file"),
        (("http://x", "--max-shift", "0.1"), "nothing to compare with: give --against"),
        (("http://x", "--questions", "/no/such/file"), "/no/such/file"),
        (("http://x", "--against", "/no/such/report.json"), "/no/such/report.json"),
        (("http://x", "--key-file", "/no/such/key"), "/no/such/key"),
    ],
)
def test_bad_input_is_named_before_anything_is_asked(tmp_path: Path, arguments, told, capsys):
    assert main(["diagnose", *arguments, "--out", str(tmp_path / "out"), "--yes"]) == 2
    errors = capsys.readouterr().err
    assert told in errors
    assert "secret" not in errors
    assert not (tmp_path / "out").exists()


def test_a_server_of_several_models_must_be_told_which(tmp_path: Path, four: Path, capsys):
    with served(colours, models=("one", "two")) as server:
        assert diagnose(server.url, tmp_path / "out") == 2
        assert "serves one, two: say which by --model NAME" in capsys.readouterr().err
        assert diagnose(server.url, tmp_path / "out", "--model", "three") == 2
        assert "does not serve 'three'" in capsys.readouterr().err
        assert diagnose(server.url, tmp_path / "o", "--model", "two", "--questions", four) == 0
        assert {call["model"] for call in server.calls} == {"two"}


def test_nothing_begins_unasked(tmp_path: Path, four: Path, capsys):
    """Without a terminal and without --yes it says what it would cost, and stops."""
    with served(colours) as server:
        arguments = ["diagnose", server.url, "--questions", str(four), "--out", str(tmp_path / "o")]
        assert main(arguments) == 2
        assert server.calls == []
    captured = capsys.readouterr()
    assert "give --yes" in captured.err
    assert "44 answers in 8 requests" not in captured.out  # a is asked at three temperatures too
    assert "answers in" in captured.out


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [("y\n", 0, "50 %"), ("n\n", 1, "not begun"), ("\x04", 1, "not begun")],
    ids=["yes", "no", "Ctrl-D"],
)
def test_on_a_terminal_it_asks_first(tmp_path: Path, four: Path, typed: str, code: int, told: str):
    ours, theirs = pty.openpty()
    with served(colours) as server:
        asked = ("--questions", str(four), "--out", str(tmp_path / "out"), *QUICK[:-1])
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ucbd")), "diagnose", server.url, *asked],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.write(ours, typed.encode())
        said, _ = process.communicate(timeout=300)
        begun = bool(server.calls)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, begun) == (code, typed == "y\n")
    assert "Begin? [y/N]" in said
    assert "Traceback" not in said
    assert told in said


def test_two_models_are_compared_and_a_shift_ends_with_3(tmp_path: Path, four: Path, capsys):
    """Of one the four answers are of one cluster, of the other two: 50 points."""
    out = tmp_path / "out"
    with served() as sure, served(colours) as wavering:
        common = ("--questions", four, "--against", wavering.url)
        assert diagnose(sure.url, out, *common, "--max-shift", "0.4") == 3
        assert diagnose(sure.url, out, *common, "--max-shift", "0.5") == 0
    found = report(out)["comparison"]
    by = found["clusterers"]["combined"]
    assert (by["scr_before"], by["scr_after"], by["shift"]) == (0.5, 1.0, 0.5)
    assert by["p"] == 0.5  # 2 discordant pairs, both one way: 2 · 1/4
    assert {one["id"] for one in found["changed"]} == {"c", "d"}
    assert report(out / "against")["model"] == "scripted"
    assert "More homogeneous by 50.0 points" in capsys.readouterr().out


def test_a_report_is_the_baseline_of_a_later_one(tmp_path: Path, four: Path, capsys):
    before, out = tmp_path / "before", tmp_path / "out"
    with served(colours) as server:
        assert diagnose(server.url, before, "--questions", four) == 0
        common = ("--questions", four, "--against", before / "report.json", "--max-shift", "0")
        assert diagnose(server.url, out, *common) == 0
        assert report(out)["comparison"]["clusterers"]["jaccard"]["shift"] == 0
        assert diagnose(server.url, tmp_path / "third", *common, "--samples", 4) == 2
    assert "samples 10, now 4" in capsys.readouterr().err


def test_the_starter_policy_loads_and_says_that_it_is_uncalibrated(tmp_path: Path, four: Path):
    path = tmp_path / "starter.json"
    with served(colours) as server:
        more = ("--questions", four, "--starter-policy", path, "--flag-rate", "0.3")
        assert diagnose(server.url, tmp_path / "out", *more) == 0
    policy = read_policy(path)
    assert policy.description.startswith("UNCALIBRATED")
    assert [rule.stage for rule in policy.stages] == ["fluency", "sampling"]
