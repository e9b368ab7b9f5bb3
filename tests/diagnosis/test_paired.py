"""The paired comparison by hand, and against what it promises over many draws."""

import random

import pytest

from ucbd.cascade.diagnosis.paired import Paired, paired


def test_pairs_are_counted_by_what_changed():
    before = [True, True, False, False, False]
    after = [True, False, True, True, False]
    assert paired(before, after) == Paired(5, both=1, only_before=1, only_after=2)
    assert paired(before, after).shift == pytest.approx(0.2)


def test_the_exact_test_by_hand():
    # Of 6 discordant pairs 1 the one way: 2 · (1 + 6)/64
    assert Paired(20, 5, 1, 5).p == pytest.approx(14 / 64)
    assert Paired(20, 5, 3, 3).p == 1.0
    assert Paired(20, 5, 0, 0).p == 1.0
    assert Paired(200, 0, 0, 20).p == pytest.approx(2 / 2**20)


def test_the_interval_by_hand():
    # n 98 + 2, shift (15 − 4)/100 = .11, discordant (19 + 1)/100 = .2:
    # .11 ± 1.959964 · √((.2 − .0121)/100) = .11 ± .084960
    assert Paired(98, 30, 4, 15).interval == pytest.approx((0.025040, 0.194960), abs=1e-6)


def test_no_change_seen_is_not_no_change():
    low, high = Paired(50, 20, 0, 0).interval
    assert low < 0 < high
    assert 0 < Paired(50, 20, 0, 0).detectable < 0.2


def test_the_detectable_shift_solves_its_equation():
    found = Paired(198, 50, 9, 10)  # a share of .1 discordant
    shift = found.detectable
    right = (1.959964 * 0.1**0.5 + 0.841621 * (0.1 - shift**2) ** 0.5) / 198**0.5
    assert shift == pytest.approx(right, abs=1e-6)
    assert 0.05 < shift < 0.08


def test_a_shift_as_large_as_detectable_is_found_in_four_draws_of_five():
    """Power by simulation: 200 questions, .2 discordant, the true shift as promised (± 4 s.e.)."""
    rng = random.Random(7)
    planned = Paired(200, 50, 20, 20)
    shift, discordant = planned.detectable, 41 / 202
    up = (discordant + shift) / 2
    found = 0
    for _ in range(600):
        draws = [rng.random() for _ in range(200)]
        after = sum(draw < up for draw in draws)
        before = sum(up <= draw < discordant for draw in draws)
        found += Paired(200, 0, before, after).p < 0.05
    assert 0.70 < found / 600 < 0.87  # the exact test is a little below its nominal size


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], [])])
def test_what_is_no_pair_is_an_error(before, after):
    with pytest.raises(ValueError, match="no pairs"):
        paired(before, after)
