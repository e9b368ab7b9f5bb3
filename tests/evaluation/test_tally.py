"""Scored records as columns: gaps stay gaps, and no record stays."""

import gc
import math
import weakref
from typing import Any

import numpy as np

from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.tally import tallied


def scored(correct: bool | None = None, **keys: Any) -> ScoredRecord:
    return ScoredRecord.model_validate({"id": "q", "prompt": "?", "correct": correct, **keys})


def by_jaccard(*labels: int, reasoning: bool = False) -> dict[str, Any]:
    found = {"count": len(set(labels)), "labels": list(labels), "clusterer": "jaccard(0.4)"}
    return {"jaccard": found | {"reasoning": reasoning}}


def test_a_signal_that_some_records_lack_is_not_a_number_there():
    records = [scored(), scored(scores={"a": 1.5}), scored(scores={"a": None}), scored()]
    tally = tallied([*records, scored(scores={"a": math.inf, "b": 2.0})])
    assert np.array_equal(
        tally.column("a"), [math.nan, 1.5, math.nan, math.nan, math.nan], equal_nan=True
    )
    assert np.array_equal(tally.column("b"), [math.nan] * 4 + [2.0], equal_nan=True)
    assert np.isnan(tally.column("never")).all()
    assert set(tally.signals) == {"a", "b"}


def test_right_wrong_and_unknown_are_three_things():
    right = tallied([scored(True), scored(False), scored()]).right
    assert np.array_equal(right, [1, 0, math.nan], equal_nan=True)


def test_one_sample_is_no_agreement_and_no_samples_are_no_clusters():
    records = [
        scored(),
        scored(clusters=by_jaccard(0, 0, 0)),
        scored(clusters=by_jaccard(0)),
        scored(clusters=by_jaccard(0, 1, reasoning=True)),
        scored(),
    ]
    tally = tallied(records)
    found = tally.partitions["jaccard"]
    assert found.single(tally.n).tolist() == [False, True, False, False, False]
    assert found.clustered(tally.n).tolist() == [False, True, True, True, False]
    assert np.array_equal(found.counts(tally.n), [math.nan, 1, 1, 2, math.nan], equal_nan=True)
    assert np.allclose(
        found.entropies(tally.n), [math.nan, 0, math.nan, math.log(2), math.nan], equal_nan=True
    )
    assert (found.names, found.reasoning) == (["jaccard(0.4)"], True)


def test_costs_are_of_records_that_a_cascade_ran_on():
    stages = [{"name": "fluency", "cost": 0.0}, {"name": "sampling", "cost": 2.5}]
    skipped = [{"name": "fluency", "cost": 0.0}, {"name": "sampling", "cost": None}]
    tally = tallied([scored(stages=stages), scored(), scored(stages=skipped)])
    assert np.array_equal(tally.costs, [3.5, math.nan, 1.0], equal_nan=True)
    assert {name: list(costs) for name, costs in tally.stages.items()} == {
        "fluency": [0, 0],
        "sampling": [2.5, 0],
    }


def test_no_record_is_kept():
    made: list[weakref.ref[ScoredRecord]] = []
    most = 0

    def passing():
        nonlocal most
        for _ in range(50):
            record = scored(True, scores={"a": 1.0}, clusters=by_jaccard(0, 0))
            made.append(weakref.ref(record))
            yield record
            del record
            gc.collect()
            most = max(most, sum(one() is not None for one in made))

    assert tallied(passing()).n == 50
    assert most <= 2
