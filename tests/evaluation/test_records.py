"""Records: what is read, what derives a label, and how a bad file is told."""

import gzip
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.evaluation.matching import last_number, matches, normalise
from ucbd.cascade.evaluation.records import Record, RecordsUnreadable, read_records, write_records

QUESTION = {"id": "q1", "prompt": "Where?", "reference": ["Tarn"]}


def file(tmp_path, *lines: object):
    path = tmp_path / "records.jsonl"
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return path


def nested(lists: int) -> str:
    """A line with so many lists in one another."""
    return '{"id": "q2", "prompt": "?", "z": ' + "[" * lists + "]" * lists + "}"


@pytest.mark.parametrize(
    ("rule", "answer", "reference", "right"),
    [
        ("contains", "She was born in TARN, I think.", "Tarn", True),
        ("contains", "Tarnish", "Tarn", False),
        ("contains", "the United  Kingdom!", "The United Kingdom", True),
        ("contains", "nothing", "the", False),
        ("exact", "The Tarn.", "tarn", True),
        ("exact", "In Tarn", "Tarn", False),
        ("exact", "ｔａｒｎ", "Tarn", True),
        ("number", "3 and 4 make 7.", "7", True),
        ("number", "7, or 8", "7", False),
        ("number", "1,234.50", "1234.5", True),
        ("number", "-2", "2", False),
        ("number", "none", "2", False),
        ("number", "1000001", "1000000", True),
        ("number", "1000002", "1000000", False),
    ],
)
def test_rules_by_hand(rule, answer, reference, right):
    assert matches(answer, [reference], rule) is right


def test_any_reference_will_do():
    assert matches("In Dole.", ["Tarn", "Dole"], "contains")


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.integers(-(10**9), 10**9))
def test_a_number_is_read_as_it_is_written(number):
    assert last_number(f"It is {number}.") == number


