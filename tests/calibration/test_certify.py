"""Learn-then-Test, on numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.risk_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

from ucbd.cascade.calibration.certify import (
    Fallback,
    Path,
    at,
    certify,
    fewest_answers,
    p_value,
    path,
    records_needed,
)


def test_the_p_value_is_the_binomial_one_and_below_hoeffdings():
    """method.md section 6: n = 200, risk .03, α = .1; Hoeffding 6.7082e-4, Bentkus 1.4811e-4."""
    assert p_value(6, 200, 0.1) == pytest.approx(1.4811e-4, rel=1e-4)
    assert p_value(6, 200, 0.1) < 6.7082e-4
    library = compute_hoeffding_bentkus_p_value(np.array([0.03]), 200, np.array([0.1]), binary=True)
    assert p_value(6, 200, 0.1) == pytest.approx(float(library[0, 0]))


def test_without_answers_nothing_is_rejected():
    assert p_value(0, 0, 0.1) == 1


@pytest.mark.parametrize(("errors", "answers"), [(0, 29), (1, 46), (2, 61)])
def test_how_many_answers_a_few_errors_take(errors, answers):
    """method.md section 6, at α = .1 and δ = .05."""
    assert p_value(errors, answers, 0.1) <= 0.05 < p_value(errors, answers - 1, 0.1)
    if not errors:
        assert fewest_answers(0.1, 0.05) == answers


def rejected(p_values, starts, delta=0.05):
    return control_fwer(np.array(p_values), delta, Fallback(starts)).tolist()


def test_what_a_start_has_won_is_carried_to_the_next():
    """Two starts at .025 each: the third hypothesis is tested at both together."""
    assert rejected([0.02, 0.02, 0.04], starts=(0, 2)) == [0, 1, 2]
    assert rejected([0.03, 0.02, 0.04], starts=(0, 2)) == []  # .03 fails, and .04 at .025 alone
    assert rejected([0.03, 0.0, 0.02], starts=(0, 2)) == [2]  # nothing is tested between


def test_a_hypothesis_that_stands_ends_its_sequence_and_not_the_others():
    assert rejected([0.001, 0.2, 0.001, 0.024, 0.02], starts=(0, 3)) == [0, 3, 4]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.sets(st.integers(0, 7), min_size=1),
)
def test_no_hypothesis_is_tested_above_the_whole_of_delta(p_values, starts):
    found = rejected(p_values, tuple(s for s in starts if s < len(p_values)) or (0,))
    assert all(p_values[i] <= 0.05 + 1e-12 for i in found)


@pytest.mark.slow
def test_a_false_rejection_is_as_rare_as_delta_says():
    """Every hypothesis true, p-values of one path as dependent as nested sets make them."""
    rng = np.random.default_rng(1)
    draws, false = 4000, 0
    for _ in range(draws):
        wrong = np.cumsum(rng.random(200) < 0.1)
        values = [p_value(int(wrong[n - 1]), n, 0.1) for n in range(40, 201, 10)]
        false += bool(rejected(values, starts=(0, 4, 8)))
    assert false / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


UNIFORM = np.arange(1000) / 1000
NONE_WRONG = np.zeros(1000, dtype=bool)


def test_thresholds_lie_at_hundredths_of_coverage_and_starts_where_enough_is_answered():
    found = path(UNIFORM, NONE_WRONG, 0.1, 0.05, records=1000)
    assert len(found.thresholds) == 100
    assert found.thresholds[0] == pytest.approx(0.009)  # ten of a thousand lie at or below it
    # 10 % of a thousand are 100 answers; one error among them has p = .0003, below .0125
    assert [found.thresholds[start] for start in found.starts] == pytest.approx(
        [0.099, 0.199, 0.299, 0.399]
    )


def test_starts_that_would_not_pass_are_dropped_and_their_share_goes_to_the_others():
    """Of 150 records 10, 20, 30 and 40 % are 15, 30, 45 and 60 answers. That the fit split has no
    error among 100 to 400 suggests some, so one is reckoned with: p = .55, .18, .05 and .014. The
    last passes at .05, and no two of them at .025 each."""
    found = path(UNIFORM, NONE_WRONG, 0.1, 0.05, records=150)
    assert [found.thresholds[start] for start in found.starts] == pytest.approx([0.399])


def test_where_errors_come_late_the_early_starts_stay():
    """Wrong from 25 % on: 30 % and 40 % are hopeless, and 10 % and 20 % share δ."""
    found = path(UNIFORM, UNIFORM >= 0.25, 0.1, 0.05, records=1000)
    assert [found.thresholds[start] for start in found.starts] == pytest.approx([0.099, 0.199])


def test_equal_scores_are_answered_together():
    scores = np.array([0.1, 0.2, 0.2, 0.3])
    wrong = np.array([False, True, False, True])
    assert (at(0.2, scores, wrong).answered, at(0.2, scores, wrong).wrong) == (3, 1)
    assert len(path(np.full(50, 0.2), np.zeros(50, bool), 0.1, 0.05, 50).thresholds) == 1


def test_what_cannot_be_answered_is_in_no_coverage():
    scores = np.array([0.1, np.inf, np.nan, 0.2])
    wrong = np.array([False, True, True, False])
    one = at(0.2, scores, wrong)
    assert (one.answered, one.wrong, one.coverage) == (2, 0, 0.5)


def test_the_loosest_threshold_that_holds_is_certified():
    """100 right answers at .1, then 100 of which half are wrong: .1 holds, .2 does not."""
    scores = np.repeat([0.1, 0.2], 100)
    wrong = np.concatenate([np.zeros(100), np.tile([0, 1], 50)]).astype(bool)
    found = certify(Path((0.1, 0.2), (0,)), scores, wrong, 0.1, 0.05)
    assert (found.threshold, found.answered, found.wrong) == (0.1, 100, 0)
    assert certify(Path((0.2,), (0,)), scores, wrong, 0.1, 0.05) is None
    assert certify(Path((0.1,), ()), scores, wrong, 0.1, 0.05) is None


def test_how_many_records_it_would_take_is_enough_nine_times_in_ten():
    """One threshold, all answered, 5 % wrong: the count certifies in about nine of ten draws."""
    scores, wrong = np.zeros(2000), np.arange(2000) % 20 == 0
    needed = records_needed(Path((0.0,), (0,)), scores, wrong, 0.1, 0.05)
    rng = np.random.default_rng(0)
    passed = [p_value(rng.binomial(needed, 0.05), needed, 0.1) <= 0.05 for _ in range(2000)]
    assert np.mean(passed) == pytest.approx(0.9, abs=0.04)


def test_where_no_threshold_is_below_alpha_no_number_of_records_will_do():
    scores, wrong = np.arange(100) / 100, np.arange(100) % 2 == 0
    assert records_needed(path(scores, wrong, 0.1, 0.05, 100), scores, wrong, 0.1, 0.05) is None


@settings(max_examples=50)
@given(st.integers(1, 300), st.floats(0.01, 0.5))
def test_more_errors_never_make_a_smaller_p_value(answers, alpha):
    values = [p_value(k, answers, alpha) for k in range(answers + 1)]
    assert values == sorted(values)
