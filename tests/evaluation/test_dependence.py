"""Pearson's r and mutual information: by hand, and on signals whose dependence is known."""

import numpy as np
import pytest

from ucbd.cascade.evaluation.dependence import (
    MOST_BINS,
    Dependence,
    dependence,
    equal_mass_bins,
)


def test_pearson_by_hand():
    # deviations (-1, 0, 1) and (-1, 1, 0): 1 / 2
    assert dependence([1, 2, 3], [1, 3, 2]).r == pytest.approx(0.5)
    assert dependence([1, 2, 3], [6, 4, 2]).r == pytest.approx(-1)


def test_mutual_information_of_two_coins_by_hand():
    # 50 (0,0), 50 (1,1), 30 (0,1), 30 (1,0): plug-in 100/160 * log2(1.25) + 60/160 * log2(0.75)
    # = 0.045566 bits, less (4 - 2 - 2 + 1) / 320 nats = 0.004508 bits
    one = [0] * 50 + [1] * 50 + [0] * 30 + [1] * 30
    other = [0] * 50 + [1] * 50 + [1] * 30 + [0] * 30
    assert dependence(one, other).mutual_information == pytest.approx(0.041057, abs=1e-5)


def test_a_signal_tells_all_of_itself_that_the_bins_hold():
    # 3200 different values in 8 bins: 3 bits; 8 cells in use, so (8 - 8 - 8 + 1) / 6400 nats back
    values = np.random.default_rng(0).permutation(3200)
    expected = 3 + 7 / 6400 / np.log(2)
    assert dependence(values, values).mutual_information == pytest.approx(expected)


def test_independent_signals_have_next_to_none():
    rng = np.random.default_rng(1)
    found = [dependence(rng.random(2000), rng.random(2000)) for _ in range(50)]
    bits = [f.mutual_information for f in found]
    # Uncorrected the mean would be 49 / (2 * 2000 * ln 2) = 0.0177 bits.
    assert np.mean(bits) < 0.004
    assert min(bits) >= 0
    assert max(abs(f.r) for f in found) < 0.1


def test_mutual_information_sees_what_r_does_not():
    one = np.random.default_rng(2).normal(size=2000)
    found = dependence(one, one**2)
    assert abs(found.r) < 0.15
    assert found.mutual_information > 1


def test_a_normal_pair_has_what_the_bins_leave_of_its_formula():
    # rho = 0.8: -0.5 log2(1 - 0.64) = 0.737 bits; of that the probabilities of the 64 cells, from
    # the bivariate normal distribution function at the octiles, leave 0.6361.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        one = rng.normal(size=2000)
        found.append(dependence(one, 0.8 * one + 0.6 * rng.normal(size=2000)).mutual_information)
    assert np.mean(found) == pytest.approx(0.6361, abs=0.02)


def test_mutual_information_does_not_change_under_increasing_maps():
    rng = np.random.default_rng(5)
    one = rng.normal(size=500)
    other = one + rng.normal(size=500)
    mapped = dependence(np.exp(one), other**3).mutual_information
    assert mapped == pytest.approx(dependence(one, other).mutual_information)


def test_records_without_one_of_the_signals_do_not_count():
    nan = float("nan")
    assert dependence([1, 2, 3, nan, 9], [1, 3, 2, 7, nan]) == dependence([1, 2, 3], [1, 3, 2])
    assert dependence([1, 2, 3, nan], [1, 3, 2, 7]).n == 3


def test_nothing_is_said_of_a_constant_or_of_too_few():
    assert dependence([0, 0, 0, 0], [1, 2, 3, 4]) == Dependence(None, None, 4)
    assert dependence([1, 2], [1, 2]) == Dependence(None, None, 2)
    with pytest.raises(ValueError, match="shapes"):
        dependence([1, 2], [1])


def test_equal_values_share_a_bin_and_others_are_spread_evenly():
    # six zeros of ten: middle rank 3 of 10, bin 1 of 4; then 6.5, 7.5, 8.5, 9.5 of 10
    assert equal_mass_bins(np.array([0.0] * 6 + [1, 2, 3, 4]), 4).tolist() == [1] * 6 + [2, 3, 3, 3]
    even = equal_mass_bins(np.random.default_rng(0).random(800), MOST_BINS)
    assert np.bincount(even).tolist() == [100] * 8
