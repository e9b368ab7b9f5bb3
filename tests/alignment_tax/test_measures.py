"""Rates, rankings and comparisons on tables small enough to count by hand."""

import math

import numpy as np
import pytest

from tests.alignment_tax.made_up import table
from ucbd.cascade.alignment_tax import measures
from ucbd.cascade.alignment_tax.comparisons import (
    difference,
    equal_entropy,
    equal_length,
    paired,
    signed_rank,
    single_difference,
)
from ucbd.cascade.alignment_tax.length import gain, strata, within_strata
from ucbd.cascade.alignment_tax.observations import Observations
from ucbd.cascade.alignment_tax.runs import Run
from ucbd.cascade.alignment_tax.sums import selected

ONE, TWO, THREE = (0, 0, 0), (0, 0, 1), (0, 1, 2)


def test_the_single_cluster_rate_leaves_out_what_has_fewer_than_two_samples() -> None:
    found = measures.rate(measures.single(table({"jaccard": [ONE, TWO, ONE, (), (0,)]}), "jaccard"))
    assert found is not None
    assert (found.hits, found.n) == (2, 3)


def test_the_interval_of_a_rate_is_wilsons() -> None:
    found = measures.rate(np.array([1.0] * 2 + [0.0] * 8))
    assert found is not None
    # Wilson for 2 of 10: centre (0.2 + 0.19207)/1.38415, half width 0.22686 (z = 1.96).
    assert (found.low, found.high) == pytest.approx((0.0567, 0.5098), abs=1e-4)


def test_semantic_entropy_is_that_of_the_cluster_sizes() -> None:
    found = measures.semantic_entropy(table({"jaccard": [ONE, TWO, (0, 1), ()]}), "jaccard")
    assert found[:3] == pytest.approx([0, 0.636514, math.log(2)], abs=1e-6)
    assert math.isnan(found[3])


def test_the_first_samples_of_a_form_are_a_clustering_of_their_own() -> None:
    made = table({"exact": [(0, 0, 0, 1), (0, 1, 0, 0), (0, 0)]})
    assert measures.single_of_first(made, "exact", 3)[:2].tolist() == [1, 0]
    assert math.isnan(measures.single_of_first(made, "exact", 3)[2])


def test_a_clusterer_that_chains_has_no_clustering_of_the_first_samples() -> None:
    with pytest.raises(ValueError, match="jaccard"):
        measures.single_of_first(table({"jaccard": [ONE]}), "jaccard", 2)


def test_auroc_is_over_the_questions_asked_for_and_counts_both_classes() -> None:
    made = table(
        {"jaccard": [ONE, ONE, ONE, ONE, TWO, TWO]},
        correct=[1, 1, 0, 0, 1, 0],
        mean_token_entropy=[0.1, 0.3, 0.2, 0.4, 0.9, 0.05],
    )
    # Within: pairs (0.2>0.1, 0.2<0.3, 0.4>0.1, 0.4>0.3) = 3/4. All: 3 wrong × 3 right, 3 of 9.
    inside = measures.ranking(made, "mean_token_entropy", measures.in_stratum(made, "jaccard"))
    every = measures.ranking(made, "mean_token_entropy")
    assert inside is not None
    assert every is not None
    assert (inside.value, inside.n, inside.wrong) == (0.75, 4, 2)
    assert (every.value, every.n, every.wrong) == (pytest.approx(3 / 9), 6, 3)


def test_semantic_entropy_ranks_nothing_where_there_is_one_cluster() -> None:
    made = table({"jaccard": [ONE, ONE, ONE, TWO]}, correct=[1, 0, 1, 0])
    inside = measures.in_stratum(made, "jaccard")
    assert measures.area_under(made, "semantic_entropy:jaccard", inside) == 0.5
    assert measures.area_under(made, "semantic_entropy:jaccard") == 0.75


def test_there_is_no_auroc_with_one_class_or_without_the_signal() -> None:
    made = table({"jaccard": [ONE, TWO]}, correct=[1, 1], mean_token_entropy=[1, 2])
    assert measures.ranking(made, "mean_token_entropy") is None
    assert measures.ranking(made, "p_true") is None


def test_questions_without_a_label_are_neither_right_nor_wrong() -> None:
    made = table({"jaccard": [ONE, ONE, TWO]}, correct=[1, np.nan, 0])
    assert measures.accuracy(made) == measures.rate(np.array([1.0, 0.0]))
    assert measures.wrong_given(made, "jaccard", one=True) == measures.rate(np.array([0.0]))


