"""Stopping early against all samples: by hand, and files that cannot be used."""

import json

import pytest

from ucbd.app.studies.early_stopping import main
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.evaluation.early_stopping import QUANTILES, measure, read_samples
from ucbd.cascade.evaluation.records import RecordsUnreadable


def written(folder, *samples):
    path = folder / "records.jsonl"
    lines = [
        {"id": str(i), "prompt": "q", "samples": [{"text": text} for text in texts]}
        for i, texts in enumerate(samples)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def test_rows_by_hand():
    """One question always says the same (0 nats), one never (ln 6): τ lies between the two."""
    questions = [("a",) * 6, tuple("abcdef")]
    found = await measure(questions, Exact(), 0.3, shuffles=1)
    assert [row.quantile for row in found] == list(QUANTILES)
    assert [row.tau for row in found] == pytest.approx([1.791759 * q for q in QUANTILES], abs=1e-5)
    for row in found:
        assert row.agreement == 1
        assert 3 <= row.samples <= 6
        assert row.halves == 1  # both halves have three alike, or three that differ
    # three that differ have ln 3 = 1.0986: below the τ of 1.165 and 1.433 at 65 and 80 %
    assert [row.fixed for row in found] == [1, 1, 1, 0.5, 0.5]


async def test_without_error_all_are_drawn_unless_nothing_can_change():
    found = await measure([tuple("aabbcd")], Exact(), 1e-12, shuffles=2)
    # τ is the question's own value, and "above τ" is false of it but not of others: all are drawn
    assert all(row.agreement == 1 for row in found)
    assert max(row.samples for row in found) > 4


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        ([("a",) * 6, ("a",) * 8], "the same number of samples"),
        ([("a",) * 4], "6 to 24"),
        ([("a",) * 7], "no two halves"),
    ],
)
def test_recordings_that_cannot_be_used_are_named(tmp_path, samples, named, capsys):
    path = written(tmp_path, *samples)
    with pytest.raises(RecordsUnreadable, match=named):
        read_samples(path)
    assert main([str(path)]) == 2
    assert named in capsys.readouterr().err


def test_the_command_prints_a_row_for_each_threshold_and_their_mean(tmp_path, capsys):
    path = written(tmp_path, ("a b",) * 6, tuple("abcdef"))
    assert main([str(path), "--error", "0.3", "--shuffles", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(QUANTILES) + 1
    assert rows[-1].startswith("| 0.3 | mean | 100.0% |")
