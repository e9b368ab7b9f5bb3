"""Wilson's interval, and what single clusters say of right and wrong: by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.evaluation.rates import Clustered, Rate, homogenization, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # z = 1.959964, z2 = 3.841459. 5 of 10: middle 0.5, half-width
        # z/1.384146 * sqrt(.025 + .0096036) = 1.416010 * .186021 = .263407
        (5, 10, 0.236593, 0.763407),
        # 0 of 10: [0, z2/(10 + z2)]
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
    ],
)
def test_wilson_by_hand(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_share_and_stays_within_bounds(pair):
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1
    assert low < high


@pytest.mark.parametrize("pair", [(0, 0), (3, 2), (-1, 2)])
def test_no_share_no_interval(pair):
    with pytest.raises(ValueError, match="is no share"):
        wilson(*pair)


def test_a_rate_of_nothing_has_no_value():
    assert Rate(0, 0).value is None
    assert Rate(0, 0).interval is None
    assert Rate(1, 4).value == 0.25


def test_rates_inside_and_outside_the_stratum_by_hand():
    found = homogenization(
        [
            Clustered(1, 0.0, True),
            Clustered(1, 0.0, False),
            Clustered(1, 0.0, False),
            Clustered(1, 0.0, None),  # unlabelled: counts for the single-cluster rate alone
            Clustered(2, 0.5, True),
            Clustered(4, 1.5, True),
            Clustered(3, 1.0, True),
            Clustered(2, 0.6, False),
        ]
    )
    assert found.single == Rate(4, 8)
    assert found.wrong_given_one == Rate(1, 3)
    assert found.wrong_given_several == Rate(3, 4)
    assert found.blind_mass == Rate(1, 4)
    assert found.mean_clusters == pytest.approx(15 / 8)
    assert found.mean_semantic_entropy == pytest.approx(3.6 / 8)


def test_without_questions_nothing_is_claimed():
    found = homogenization([])
    assert found.single.value is None
    assert found.mean_clusters is None
    assert found.blind_mass.value is None


def test_without_labels_only_the_single_cluster_rate_is_known():
    found = homogenization([Clustered(1, 0.0, None), Clustered(2, 0.7, None)])
    assert found.single.value == 0.5
    assert found.wrong_given_one.value is None
    assert found.wrong_given_several.value is None
    assert found.blind_mass.value is None
