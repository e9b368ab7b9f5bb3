"""What the server refused, lost or did not say is in the report, and none of it is a cluster."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.served import Answer, Refusal, greedy, prompt, served
from ucbd.app.cli import main


def diagnosed(tmp_path: Path, script, *more: str) -> Any:
    """The report on four questions of two samples each."""
    rows = [{"id": name, "prompt": f"question {name}"} for name in "abcd"]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    asked = ("--questions", str(path), "--samples", "4", "--temperatures", "none", "--yes")
    with served(script) as server:
        code = main(["diagnose", server.url, "--out", str(out), *asked, *more])
    assert code == 0
    return json.loads((out / "report.json").read_text())


def noted(report: Any, words: str) -> bool:
    return any(words in note for note in report["notes"])


def differing(body: dict[str, Any], turn: int) -> Answer:
    """What nothing is to be noted about, but that entropies are bounds."""
    return Answer("yes" if turn % 2 else "no")


def test_what_is_as_it_should_be_is_not_noted(tmp_path: Path):
    report = diagnosed(tmp_path, differing, "--clusterers", "jaccard", "--vocab-size", "100")
    assert report["notes"] == []


def test_empty_and_refused_answers_are_counted_and_are_no_cluster(tmp_path: Path):
    """Of four samples one is empty and one refused; the other two agree: one cluster of two."""

    def script(body: dict[str, Any], turn: int) -> Answer:
        if greedy(body):
            return Answer("yes")
        return (Answer(""), Answer("no", finish="content_filter"), Answer("yes"), Answer("yes"))[
            turn % 4
        ]

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    samples = report["answers"]["samples"]
    assert {name: n for name, n in samples.items() if n} == {
        "whole": 8,
        "empty": 4,
        "refused": 4,
    }
    for question in report["questions"]:
        assert question["clusters"]["jaccard"] == {
            "one": True,
            "count": 1,
            "samples": 2,
            "sizes": [2],
        }
    assert report["by_samples"]["jaccard"] == []  # no question has all four
    assert noted(report, "4 of 20 answers and samples were empty")
    assert noted(report, "4 of 20 answers and samples were refused")
    assert noted(report, "4 questions have fewer usable samples")


def test_questions_without_two_samples_have_no_rate(tmp_path: Path):
    report = diagnosed(tmp_path, lambda body, turn: Answer(""), "--clusterers", "jaccard")
    assert report["homogenization"]["jaccard"]["scr"] is None
    assert report["homogenization"]["jaccard"]["excluded"] == 4
    assert [question["clusters"]["jaccard"]["one"] for question in report["questions"]] == [
        None
    ] * 4
    assert report["sentence"].startswith("No question has two usable samples")


def test_a_reasoning_model_is_clustered_by_its_answers(tmp_path: Path):
    """Its thoughts differ every time, its answers do not."""

    def script(body: dict[str, Any], turn: int) -> Answer:
        return Answer(f"<think>thought {turn}</think>\nYes, it is so.")

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert report["homogenization"]["jaccard"]["scr"] == 1.0
    assert noted(report, "A reasoning model: 4 answers came with reasoning")


def test_reasoning_that_leaves_no_room_for_an_answer_is_no_answer(tmp_path: Path):
    def script(body: dict[str, Any], turn: int) -> Answer:
        return Answer("", finish="length", extra={"reasoning_content": "so much to consider"})

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert report["answers"]["samples"]["only_reasoning"] == 16
    assert report["homogenization"]["jaccard"]["scr"] is None
    assert noted(report, "a higher --max-tokens gives them room")


def test_no_log_probabilities_are_no_entropy_of_0(tmp_path: Path):
    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if "logprobs" in body:
            return Refusal(400, "logprobs is not supported by this model", "logprobs")
        return differing(body, turn)

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert report["token_entropy"]["bounds"] == []
    assert {question["token_entropy"] for question in report["questions"]} == {None}
    assert noted(
        report, "No token entropy: the server gives no usable log-probabilities. refused by"
    )


def test_log_probabilities_that_do_not_come_are_noted(tmp_path: Path):
    """The server takes the parameter and ignores it."""
    report = diagnosed(tmp_path, lambda body, turn: Answer(top=None), "--clusterers", "jaccard")
    assert noted(report, "No token entropy: the server gives no usable log-probabilities.")


def test_a_model_that_never_differs_by_a_letter_is_suspected(tmp_path: Path):
    report = diagnosed(tmp_path, lambda body, turn: Answer("42"), "--clusterers", "jaccard")
    assert noted(report, "look for a cache")


@pytest.mark.parametrize(
    "useless",
    [
        Answer(""),
        Answer(None, extra={"refusal": "I cannot help with that."}),
        Answer("", finish="length", extra={"reasoning_content": "hm"}),
        Answer("<think>so much to consider", finish="length"),
    ],
    ids=["empty", "refused", "only reasoning", "only thinking"],
)
def test_a_model_that_says_nothing_is_not_suspected(tmp_path: Path, useless: Answer):
    report = diagnosed(tmp_path, lambda body, turn: useless, "--clusterers", "jaccard")
    assert not noted(report, "look for a cache")


def test_one_sample_each_beside_empty_ones_is_no_repetition(tmp_path: Path):
    """Of four samples of a question three are empty: nothing was said twice."""

    def script(body: dict[str, Any], turn: int) -> Answer:
        return Answer("yes" if greedy(body) or not turn % 4 else "")

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert report["answers"]["samples"]["whole"] == 4
    assert not noted(report, "look for a cache")


def test_a_cache_is_suspected_beside_empty_answers_too(tmp_path: Path):
    def script(body: dict[str, Any], turn: int) -> Answer:
        return Answer("42" if greedy(body) or turn % 2 else "")

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert noted(report, "Every usable sample of every question is the same text")


def test_a_refused_question_is_named_and_counts_nowhere(tmp_path: Path):
    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if prompt(body).endswith("b"):
            return Refusal(400, "content management policy")
        return differing(body, turn)

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert [failure["id"] for failure in report["failures"]] == ["b"]
    assert report["homogenization"]["jaccard"]["n"] == 3
    assert report["complete"]
    assert noted(report, "1 question failed and counts nowhere")


def test_a_busy_server_is_waited_for_and_told_of(tmp_path: Path):
    told: list[int] = []

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if len(told) < 2:
            told.append(turn)
            return Refusal(429, "slow down", retry_after="0.01")
        return differing(body, turn)

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert report["answered"] == 4
    assert noted(report, "busy 2×")


@pytest.mark.parametrize(
    ("parameter", "told"), [("top_k", "it may filter its samples"), ("min_p", "it may filter")]
)
def test_refused_parameters_are_told(tmp_path: Path, parameter: str, told: str):
    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if parameter in body:
            return Refusal(400, f"unknown: '{parameter}'", parameter)
        return differing(body, turn)

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert noted(report, told)
    assert parameter in report["asked"]["refused"]


def test_a_server_of_one_answer_a_request_is_told_of(tmp_path: Path):
    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if "n" in body:
            return Refusal(400, "n must be 1", "n")
        return differing(body, turn)

    report = diagnosed(tmp_path, script, "--clusterers", "jaccard")
    assert noted(report, "one by one")
    # To learn: an answer, two samples refused, each alone. Then five for each of four questions.
    assert report["spent"]["requests"] == 1 + 1 + 2 + 4 * 5
