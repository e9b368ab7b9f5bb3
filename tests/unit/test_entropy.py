"""The arithmetic of uncertainty, against values computed by hand (method.md section 6)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.entropy import EntropySummary, discrete_semantic_entropy, summarise
from ucbd.models.generation import Missing, TokenEntropies

sizes = st.lists(st.integers(1, 20), min_size=1, max_size=12)


def exact(*values: float) -> TokenEntropies:
    return TokenEntropies(lower=values, upper=values, exact=True)


def test_semantic_entropy_of_clusters_3_1_1_is_the_papers_value():
    assert discrete_semantic_entropy([3, 1, 1]) == pytest.approx(0.950271, abs=1e-6)


def test_one_cluster_has_semantic_entropy_zero_and_all_different_ln_n():
    assert discrete_semantic_entropy([10]) == 0
    assert discrete_semantic_entropy([1] * 10) == pytest.approx(math.log(10))


def test_semantic_entropy_without_samples_is_an_error_not_zero():
    with pytest.raises(ValueError, match="at least one sample"):
        discrete_semantic_entropy([])


@given(sizes)
def test_semantic_entropy_lies_between_zero_and_the_log_of_the_cluster_count(sizes):
    assert -1e-12 <= discrete_semantic_entropy(sizes) <= math.log(len(sizes)) + 1e-12


@given(sizes, st.randoms(use_true_random=False), st.integers(2, 5))
def test_semantic_entropy_is_unchanged_by_order_and_by_repeating_every_sample(sizes, random, times):
    shuffled = random.sample(sizes, len(sizes))
    repeated = [size * times for size in shuffled]
    assert discrete_semantic_entropy(repeated) == pytest.approx(discrete_semantic_entropy(sizes))


def test_summary_of_three_exact_entropies_by_hand():
    # mean (0 + 0.5 + 2.5)/3 = 1; population variance (1 + 0.25 + 2.25)/3 = 7/6
    assert summarise(exact(0.0, 0.5, 2.5)) == EntropySummary(
        mean=1.0,
        max=2.5,
        std=pytest.approx(math.sqrt(7 / 6)),
        high_share=pytest.approx(1 / 3),
        lower=1.0,
        upper=1.0,
        exact=True,
        top_k=None,
        tokens=3,
    )


def test_bounds_give_midpoints_between_the_bounds_and_another_signal_name():
    bounds = TokenEntropies(lower=(0.2, 1.0), upper=(0.4, 2.0), exact=False, top_k=20)
    summary = summarise(bounds)
    assert (summary.lower, summary.mean, summary.upper) == pytest.approx((0.6, 0.9, 1.2))
    assert summary.max == pytest.approx(1.5)
    assert summary.high_share == 0.5
    assert summary.signal == "mean_token_entropy(midpoint,k=20)"


def test_without_an_upper_bound_only_the_lower_one_is_claimed():
    summary = summarise(TokenEntropies(lower=(0.2, 0.4), upper=None, exact=False, top_k=5))
    assert summary.mean is summary.max is summary.std is summary.high_share is summary.upper is None
    assert summary.score == pytest.approx(0.3)
    assert summary.signal == "mean_token_entropy(lower,k=5)"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_entropies_that_are_not_finite_are_missing_evidence_not_a_number(value):
    assert summarise(exact(0.1, value)) == Missing(
        "the engine returned token entropies that are not finite"
    )


def test_an_answer_without_tokens_has_no_entropy():
    assert isinstance(summarise(exact()), Missing)
