"""Bounds from the top K, against the hand-computed example of method.md and as properties."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.models.generation import Missing
from ucbd.models.top_k import entropy_bounds

EXAMPLE = [math.log(0.6), math.log(0.2), math.log(0.1)]
weights = st.lists(st.floats(0.001, 1), min_size=3, max_size=40)


def test_the_example_of_the_method():
    bounds = entropy_bounds([EXAMPLE], k=3, vocab_size=1000)
    assert bounds.lower == pytest.approx([1.088900], abs=1e-6)
    assert bounds.upper == pytest.approx([1.779375], abs=1e-6)
    assert bounds.exact is False
    assert bounds.top_k == 3


def test_without_the_vocabulary_there_is_no_upper_bound():
    bounds = entropy_bounds([EXAMPLE], k=3, vocab_size=None)
    assert bounds.upper is None
    assert bounds.lower == pytest.approx([1.088900], abs=1e-6)


def test_the_sampled_tokens_extra_entry_is_not_counted():
    with_sampled = [[*EXAMPLE, math.log(0.001)]]
    assert entropy_bounds(with_sampled, 3, 1000) == entropy_bounds([EXAMPLE], 3, 1000)


def test_a_certain_token_has_entropy_zero_both_ways():
    bounds = entropy_bounds([[0.0, -math.inf, -math.inf]], k=3, vocab_size=1000)
    assert bounds.lower == bounds.upper == (0.0,)


def test_rounding_above_one_is_clamped():
    bounds = entropy_bounds([[1e-7, math.log(1e-9)]], k=2, vocab_size=10)
    assert bounds.lower[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        [[math.nan, -1.0]],
        [[None, -1.0]],
        [[-1.0, -1.0], [None]],
        [[0.5, -1.0]],
        [[-9999.0, -9999.0]],
        [[-math.inf, -math.inf]],
        [[]],
        [],
    ],
)
def test_what_is_no_log_probability_is_missing_evidence(bad):
    assert isinstance(entropy_bounds(bad, 2, 10), Missing)


@given(weights, st.integers(1, 40), st.integers(0, 100))
def test_the_bounds_enclose_the_entropy_of_every_distribution(weights, k, unseen):
    p = np.sort(np.array(weights) / sum(weights))[::-1]
    exact = float(-(p * np.log(p)).sum())
    k = min(k, len(p))
    bounds = entropy_bounds([np.log(p[:k]).tolist()], k, len(p) + unseen)
    assert bounds.lower[0] - 1e-9 <= exact <= bounds.upper[0] + 1e-9


@given(weights)
def test_more_of_the_distribution_never_widens_the_bounds(weights):
    p = np.sort(np.array(weights) / sum(weights))[::-1]
    widths = []
    for k in range(1, len(p) + 1):
        bounds = entropy_bounds([np.log(p[:k]).tolist()], k, len(p))
        widths.append(bounds.upper[0] - bounds.lower[0])
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(widths))
    assert widths[-1] == pytest.approx(0, abs=1e-6)