def test_blind_mass_is_the_share_of_errors_in_one_cluster() -> None:
    made = table({"jaccard": [ONE, ONE, TWO, THREE, ONE]}, correct=[0, 1, 0, 0, 0])
    found = measures.blind_mass(made, "jaccard")
    assert found is not None
    assert (found.hits, found.n) == (2, 4)
    several = measures.wrong_given(made, "jaccard", one=False)
    assert several is not None
    assert (several.hits, several.n) == (2, 2)


def test_a_clusterer_is_held_against_the_oracle_pair_by_pair() -> None:
    made = table({"oracle": [(0, 0, 1), ONE], "jaccard": [(0, 1, 1), TWO]})
    # First: pairs 01 one value, parted; 02 two values, parted; 12 two values, joined.
    # Second: three pairs of one value, one of them joined.
    found = measures.agreement(made, "jaccard")
    assert found == measures.Agreement(same=4, joined=1, different=2, parted=1)
    assert (found.sensitivity, found.specificity) == (0.25, 0.5)


def test_runs_are_paired_by_question_in_whatever_order_they_stand() -> None:
    one = table(correct=[1, 0, 1])
    other = Observations({**one.texts, "id": ("q2", "q9", "q0")}, one.numbers, {})
    left, right = paired(one, np.array([10.0, 11, 12]), other, np.array([20.0, 21, 22]))
    assert (left.tolist(), right.tolist()) == ([10, 12], [22, 20])


def test_a_question_that_one_run_could_not_measure_is_in_no_pair() -> None:
    one = table(correct=[1, 0, 1])
    left, right = paired(one, np.array([1.0, np.nan, 3]), one, np.array([1.0, 2, np.nan]))
    assert (left.tolist(), right.tolist()) == ([1], [1])


def test_the_signed_rank_test_is_wilcoxons() -> None:
    found = signed_rank(np.zeros(6), np.array([1.0, 2, 3, 4, 5, 6]))
    assert found is not None
    # Every one of six differences positive: p = 2 / 2^6 exactly.
    assert (found.n, found.moved, found.shift, found.p) == (6, 6, 3.5, 0.03125)


def test_nothing_moved_is_no_evidence() -> None:
    found = signed_rank(np.ones(5), np.ones(5))
    assert found is not None
    assert (found.moved, found.p) == (0, 1)


def test_the_difference_of_single_rates_is_paired() -> None:
    one = table({"jaccard": [ONE, TWO, TWO, TWO]})
    other = table({"jaccard": [ONE, ONE, ONE, TWO]})
    found = single_difference(one, other, "jaccard")
    assert found is not None
    # Changes 0, 1, 1, 0: mean 0.5, standard error 0.57735/2.
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((-0.0658, 1.0658), abs=1e-4)
    assert found.sign == 0


@pytest.mark.parametrize(("change", "sign"), [(1.0, 1), (-1.0, -1)])
def test_a_difference_has_a_sign_when_its_interval_leaves_out_zero(
    change: float, sign: int
) -> None:
    found = difference(np.zeros(50), np.array([change] * 49 + [0.0]))
    assert found is not None
    assert found.sign == sign


def test_at_equal_length_a_rate_that_only_follows_length_does_not_differ() -> None:
    # Short answers are single, long ones are not; the second run merely answers shorter.
    one = table({"jaccard": [ONE] * 2 + [TWO] * 8}, sample_tokens=[2] * 2 + [9] * 8)
    other = table({"jaccard": [ONE] * 8 + [TWO] * 2}, sample_tokens=[2] * 8 + [9] * 2)
    found = equal_length(one, other, "jaccard")
    assert found is not None
    assert (found.first, found.second, found.difference.value) == (0.5, 0.5, 0)
    assert found.overlap == pytest.approx(0.4)


def test_at_equal_length_a_rate_that_differs_at_every_length_still_differs() -> None:
    one = table({"jaccard": [TWO, TWO, TWO, TWO]}, sample_tokens=[2, 2, 9, 9])
    other = table({"jaccard": [ONE, TWO, ONE, TWO]}, sample_tokens=[2, 2, 9, 9])
    found = equal_length(one, other, "jaccard")
    assert found is not None
    assert (found.first, found.second, found.overlap) == (0, 0.5, 1)


def test_runs_without_a_length_in_common_are_not_compared() -> None:
    one = table({"jaccard": [ONE]}, sample_tokens=[2])
    assert equal_length(one, table({"jaccard": [ONE]}, sample_tokens=[9]), "jaccard") is None


def _run(made: Observations, temperature: float = 1.0, **info: object) -> Run:
    return Run("llama", 1, "base", temperature, temperature != 1.0, info, made)


