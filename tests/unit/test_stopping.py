"""Foreseeing all N samples from the first: against enumeration, by hand, and on a recording."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.entropy import discrete_semantic_entropy
from ucbd.cascade.evaluation.early_stopping import measure, read_samples
from ucbd.cascade.policy import read_policies
from ucbd.cascade.stopping import LARGEST, Drawn, Foresight

STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 13.0, 25.0, 60.0)
GRID = [(strength, discount) for strength in STRENGTHS for discount in (0.0, 0.25, 0.5, 0.75)]
TRIVIA = Path(__file__).parents[3] / "shared" / "data" / "triviaqa-llama13b-20samples.jsonl.gz"


def chance(sequence: list[int], strength: float, discount: float) -> float:
    """Of a sequence of cluster labels, ball by ball: the urn's definition."""
    counts: Counter[int] = Counter()
    product = 1.0
    for n, label in enumerate(sequence):
        joined = counts[label] - discount if counts[label] else strength + discount * len(counts)
        product *= joined / (n + strength) if n else 1.0
        counts[label] += 1
    return product


def enumerated(first: list[int], planned: int, decide) -> dict:
    """Probabilities of decisions by walking through every continuation of ``first``."""
    found: Counter = Counter()

    def walk(sequence: list[int]) -> None:
        if len(sequence) == planned:
            weight = sum(chance(sequence, *pair) for pair in GRID)
            found[decide(tuple(sorted(Counter(sequence).values(), reverse=True)))] += weight
            return
        for label in range(max(sequence) + 2):
            walk([*sequence, label])

    walk(first)
    total = sum(found.values())
    return {decision: weight / total for decision, weight in found.items()}


@pytest.mark.parametrize("first", [[0], [0, 0], [0, 1], [0, 0, 1], [0, 1, 2], [0, 0, 0]])
def test_the_probabilities_are_those_of_every_continuation_together(first):
    sizes = tuple(sorted(Counter(first).values(), reverse=True))
    expected = enumerated(first, 6, lambda sizes: sizes)
    outlook = Foresight(6, lambda state: state.sizes, served=False).outlook(Drawn(None, sizes))
    found = {decision: p for decision, p in outlook.decisions.items() if p > 0}
    assert found == pytest.approx(expected)
    entropies = sum(p * discrete_semantic_entropy(sizes) for sizes, p in expected.items())
    assert outlook.semantic_entropy == pytest.approx(entropies)


def test_the_served_answer_is_a_ball_of_the_urn_and_no_sample():
    """One sample that agrees with the answer foresees as two that agree with each other do."""
    alone = Foresight(4, lambda state: state.sizes, served=False).outlook(Drawn(None, (2,)))
    beside = Foresight(3, lambda state: (state.own, state.others)).outlook(Drawn(1, ()))
    # own + 1 balls are the answer's cluster: of four balls (4), (3,1), (2,2) and (2,1,1) remain
    assert beside.decisions[3, ()] == pytest.approx(alone.decisions[4,])
    assert beside.decisions[2, (1,)] == pytest.approx(alone.decisions[3, 1])
    assert beside.decisions[1, (2,)] == pytest.approx(alone.decisions[2, 2])
    assert beside.decisions[1, (1, 1)] == pytest.approx(alone.decisions[2, 1, 1])
    assert beside.support == pytest.approx(
        sum(own / 3 * chance for (own, _), chance in beside.decisions.items())
    )


def test_two_samples_by_hand():
    # After one ball every pair of parameters is as likely as before, so the chance that the next
    # one joins it is the mean of (1 - d) / (1 + s) over the grid.
    together = np.mean([(1 - d) / (1 + s) for s, d in GRID])
    outlook = Foresight(2, lambda state: len(state.sizes), served=False).outlook(Drawn(None, (1,)))
    assert outlook.decisions == pytest.approx({1: together, 2: 1 - together})
    assert outlook.semantic_entropy == pytest.approx((1 - together) * math.log(2))


def test_what_is_complete_is_certain():
    foresight = Foresight(4, lambda state: len(state.sizes))
    outlook = foresight.outlook(Drawn(1, (2, 1)))
    assert outlook.decisions[3] == 1
    assert outlook.settled(1e-12)
    assert outlook.likeliest == 3
    assert outlook.support == 0.25


def test_a_decision_that_cannot_change_is_settled_at_once():
    assert Foresight(10, lambda state: "always").outlook(Drawn(1, ())).settled(1e-9)


def test_settled_is_a_matter_of_the_error_taken():
    outlook = Foresight(10, lambda state: len(state.sizes) > 1).outlook(Drawn(3, ()))
    chance = max(outlook.decisions.values())
    assert outlook.settled(1 - chance + 1e-9)
    assert not outlook.settled(1 - chance - 1e-9)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.integers(7, 9))
def test_probabilities_sum_to_one_and_expectations_stay_in_range(labels, planned):
    counts = Counter(labels)
    own = counts.pop(0, 0)
    state = Drawn(own, tuple(sorted(counts.values(), reverse=True)))
    outlook = Foresight(planned, lambda state: state.sizes).outlook(state)
    assert sum(outlook.decisions.values()) == pytest.approx(1)
    assert 0 <= outlook.semantic_entropy <= math.log(planned) + 1e-9
    assert own / planned - 1e-9 <= outlook.support <= 1 + 1e-9


@pytest.mark.parametrize("planned", [1, LARGEST + 1])
def test_what_cannot_be_foreseen_is_refused(planned):
    with pytest.raises(ValueError, match=f"not {planned}"):
        Foresight(planned, lambda state: True)


@pytest.mark.slow
@pytest.mark.skipif(not TRIVIA.is_file(), reason=f"the recording {TRIVIA} is not here")
async def test_the_default_policys_error_keeps_the_decisions_of_twenty_samples_of_a_real_model():
    """At the shipped ``stop_error`` a few samples nearly always decide as all twenty do.

    Decision: discrete semantic entropy (``jaccard``) above τ, τ at quantiles of the N = 20 values;
    nothing of the rule was fitted to this recording. docs/measurements has the whole table.
    """
    error = read_policies(None).by_name["default"].stop_error
    assert error is not None
    found = await measure(read_samples(TRIVIA), Jaccard(), error, shuffles=4)
    assert np.mean([row.agreement for row in found]) >= 0.98
    assert min(row.agreement for row in found) >= 0.97
    assert np.mean([row.samples for row in found]) <= 10
