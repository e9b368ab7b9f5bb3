"""The single-cluster rate from weighted draws: every number by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.evaluation.rates import wilson
from ucbd.cascade.homogenization import Draws, SingleClusterRate, drawn, lost


def summed(*draws: Draws) -> SingleClusterRate:
    return SingleClusterRate(sum(draws, Draws()))


def test_a_rate_of_different_weights_by_hand():
    """Two draws at p = 1/2, one of them single, and a single one at p = 1/4.

    Σw = 8, Σwy = 6, p = .75; Σw² = 24, Σw²y = 20;
    v = [(1 - 1.5)·20 + .5625·24] / 64 = 3.5/64; n_eff = .1875·64/3.5 = 3.428571.
    Kish: single 6²/20 = 1.8, several 2²/4 = 1.
    """
    rate = summed(drawn(2, single=True), drawn(2, single=False), drawn(4, single=True))
    assert rate.draws == Draws(8, 6, 24, 20)
    assert rate.value == 0.75
    assert rate.variance == pytest.approx(3.5 / 64)
    assert rate.effective == pytest.approx(3.428571)
    # z² = 3.841459; middle (.75 + 3.841459/6.857143)/(1 + 3.841459/3.428571) = 0.617901;
    # half 1.959964/2.120425 · √(.1875/3.428571 + 3.841459/47.020408) = 0.341357
    assert rate.interval == pytest.approx((0.276544, 0.959258), abs=1e-5)
    assert rate.observed == pytest.approx((1.8, 1))
    assert rate.too_few


@given(st.integers(1, 200), st.integers(0, 200), st.floats(1, 1e4))
def test_with_equal_weights_it_is_wilsons_interval_of_the_counts(singles, others, weight):
    n = singles + others
    rate = summed(
        *(drawn(weight, single=True) for _ in range(singles)),
        *(drawn(weight, single=False) for _ in range(others)),
    )
    assert rate.interval == pytest.approx(wilson(singles, n), abs=1e-9)
    assert rate.effective == pytest.approx(n)


def test_what_was_lost_widens_the_bounds_to_either_side():
    """A quarter of the weight is lost: low · 3/4, and high · 3/4 + 1/4."""
    rate = summed(*(drawn(3, single=i < 2) for i in range(4)), lost(3), lost(1))
    low, high = wilson(2, 4)
    assert rate.bounds == pytest.approx((low * 0.75, high * 0.75 + 0.25))


@pytest.mark.parametrize(
    ("singles", "others", "few"), [(10, 10, False), (9, 50, True), (50, 9, True)]
)
def test_fewer_than_ten_of_either_kind_are_too_few(singles, others, few):
    draws = [drawn(7, single=i < singles) for i in range(singles + others)]
    assert summed(*draws).too_few is few


@pytest.mark.parametrize(("single", "value"), [(True, 1.0), (False, 0.0)])
def test_one_kind_only_still_has_an_interval(single, value):
    """n_eff = (Σw)²/Σw² = 36/20 = 1.8."""
    rate = summed(drawn(2, single=single), drawn(4, single=single))
    assert rate.value == value
    assert rate.effective == pytest.approx(1.8)
    assert rate.interval == pytest.approx(wilson(value * 1.8, 1.8))


def test_without_draws_nothing_is_known():
    rate = summed(lost(5))
    assert rate.value is rate.interval is rate.bounds is rate.variance is rate.effective is None
    assert rate.too_few