def test_at_equal_entropy_the_rate_is_interpolated_between_swept_temperatures() -> None:
    # The base model's entropy falls from 1.0 at T = 1 to 0.2 at T = 0.2; 0.6 is at T = 0.6,
    # where its rate is halfway between 1 at T = 0.2 and 0 at T = 1.
    sweep = [
        _run(table({"jaccard": [ONE, ONE]}, mean_token_entropy=[1, 1]), 0.2),
        _run(
            table({"jaccard": [TWO, TWO]}, mean_token_entropy=[1, 1]),
            tempered_entropy={"1": 1.0, "0.2": 0.2},
        ),
    ]
    tuned = _run(table({"jaccard": [ONE, TWO, TWO, TWO]}, mean_token_entropy=[0.6] * 4))
    found = equal_entropy(sweep, tuned, "jaccard")
    assert found is not None
    assert (found.temperature, found.first) == (pytest.approx(0.6), pytest.approx(0.5))
    assert (found.entropy, found.second) == (pytest.approx(0.6), 0.25)


def test_an_entropy_outside_of_what_was_measured_is_not_extrapolated() -> None:
    base = table({"jaccard": [TWO]}, mean_token_entropy=[1])
    sweep = [_run(base, 0.5), _run(base, tempered_entropy={"1": 1.0, "0.5": 0.5})]
    assert (
        equal_entropy(sweep, _run(table({"jaccard": [ONE]}, mean_token_entropy=[0.4])), "jaccard")
        is None
    )


def test_accuracy_at_half_coverage_is_of_the_least_uncertain_half() -> None:
    made = table(correct=[0, 1, 0, 1], mean_token_entropy=[0.4, 0.1, 0.3, 0.2])
    assert selected(made, "mean_token_entropy", [0.5, 0.75, 1.0]) == [
        1,
        pytest.approx(2 / 3),
        0.5,
    ]
    assert selected(made, "p_true", [0.5]) == [None]


def test_what_entropy_adds_is_tested_with_one_degree_of_freedom() -> None:
    # All problems equally long; the signal is 0 or 1: right 22 and 18, wrong 18 and 22. Then twice
    # the log-likelihood ratio is 4 (22 ln 1.1 + 18 ln 0.9) = 0.8013, and p = 0.3707.
    found = table(
        None,
        None,
        ["3 steps"] * 80,
        correct=[1] * 40 + [0] * 40,
        p_true=[0] * 22 + [1] * 18 + [0] * 18 + [1] * 22,
    )
    gained = gain(found, "p_true", ["steps"])
    assert gained is not None
    assert gained.p == pytest.approx(0.3707, abs=2e-4)


def test_within_strata_only_answers_of_like_length_are_compared() -> None:
    # The score is the length itself: it ranks all answers well, and none of like length.
    lengths = np.array([1.0, 1, 1, 2, 2, 2])
    made = table(correct=[1, 1, 0, 1, 0, 0], mean_token_entropy=lengths)
    assert measures.area_under(made, "mean_token_entropy") == pytest.approx(6 / 9)
    found = within_strata(made, "mean_token_entropy", lengths)
    assert found is not None
    assert (found.value, found.pairs, found.strata) == (0.5, 4, 2)


def test_many_lengths_are_quartered_and_few_stand_alone() -> None:
    assert strata(np.arange(20.0)).tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert strata(np.array([3.0, np.nan, 7])).tolist() == [0, -1, 1]


def test_a_signal_that_is_length_again_gains_nothing_and_another_does() -> None:
    random = np.random.default_rng(0)
    steps = random.integers(1, 6, 400)
    hidden = random.normal(size=400)
    wrong = random.random(400) < 1 / (1 + np.exp(-(steps - 3 + 2 * hidden)))
    groups = [f"{s} steps" for s in steps]
    again = table(None, None, groups, correct=1 - wrong, mean_token_entropy=2.0 * steps)
    other = table(None, None, groups, correct=1 - wrong, mean_token_entropy=hidden)
    nothing = gain(again, "mean_token_entropy", ["steps"])
    much = gain(other, "mean_token_entropy", ["steps"])
    assert nothing is not None
    assert much is not None
    assert abs(nothing.gain) < 0.01
    assert nothing.p > 0.5
    assert much.low > 0.05
    assert much.p < 1e-6
    assert (much.n, much.wrong) == (400, int(wrong.sum()))


def test_no_gain_is_claimed_from_a_handful_of_errors() -> None:
    made = table(None, None, ["1 steps"] * 50, correct=[0] * 9 + [1] * 41, p_true=range(50))
    assert gain(made, "p_true", ["steps"]) is None
