"""Arrivals: counted by hand where they are constant, by statistics of fixed seeds where not."""

from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtest.arrivals import Piece, arrivals, bursts, even, poisson, ramp, steady

PIECES = st.lists(
    st.builds(Piece, st.floats(0.01, 20), st.one_of(st.just(0.0), st.floats(0.1, 50))), max_size=5
)


def test_constant_arrivals_come_at_equal_gaps_from_the_start_on():
    assert list(arrivals(steady(4, 1.5), even())) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_a_pause_has_no_arrivals_and_a_faster_piece_has_more():
    pieces = [Piece(1, 2), Piece(3, 0), Piece(1, 4)]
    assert list(arrivals(pieces, even())) == [0, 0.5, 4.0, 4.25, 4.5, 4.75]


def test_bursts_end_each_round_at_the_peak():
    # 2 s at 1/s, then 1 s at 3/s, twice.
    found = list(arrivals(bursts(1, 3, every=3, length=1, seconds=6), even()))
    assert found == pytest.approx([0, 1, 2, 7 / 3, 8 / 3, 3, 4, 5, 16 / 3, 17 / 3])


def test_a_ramp_grows_by_its_factor():
    assert ramp(10, 1.5, 4) == [10, 15, 22.5, 33.75]


@given(PIECES, st.integers(0, 1000))
def test_arrivals_are_in_order_and_within_their_pieces(pieces, seed):
    for unit in (even(), poisson(seed)):
        found = list(arrivals(pieces, unit))
        assert all(a <= b for a, b in pairwise(found))
        began = 0.0
        for piece in pieces:
            within = [t for t in found if began < t < began + piece.seconds]
            assert piece.rate > 0 or not within
            began += piece.seconds
        assert all(0 <= t <= began for t in found)


@given(PIECES)
def test_constant_arrivals_are_as_many_as_the_rates_say(pieces):
    wanted = sum(piece.seconds * piece.rate for piece in pieces)
    assert abs(len(list(arrivals(pieces, even()))) - wanted) <= 1


def test_gaps_of_a_poisson_process_are_exponential_and_independent():
    times = list(islice(arrivals(steady(40, 1000), poisson(1)), 20_000))
    gaps = [b - a for a, b in pairwise([0.0, *times])]
    assert stats.kstest(gaps, stats.expon(scale=1 / 40).cdf).pvalue > 0.01
    assert abs(stats.pearsonr(gaps[:-1], gaps[1:]).statistic) < 0.02  # 2.8 standard errors


def test_counts_of_a_poisson_process_vary_as_much_as_their_mean():
    times = list(arrivals(steady(5, 4000), poisson(2)))
    counts = [0] * 4000
    for time in times:
        counts[int(time)] += 1
    ratio = stats.describe(counts).variance / (len(times) / 4000)
    assert 0.93 < ratio < 1.07  # its standard error is √(2/4000) = 0.022; constant arrivals: 0


def test_a_poisson_process_of_changing_rate_is_poisson_in_each_piece():
    pieces = [Piece(1000, 2), Piece(500, 20)]
    times = list(arrivals(pieces, poisson(3)))
    slow = sum(time < 1000 for time in times)
    assert abs(slow - 2000) < 3 * 2000**0.5
    assert abs(len(times) - slow - 10_000) < 3 * 10_000**0.5


def test_the_same_seed_gives_the_same_arrivals_and_another_others():
    first, again, other = (list(islice(poisson(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_the_unit_process_is_read_no_further_than_needed():
    unit = count()
    next(arrivals(steady(1, 1e9), unit))
    assert next(unit) <= 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Piece(-1, 1), "seconds: must be 0 or more and finite, is -1"),
        (lambda: Piece(1, float("nan")), "rate: must be 0 or more and finite, is nan"),
        (lambda: bursts(1, 2, every=1, length=1, seconds=5), "length: must be above 0 and below"),
        (lambda: ramp(1, 1.0, 3), "factor: must be above 1, is 1"),
    ],
)
def test_shapes_that_cannot_be_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
