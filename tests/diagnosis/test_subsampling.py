"""The rate at fewer samples: by hand, by brute force, and where it must be the plain rate."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.diagnosis.subsampling import mean_share, single_with
from ucbd.cascade.evaluation.rates import wilson


def test_a_split_of_three_and_two_by_hand():
    # Of the 10 pairs of 5 samples 3 lie in the three and 1 in the two; of the 10 triples, 1.
    assert single_with([3, 2], 2) == pytest.approx(0.4)
    assert single_with([3, 2], 3) == pytest.approx(0.1)
    assert single_with([3, 2], 4) == 0
    assert single_with([5], 5) == 1


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3).filter(lambda s: sum(s) >= 2), st.data())
def test_it_is_the_share_of_all_choices(sizes, data):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    n = data.draw(st.integers(2, len(labels)))
    chosen = list(combinations(labels, n))
    alike = sum(len(set(some)) == 1 for some in chosen)
    assert single_with(sizes, n) == pytest.approx(alike / len(chosen))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4).filter(lambda s: sum(s) >= 3))
def test_more_samples_are_never_more_often_of_one_mind(sizes):
    rates = [single_with(sizes, n) for n in range(2, sum(sizes) + 1)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(("sizes", "n"), [([3], 4), ([3], 1), ([], 2)])
def test_what_cannot_be_compared_is_an_error(sizes, n):
    with pytest.raises(ValueError, match="cannot be compared"):
        single_with(sizes, n)


def test_at_all_samples_it_is_the_plain_rate_with_its_plain_interval():
    found = mean_share([1, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    assert found.value == pytest.approx(0.3)
    assert found.interval == pytest.approx(wilson(3, 10))


def test_shares_between_none_and_all_have_a_narrower_interval_than_a_rate():
    """Mean .5, variance of the mean .01/4: n_eff = .25/.0025 = 100."""
    found = mean_share([0.4, 0.6, 0.4, 0.6])
    assert found.interval == pytest.approx(wilson(50, 100))


@pytest.mark.parametrize("every", [0.0, 1.0])
def test_shares_that_are_all_none_or_all_are_still_not_certain(every):
    found = mean_share([every] * 10)
    assert found.interval == pytest.approx(wilson(10 * every, 10))
