"""The drift alarm: its arithmetic by hand, its promise over many runs, and what it finds."""

import math

import numpy as np
import pytest

from tests.monitoring.drift_runs import BOUND, Run, mapies, ours
from ucbd.cascade.evaluation.rates import wilson
from ucbd.cascade.monitoring.drift import STAKES, STRIDE, Drift

DELTA = 0.05


def test_wealth_by_hand():
    """Half of the capital bets at once: a wrong answer pays 1 − s + s/α, a right one takes s."""
    wrong = Drift().after(wrong=True, bound=0.1)
    assert wrong.wealth == pytest.approx((0.59, 0.725, 0.95, 1.4, 2.3))
    assert wrong.evidence == pytest.approx(1.193 + 0.5)
    right = wrong.after(wrong=False, bound=0.1)
    assert right.wealth == pytest.approx((0.5782, 0.68875, 0.855, 1.12, 1.38))
    assert right.evidence == pytest.approx(0.92439 + 0.5)
    assert right.highest == wrong.evidence
    assert (right.answers, right.wrong) == (2, 1)


def test_a_new_group_brings_its_share_of_the_capital_every_stride_answers():
    drift = Drift()
    for _ in range(STRIDE):
        drift = drift.after(wrong=False, bound=0.1)
    assert drift.groups == 1
    old = 0.5 * 0.6**STRIDE
    assert drift.wealth[-1] == pytest.approx(old)
    later = drift.after(wrong=True, bound=0.1)
    assert later.groups == 2
    assert later.wealth[-1] == pytest.approx((old + 1 / 6) * 4.6)
    assert later.evidence == pytest.approx(sum(later.wealth) / len(STAKES) + 1 / 3)


@pytest.mark.parametrize("bound", [0.05, 0.1, 0.5])
def test_at_the_bound_no_bet_has_an_edge(bound):
    """The mean over right and wrong of the wealth after one more answer is the wealth before."""
    drift = Drift()
    for wrong in (True, False, False, True) * 12:
        after = [drift.after(wrong=right, bound=bound).evidence for right in (True, False)]
        assert bound * after[0] + (1 - bound) * after[1] == pytest.approx(drift.evidence)
        drift = drift.after(wrong=wrong, bound=bound)


def test_each_answer_may_have_a_bound_of_its_own():
    mixed = Drift().after(wrong=True, bound=0.5).after(wrong=True, bound=0.1)
    by_hand = [0.5 * (1 + s) * (1 + 9 * s) for s in STAKES]
    assert mixed.wealth == pytest.approx(by_hand)


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.1, math.nan])
def test_a_bound_that_is_none_is_refused(bound):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Drift().after(wrong=True, bound=bound)


def test_wealth_stays_a_number_however_bad_it_gets():
    drift = Drift()
    for _ in range(2000):
        drift = drift.after(wrong=True, bound=0.01)
    assert math.isfinite(drift.evidence)
    assert drift.alarmed(DELTA)


def test_a_test_goes_on_from_its_state():
    drift = Drift().after(wrong=True, bound=0.1).after(wrong=False, bound=0.1)
    assert Drift.restored(drift.state()) == drift
    assert Drift.restored({"wealth": [1.0], "of": "another version"}) == Drift()


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_without_drift_it_is_false_no_more_often_than_promised(delta):
    """At the bound itself, the worst case, watched after each of 2,000 answers."""
    runs, calm = 400, Run(BOUND, BOUND, 0, 2000)
    false = sum(ours(calm.wrong(seed), delta) is not None for seed in range(runs))
    assert wilson(false, runs)[0] <= delta
    assert false > 0  # it does bet


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "at", "within"),
    [(0.05, 0.2, 300, 500), (0.1, 0.2, 300, 400), (0.05, 0.3, 1000, 200)],
)
def test_a_risk_that_doubles_is_found(before, after, at, within):
    """In at least 95 of 100 runs within so many labelled answers, and not before it is there."""
    run = Run(before, after, at, at + within)
    found = [ours(run.wrong(seed)) for seed in range(100)]
    assert sum(one is not None and one >= at for one in found) >= 95


@pytest.mark.slow
def test_it_finds_a_drift_no_later_than_mapies_monitor():
    run = Run(0.05, 0.25, 200, 900)
    wrong = [run.wrong(seed) for seed in range(10)]
    found = [
        [900 if (at := alarm(one)) is None else at for one in wrong] for alarm in (ours, mapies)
    ]
    assert np.median(found[0]) < np.median(found[1])
    assert np.median(found[0]) < 900
