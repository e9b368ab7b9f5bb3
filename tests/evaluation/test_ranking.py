"""AUROC, its interval, AURC and accuracy at coverage: by hand, by brute force, as properties."""

import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ucbd.cascade.evaluation.ranking import (
    accuracy_at,
    aurc,
    auroc,
    auroc_difference,
    auroc_interval,
    expected_errors,
)

# Few distinct values, so that ties are common.
ranked = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=30)


def split(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, wrong = zip(*pairs, strict=True)
    assume(len(set(wrong)) == 2)
    return np.array(scores, dtype=float), np.array(wrong)


def brute_force(scores: np.ndarray, wrong: np.ndarray) -> float:
    wins = [(w > r) + (w == r) / 2 for w in scores[wrong] for r in scores[~wrong]]
    return float(np.mean(wins))


def test_auroc_is_the_share_of_pairs_ranked_right():
    # wrong 3 and 1, right 2 and 0: 3>2, 3>0, 1>0 of four pairs
    assert auroc([3, 1, 2, 0], [True, True, False, False]) == 0.75


def test_a_tie_is_half_a_pair():
    # wrong 2 and 1, right 1: one pair won, one tied
    assert auroc([2, 1, 1], [True, True, False]) == 0.75
    assert auroc([5, 5, 5], [True, False, False]) == 0.5


@given(ranked)
def test_auroc_counts_pairs(pairs):
    scores, wrong = split(pairs)
    assert auroc(scores, wrong) == pytest.approx(brute_force(scores, wrong))


@given(ranked)
def test_auroc_does_not_change_under_an_increasing_map(pairs):
    scores, wrong = split(pairs)
    assert auroc(np.exp(scores) * 7 - 3, wrong) == pytest.approx(auroc(scores, wrong))


@given(ranked)
def test_negated_scores_have_one_minus_the_auroc(pairs):
    scores, wrong = split(pairs)
    assert auroc(-scores, wrong) == pytest.approx(1 - auroc(scores, wrong))


@given(ranked)
def test_auroc_of_right_answers_is_one_minus_that_of_wrong_ones(pairs):
    scores, wrong = split(pairs)
    assert auroc(scores, ~wrong) == pytest.approx(1 - auroc(scores, wrong))


def test_infinite_scores_rank_like_any_other():
    assert auroc([np.inf, 1.0, -np.inf], [True, False, False]) == 1.0


@pytest.mark.parametrize(
    ("scores", "wrong", "said"),
    [
        ([1, 2], [True, True], "both wrong and right"),
        ([1, 2], [False, False], "both wrong and right"),
        ([1, 2, 3], [True, False], "shape"),
        ([1, np.nan], [True, False], "NaN"),
    ],
)
def test_what_has_no_auroc_is_an_error(scores, wrong, said):
    with pytest.raises(ValueError, match=said):
        auroc(scores, wrong)
    with pytest.raises(ValueError, match=said):
        auroc_interval(scores, wrong)


def test_the_interval_is_that_of_resampled_questions_one_by_one():
    rng = np.random.default_rng(7)
    scores, wrong = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    drawn = np.random.default_rng((0, 0)).integers(40, size=(40, 500))
    areas = [brute_force(scores[i], wrong[i]) for i in drawn.T]
    expected = np.quantile(areas, (0.025, 0.975))
    assert auroc_interval(scores, wrong, resamples=500) == pytest.approx(tuple(expected))


def test_a_difference_is_between_the_same_draws_of_questions():
    rng = np.random.default_rng(7)
    one, wrong = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    other = one + rng.integers(0, 3, 40)
    drawn = np.random.default_rng((0, 0)).integers(40, size=(40, 500))
    apart = [brute_force(one[i], wrong[i]) - brute_force(other[i], wrong[i]) for i in drawn.T]
    expected = (
        brute_force(one, wrong) - brute_force(other, wrong),
        *np.quantile(apart, (0.025, 0.975)),
    )
    assert auroc_difference(one, other, wrong, resamples=500) == pytest.approx(expected)
    assert auroc_difference(one, one + 1, wrong) == (0, 0, 0)


def test_the_interval_covers_the_true_auroc_about_as_often_as_it_says():
    # Normal scores one standard deviation apart: AUROC = Phi(1/sqrt 2) = 0.7602.
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(600):
        wrong = rng.random(100) < 0.4
        low, high = auroc_interval(rng.normal(size=100) + wrong, wrong, resamples=300)
        covered += low <= 0.7602 <= high
    # Three runs of 1,000 gave 93.4, 95.4 and 95.2 %.
    assert 0.92 <= covered / 600 <= 0.97


def test_draws_of_one_class_are_left_out_of_the_interval():
    # A draw of two holds both classes half the time, and then the wrong one scores higher.
    assert auroc_interval([1, 0], [True, False]) == (1.0, 1.0)


def test_two_thousand_records_take_a_fraction_of_a_second():
    rng = np.random.default_rng(0)
    scores, wrong = rng.random(2000), rng.random(2000) < 0.3
    start = time.process_time()
    auroc_interval(scores, wrong)
    assert time.process_time() - start < 1.0


def test_many_records_are_resampled_in_blocks_of_their_own_draws(monkeypatch):
    rng = np.random.default_rng(0)
    scores, wrong = rng.random(50), rng.random(50) < 0.5
    whole = auroc_interval(scores, wrong, resamples=2000)
    monkeypatch.setattr("ucbd.cascade.evaluation.ranking._CELLS", 50 * 70)
    in_blocks = auroc_interval(scores, wrong, resamples=2000)
    assert in_blocks != whole  # other draws
    assert in_blocks == pytest.approx(whole, abs=0.02)


def test_the_same_arguments_give_the_same_interval_and_another_seed_another():
    rng = np.random.default_rng(0)
    scores, wrong = rng.random(50), rng.random(50) < 0.5
    assert auroc_interval(scores, wrong) == auroc_interval(scores, wrong)
    assert auroc_interval(scores, wrong) != auroc_interval(scores, wrong, seed=1)


def test_aurc_is_the_mean_risk_over_all_coverages():
    # least uncertain first: right, wrong, right; risks 0, 1/2, 1/3
    assert aurc([2, 0, 1], [False, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    # the other way round: right, wrong, right reversed is the same; wrong first is not
    assert aurc([0, 1, 2], [True, False, False]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_ties_have_the_expected_risk_whatever_their_order():
    # one wrong of two tied: half an error expected at k = 1
    assert expected_errors([5, 5], [True, False]).tolist() == [0, 0.5, 1]
    assert aurc([5, 5], [True, False]) == aurc([5, 5], [False, True]) == 0.5
    # right, then {wrong, right} tied: risks 0, (1/2)/2, 1/3
    assert aurc([0, 1, 1], [False, True, False]) == pytest.approx((0 + 1 / 4 + 1 / 3) / 3)


@given(ranked, st.randoms(use_true_random=False))
def test_aurc_does_not_depend_on_the_order_of_the_records(pairs, random):
    scores, wrong = split(pairs)
    shuffled = list(range(len(scores)))
    random.shuffle(shuffled)
    assert aurc(scores[shuffled], wrong[shuffled]) == pytest.approx(aurc(scores, wrong))


def test_a_constant_score_has_the_error_rate_at_every_coverage():
    assert aurc([1] * 4, [True, False, False, False]) == pytest.approx(0.25)
    assert accuracy_at([1] * 4, [True, False, False, False], [0.25, 0.5, 1]) == [0.75] * 3


def test_aurc_has_a_value_with_one_class_and_none_without_answers():
    assert aurc([1, 2], [True, True]) == 1
    assert aurc([1, 2], [False, False]) == 0
    with pytest.raises(ValueError, match="at least one"):
        aurc([], [])


def test_accuracy_at_coverage_by_hand():
    # least uncertain first: right, right, wrong, right
    scores, wrong = [0, 1, 2, 3], [False, False, True, False]
    assert accuracy_at(scores, wrong, [0.25, 0.5, 0.75, 1]) == pytest.approx([1, 1, 2 / 3, 0.75])
    # 0.625 of 4 is 2.5 answers: half an error among them
    assert accuracy_at(scores, wrong, [0.625]) == pytest.approx([1 - 0.5 / 2.5])
    # a tenth of 4 is not one answer
    assert accuracy_at(scores, wrong, [0.1]) == [None]


def test_a_coverage_that_rounding_puts_below_a_whole_answer_is_that_answer():
    assert 0.29 * 100 < 29
    scores = np.arange(100.0)
    assert accuracy_at(scores, scores >= 29, [0.01, 0.29]) == [1.0, 1.0]
    assert 1 / 49 * 49 < 1
    assert accuracy_at(np.arange(49.0), [False] * 49, [1 / 49]) == [1.0]
