"""An interrupted evaluation goes on, another one never does, and nothing is taken in part."""

from pathlib import Path

import pytest

from ucbd.cascade.evaluation.progress import OtherEvaluation, Plan, add, begin, so_far
from ucbd.cascade.evaluation.records import Answer, Record

PLAN = {"model": "m", "asked": {"samples": 10}}


def answered(name: str) -> Record:
    return Record(id=name, prompt="?", answer=Answer(text="yes"))


def write(path: Path, *names: str) -> None:
    write_as(PLAN, path, *names)


def write_as(plan: Plan, path: Path, *names: str) -> None:
    begin(path, plan)
    with path.open("a", encoding="utf-8") as file:
        for name in names:
            add(file, answered(name))


def test_what_was_answered_is_there_again(tmp_path: Path):
    path = tmp_path / "new" / "asked.jsonl"
    assert begin(path, PLAN) == {}
    write(path, "a", "b")
    assert begin(path, PLAN) == {"a": answered("a"), "b": answered("b")}


def test_a_line_cut_short_is_asked_again_and_the_file_can_go_on(tmp_path: Path):
    path = tmp_path / "asked.jsonl"
    write(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-9])
    assert list(begin(path, PLAN)) == ["a"]
    write(path, "c")
    assert list(begin(path, PLAN)) == ["a", "c"]


def test_a_file_cut_short_in_its_first_line_begins_anew(tmp_path: Path):
    path = tmp_path / "asked.jsonl"
    path.write_text('{"model": "m", "as')
    assert begin(path, PLAN) == {}
    write(path, "a")
    assert list(begin(path, PLAN)) == ["a"]


def test_another_evaluation_is_refused_with_what_differs(tmp_path: Path):
    path = tmp_path / "asked.jsonl"
    write(path, "a")
    with pytest.raises(OtherEvaluation, match=r"another evaluation: model \(m, now other\);"):
        begin(path, {**PLAN, "model": "other"})
    assert list(begin(path, PLAN)) == ["a"]


def test_a_plan_without_answers_gives_way_to_another(tmp_path: Path):
    path = tmp_path / "asked.jsonl"
    write(path)
    other = {**PLAN, "model": "other"}
    assert so_far(path, other) == {}
    assert list(begin(path, other)) == []
    write_as(other, path, "a")
    assert list(so_far(path, other)) == ["a"]
    with pytest.raises(OtherEvaluation):
        begin(path, PLAN)


def test_looking_writes_nothing(tmp_path: Path):
    assert so_far(tmp_path / "new" / "asked.jsonl", PLAN) == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["hello\n", "[1]\n", '{"mine": 1}\n'])
def test_another_file_is_left_alone(tmp_path: Path, content: str):
    path = tmp_path / "asked.jsonl"
    path.write_text(content)
    with pytest.raises(OtherEvaluation, match="not the answers of an evaluation"):
        begin(path, PLAN)
    assert path.read_text() == content


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path):
    path = tmp_path / "asked.jsonl"
    write(path, "a")
    with path.open("a") as file:
        file.write("{}\n")
    with pytest.raises(OtherEvaluation, match=r"asked\.jsonl, line 3"):
        begin(path, PLAN)
