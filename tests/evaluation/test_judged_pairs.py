"""Pairs of answers that people judged: which there are, and what a clusterer makes of them."""

import gzip
import json

import pytest

from ucbd.app.studies.judged_pairs import main
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.evaluation.judged_pairs import (
    JudgedPair,
    merges,
    merges_of_samples,
    read_pairs,
    read_samples,
)
from ucbd.cascade.evaluation.rates import Rate
from ucbd.cascade.evaluation.records import RecordsUnreadable


def question(*answers: tuple[str, bool]) -> dict:
    return {"question": "q", "answers": [{"text": t, "correct": c} for t, c in answers]}


def written(folder, *lines) -> object:
    path = folder / "judged.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_two_right_answers_are_the_same_and_a_wrong_one_differs(tmp_path):
    """Nothing is known of two wrong ones, and an empty answer is in no pair."""
    path = written(
        tmp_path, question(("a", True), ("b", True), ("c", False), ("d", False), (" ", True))
    )
    assert {(pair.one, pair.other, pair.same) for pair in read_pairs(path)} == {
        ("a", "b", True),
        ("a", "c", False),
        ("a", "d", False),
        ("b", "c", False),
        ("b", "d", False),
    }


def test_a_gzipped_file_is_read_too(tmp_path):
    path = tmp_path / "judged.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(question(("a", True), ("b", True))).encode()))
    assert read_pairs(path) == [JudgedPair("q", "a", "b", True)]


async def test_rates_by_hand():
    pairs = [
        JudgedPair("q", "a", "a", True),
        JudgedPair("q", "a", "b", True),
        JudgedPair("q", "b", "b", False),
        JudgedPair("q", "a", "c", False),
        JudgedPair("q", "b", "c", False),
    ]
    told = []
    found = await merges(Exact(), pairs, lambda: told.append(1))
    assert (found.recall, found.wrong, found.precision) == (Rate(1, 2), Rate(1, 3), Rate(1, 2))
    assert len(told) == 5


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"question": "q", "answers": [{"text": "a", "correct": "yes"}]}, "answers.0.correct"),
        ({"question": "q"}, "answers"),
        (question(("a", False), ("b", False)), "holds no pair"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_field(tmp_path, line, named, capsys):
    path = written(tmp_path, line)
    with pytest.raises(RecordsUnreadable, match=named):
        read_pairs(path)
    assert main([str(path)]) == 2
    assert named in capsys.readouterr().err


def test_the_command_prints_a_row_for_each_clusterer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ucbd.app.studies.judged_pairs.MiniLM.installed", lambda: False)
    path = written(tmp_path, question(("Tarn", True), ("In Tarn.", True), ("Dole", False)))
    assert main([str(path)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "| clusterer | recall | wrong merges | precision |"
    combined = next(row for row in rows if "combined(threshold=0.65)" in row)
    assert "100.0% (20.7% … 100.0%; 1 of 1)" in combined
    assert "0.0% (0.0% … 65.8%; 0 of 2)" in combined


async def test_pairs_of_samples_are_judged_by_the_world(tmp_path):
    """Three assert a parrot, one a cat: 3 pairs are the same, 3 are not; two strings are equal."""
    texts = ("A parrot.", "A parrot.", "It is a parrot.", "A cat.", " ")
    record = {"id": "1", "prompt": "Which pet?", "samples": [{"text": text} for text in texts]}
    questions = read_samples(written(tmp_path, record))
    assert questions == [("Which pet?", texts[:4])]

    class Animals(Exact):
        async def cluster(self, answer, samples, *, question=""):
            animals = [text.split()[-1] for text in samples]
            return await super().cluster(answer, animals, question=question)

    found = await merges_of_samples(Exact(), Animals(), questions)
    assert (found.recall, found.wrong) == (Rate(1, 3), Rate(0, 3))


def test_records_without_samples_are_refused(tmp_path):
    with pytest.raises(RecordsUnreadable, match="no record with two samples"):
        read_samples(written(tmp_path, {"id": "1", "prompt": "Which pet?"}))
