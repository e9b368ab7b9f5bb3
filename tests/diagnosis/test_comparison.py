"""Only what was asked alike is compared, pair by pair; a file that is no baseline says where."""

import json
from pathlib import Path
from typing import Any

import pytest

from ucbd.cascade.diagnosis.comparison import NotComparable, baseline, compare, read_baseline


def report(counts: dict[str, int | None], **changes: Any) -> dict[str, Any]:
    """A diagnosis by ``jaccard`` with so many clusters by question."""
    return {
        "schema": "ucbd-diagnosis-1",
        "model": "m",
        "server": "http://s",
        "created": "2026-11-25T00:00:00+00:00",
        "complete": True,
        "asked": {"samples": 10, "temperature": 1.0, "max_tokens": 64, "refused": {}},
        "clusterer": "jaccard",
        "homogenization": {"jaccard": {"clusterer": ["jaccard(threshold=0.4)"]}},
        "questions": [
            {
                "id": name,
                "prompt": f"question {name}",
                "answer": "x",
                "clusters": {
                    "jaccard": {
                        "one": None if count is None else count == 1,
                        "count": count,
                        "samples": 10,
                    }
                },
            }
            for name, count in counts.items()
        ],
    } | changes


def compared(before: dict[str, Any], after: dict[str, Any], **options: Any) -> dict[str, Any]:
    return compare(baseline(after), baseline(before), **options)


def test_pairs_by_hand():
    """a stays one cluster, b becomes one, c stays several, d has no rate any more, e is new."""
    found = compared(
        report({"a": 1, "b": 4, "c": 3, "d": 1}),
        report({"a": 1, "b": 1, "c": 2, "d": None, "e": 1}),
    )
    by = found["clusterers"]["jaccard"]
    assert (found["matched"], found["unmatched"], by["n"]) == (4, 1, 3)
    assert (by["scr_before"], by["scr_after"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (by["one_in_both"], by["one_only_before"], by["one_only_after"]) == (1, 0, 1)
    assert (by["mean_clusters_before"], by["mean_clusters_after"]) == (8 / 3, 4 / 3)
    assert [(one["id"], one["clusters_before"]) for one in found["changed"]] == [("b", 4)]


def test_a_question_of_another_wording_is_another_question():
    before = report({"a": 1, "b": 1})
    before["questions"][1]["prompt"] = "asked in other words"
    found = compared(before, report({"a": 1, "b": 1}))
    assert (found["matched"], found["unmatched"]) == (1, 2)


@pytest.mark.parametrize(("most", "exceeded"), [(0.5, False), (0.49, True), (None, False)])
def test_a_shift_exceeds_what_it_is_above_either_way(most: float | None, exceeded: bool):
    """One of two questions: half, down as well as up."""
    one, other = report({"a": 1, "b": 1}), report({"a": 1, "b": 2})
    assert compared(one, other, max_shift=most)["exceeded"] is exceeded
    assert compared(other, one, max_shift=most)["exceeded"] is exceeded


@pytest.mark.parametrize("field", ["samples", "max_tokens"])
def test_what_was_asked_otherwise_is_refused(field: str):
    other = report({"a": 1})
    other["asked"] = other["asked"] | {field: 7}
    with pytest.raises(NotComparable, match=f"{field} 7"):
        compared(other, report({"a": 1}))


def test_another_threshold_is_another_clusterer():
    other = report({"a": 1}, homogenization={"jaccard": {"clusterer": ["jaccard(threshold=0.5)"]}})
    with pytest.raises(NotComparable, match=r"threshold=0\.5.*threshold=0\.4"):
        compared(other, report({"a": 1}))


def test_no_question_in_common_is_refused():
    with pytest.raises(NotComparable, match="0 questions are in both"):
        compared(report({"a": 1}), report({"b": 1}))


def test_what_may_explain_a_shift_is_noted():
    before = report({"a": 1}, complete=False)
    after = report({"a": 2})
    after["asked"]["refused"] = {"temperature=0": "no"}
    notes = " ".join(compared(before, after)["notes"])
    assert "earlier diagnosis was interrupted" in notes
    assert "temperature=0" in notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.pop("schema"), "schema"),
        (lambda one: one.update(schema="ucbd-diagnosis-2"), "schema"),
        (lambda one: one["questions"][0].pop("prompt"), r"questions\.0\.prompt"),
    ],
)
def test_a_file_that_is_no_baseline_is_named_with_its_field(tmp_path: Path, change, told: str):
    content = report({"a": 1})
    change(content)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))
    with pytest.raises(NotComparable, match=rf"report\.json: not the report.*{told}"):
        read_baseline(path)


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report({"a": 1})))
    assert read_baseline(path) == baseline(report({"a": 1}))
