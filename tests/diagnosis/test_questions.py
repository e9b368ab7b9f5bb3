"""The questions that ship are what the documentation says, and a user's file is checked."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from ucbd.cascade.clustering.wording import wording
from ucbd.cascade.diagnosis.questions import KINDS, every, kind, language, read_questions, shipped
from ucbd.cascade.evaluation.matching import matches
from ucbd.cascade.evaluation.records import RecordsUnreadable

QUESTIONS = read_questions(shipped())


def test_there_are_two_hundred_of_six_kinds_half_of_them_english():
    assert len(QUESTIONS) == 200
    assert Counter(map(kind, QUESTIONS)) == {
        "short_factual": 62,
        "misconception": 41,
        "arithmetic": 31,
        "date": 25,
        "opinion": 18,
        "unanswerable": 23,
    }
    assert list(dict.fromkeys(map(kind, QUESTIONS))) == list(KINDS)
    languages = Counter(map(language, QUESTIONS))
    assert languages["en"] == 100
    assert len(languages) == 17
    assert sum(question.reference is not None for question in QUESTIONS) == 148


def test_no_question_is_asked_twice_in_one_language():
    """Not even in other words: no two share most of theirs beyond how they want to be answered."""
    for one, other in combinations(QUESTIONS, 2):
        if language(one) == language(other) and kind(one) == kind(other):
            first, second = (wording(question.prompt).words for question in (one, other))
            assert len(first & second) / len(first | second) < 0.8, (one.id, other.id)


def test_what_has_no_certain_answer_has_no_reference():
    for question in QUESTIONS:
        if kind(question) in ("opinion", "unanswerable"):
            assert question.reference is None, question.id
        if kind(question) in ("arithmetic", "date"):
            assert question.reference is not None, question.id


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.reference], ids=lambda q: q.id)
def test_a_reference_is_found_in_a_plain_answer_and_not_in_another(question):
    assert question.reference is not None
    for reference in question.reference:
        assert matches(f"{reference}.", question.reference, question.match)
    assert not matches("xyzzy 7654321", question.reference, question.match)


def test_words_are_matched_only_where_they_are_parted():
    for question in QUESTIONS:
        if language(question) in ("zh", "ja", "ko") and question.reference:
            assert question.match == "number", question.id


def test_every_fifth_is_a_fifth_of_each_kind():
    chosen = every(QUESTIONS, 5)
    by_kind = Counter(kind(question) for question in QUESTIONS if question.id in chosen)
    assert by_kind == {
        "short_factual": 13,
        "misconception": 9,
        "arithmetic": 7,
        "date": 5,
        "opinion": 4,
        "unanswerable": 5,
    }


def test_an_empty_prompt_is_named(tmp_path: Path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "a", "prompt": " "}\n')
    with pytest.raises(RecordsUnreadable, match=r"q\.jsonl: question 'a': prompt: is empty"):
        read_questions(path)