class TestReading:
    def test_a_label_is_derived_only_where_none_is_given_even_as_null(self, tmp_path):
        right, null, wrong, silent = read_records(
            file(
                tmp_path,
                QUESTION | {"answer": {"text": "In Tarn."}},
                QUESTION | {"id": "q2", "answer": {"text": "In Tarn."}, "correct": None},
                QUESTION | {"id": "q3", "answer": {"text": "In Tarn."}, "correct": False},
                QUESTION | {"id": "q4"},
            )
        )
        assert [r.correct for r in (right, null, wrong, silent)] == [True, None, False, None]
        assert "correct" in null.model_fields_set
        assert "correct" not in silent.model_fields_set

    def test_reasoning_is_no_part_of_the_answer_that_is_judged(self, tmp_path):
        answer = {"text": "<think>Tarn?</think>In Dole."}
        (record,) = read_records(file(tmp_path, QUESTION | {"answer": answer}))
        assert record.correct is False

    @pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
    def test_what_is_read_and_written_again_is_the_same_unknown_keys_included(
        self, tmp_path, suffix
    ):
        line = QUESTION | {"kind": "fact", "answer": {"text": "x", "odd": [1]}, "correct": None}
        path = tmp_path / f"r{suffix}"
        content = json.dumps(line).encode() + b"\n"
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        written = write_records(tmp_path / "out.jsonl", read_records(path))
        assert json.loads(written.read_text()) == line

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('{"id": "q2", "prompt"', "line 2: not JSON"),
            ({"id": "q2"}, "line 2: prompt: Field required"),
            (QUESTION, "line 2: id 'q1' is line 1's too"),
            (QUESTION | {"id": "q2", "match": "like"}, "line 2: match: Input should be 'exact'"),
            (
                QUESTION | {"id": "q2", "correct": "yes"},
                "line 2: correct: Input should",
            ),
            (QUESTION | {"id": "q2", "reference": []}, "line 2: reference: List should have"),
            (
                QUESTION | {"id": "q2", "answer": {"text": "x", "token_entropies": [-1]}},
                "line 2: answer.token_entropies.0: Input should be greater.*got -1",
            ),
            (
                QUESTION | {"id": "q2", "answer": {"text": "x", "token_entropies": [1, 50.1]}},
                "line 2: answer.token_entropies.1: Input should be less.*to 50, got 50.1",
            ),
            (
                QUESTION | {"id": "q2", "reference": ["Tarn", "\ud800"]},
                r"line 2: reference.1: holds half of a surrogate pair \('\\ud800'\)",
            ),
            (
                QUESTION | {"id": "q2", "samples": [{"text": "x", "\udfff": 1}]},
                r"line 2: samples.0: holds half of a surrogate pair \('\\udfff'\)",
            ),
            (
                QUESTION | {"id": "q2", "answer": {"text": "x", "tokens": 10**400}},
                "line 2: answer.tokens: Input should be less",
            ),
            (
                QUESTION | {"id": "q2", "samples": [{"text": "x", "token_logprobs": [-1e308]}]},
                r"line 2: samples.0.token_logprobs: .* at most 3\.40282e\+38 in size",
            ),
            (
                QUESTION | {"id": "q2", "answer": {"text": "x", "top_logits": [[1e308]]}},
                r"line 2: answer.top_logits.0: .* at most 3\.40282e\+38 in size",
            ),
            (nested(50), r"line 2: z\.0\.0.*: lists and objects .* 50 deep at most"),
            (nested(99_999), "line 2: lists and objects .* 50 deep at most"),
            *(
                (
                    QUESTION | {"id": "q2", "label_source": value},
                    f"line 2: label_source: Input should be 'audit' or 'feedback', got {told}",
                )
                for value, told in (("Feedback", '"Feedback"'), ("", '""'), (True, "true"))
            ),
        ],
    )
    def test_a_bad_line_is_named_with_its_field(self, tmp_path, line, message):
        with pytest.raises(RecordsUnreadable, match=message):
            list(read_records(file(tmp_path, QUESTION, line)))

    def test_what_is_nearly_too_much_is_read(self, tmp_path):
        """A whole pair, braces in a text, 49 lists in one another, many beside one another."""
        answer = {"text": "x", "y": [[1]] * 90, "token_entropies": [50.0]}
        line = json.loads(nested(49)) | {"prompt": "\U0001f600 " + "[" * 70, "answer": answer}
        path = file(tmp_path, line)
        assert r"\ud83d\ude00" in path.read_text()
        (record,) = read_records(path)
        assert json.loads(record.written()) == line

    def test_a_probability_of_nothing_is_one(self, tmp_path):
        answer = {"text": "x", "token_logprobs": [-3e38, -math.inf]}
        (record,) = read_records(file(tmp_path, QUESTION | {"answer": answer}))
        assert record.answer.token_logprobs == [-3e38, -math.inf]

    @pytest.mark.parametrize("source", [{}, *({"label_source": s} for s in ("audit", "feedback"))])
    def test_where_a_label_is_from_is_known_or_not_told(self, tmp_path, source):
        (record,) = read_records(file(tmp_path, QUESTION | source))
        assert record.label_source == source.get("label_source")
        assert json.loads(record.written()) == QUESTION | source

    def test_a_truncated_file_is_an_error_not_a_shorter_one(self, tmp_path):
        path = tmp_path / "r.jsonl.gz"
        whole = "".join(json.dumps(QUESTION | {"id": str(i)}) + "\n" for i in range(2000))
        path.write_bytes(gzip.compress(whole.encode())[:-300])
        with pytest.raises(RecordsUnreadable, match="after line"):
            list(read_records(path))

    def test_an_empty_file_and_no_file_are_errors(self, tmp_path):
        with pytest.raises(RecordsUnreadable, match="holds no record"):
            list(read_records(file(tmp_path)))
        with pytest.raises(RecordsUnreadable, match="No such file"):
            list(read_records(tmp_path / "nowhere.jsonl"))


def test_a_failed_writing_leaves_what_was_there(tmp_path):
    path = write_records(tmp_path / "r.jsonl", [Record(id="a", prompt="b")])

    def broken():
        yield Record(id="c", prompt="d")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write_records(path, broken())
    assert json.loads(path.read_text()) == {"id": "a", "prompt": "b"}
    assert list(tmp_path.iterdir()) == [path]
