"""Scores of single answers and of samples: values by hand (method.md section 6), invariances."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade import scores

LABELS = (0, 0, 0, 1, 2)
logprobs = st.lists(st.floats(-20, 0), min_size=1, max_size=12)


def test_predictive_entropy_by_hand():
    # (-.1 - .3)/2 = -.2 and (-.5 - .7 - .3)/3 = -.5
    assert scores.predictive_entropy([[-0.1, -0.3], [-0.5, -0.7, -0.3]]) == pytest.approx(0.35)


def test_likelihood_weighted_semantic_entropy_by_hand():
    found = scores.weighted_semantic_entropy((-0.1, -0.2, -0.3, -1, -1.5), LABELS)
    assert found == pytest.approx(0.619376, abs=1e-6)


def test_sindex_by_hand():
    cosines = np.full((5, 5), 0.98)
    assert scores.sindex(cosines, LABELS) == pytest.approx(0.956020, abs=1e-6)


def test_self_certainty_by_hand_and_turned():
    token = [math.log(p) for p in (0.7, 0.2, 0.1)]
    assert scores.self_certainty([token]) == pytest.approx(-0.324287, abs=1e-6)
    undecided = [math.log(1 / 3)] * 3
    assert scores.self_certainty([undecided]) == pytest.approx(0)
    assert scores.self_certainty([undecided, token]) == pytest.approx(-0.324287 / 2, abs=1e-6)


def test_scores_of_one_answer_by_hand():
    assert scores.mean_negative_log_probability([-0.5, -1.5]) == 1.0
    assert scores.perplexity([math.log(0.5), math.log(0.125)]) == pytest.approx(4.0)
    assert scores.least_likely_token([math.log(0.9), math.log(0.2)]) == pytest.approx(0.8)


def test_selfcheck_by_hand():
    assert scores.selfcheck([0.9, 0.7]) == pytest.approx(0.2)


def test_logit_uncertainty_by_hand():
    aleatoric, epistemic = scores.logit_uncertainty([8, 2])
    assert (aleatoric, epistemic) == pytest.approx((0.454683, 0.166667), abs=1e-6)
    assert scores.logit_uncertainty([8, 2, -3])[0] == pytest.approx(aleatoric)  # below 0 is nothing
    assert scores.logit_uncertainty([8, 2, -3])[1] == pytest.approx(3 / 13)
    assert scores.logtoku([[8, 2], [8, 2]]) == pytest.approx(aleatoric * epistemic)
    assert scores.logtoku([[8, 2], [80, 20]]) < aleatoric * epistemic  # more evidence of the same


@pytest.mark.parametrize("bad", [[], [math.nan, 1], [math.inf], [-1, 0]])
def test_logits_that_are_no_evidence_are_no_score(bad):
    with pytest.raises(ValueError, match="logit"):
        scores.logtoku([bad])
    with pytest.raises(ValueError, match="no tokens"):
        scores.logtoku([])


@pytest.mark.parametrize("bad", [[], [0.1], [math.nan], [-1, math.inf]])
def test_what_is_no_log_probability_is_no_score(bad):
    for score in (scores.perplexity, scores.least_likely_token):
        with pytest.raises(ValueError, match="log-probabilit"):
            score(bad)
    with pytest.raises(ValueError, match="log-probabilit"):
        scores.weighted_semantic_entropy(bad, range(len(bad)))


@given(logprobs, st.randoms(use_true_random=False))
def test_the_order_of_samples_and_the_names_of_clusters_do_not_matter(values, random: Random):
    labels = [random.randrange(3) for _ in values]
    order = random.sample(range(len(values)), len(values))
    once = scores.weighted_semantic_entropy(values, labels)
    again = scores.weighted_semantic_entropy(
        [values[i] for i in order], [7 - labels[i] for i in order]
    )
    assert once == pytest.approx(again, abs=1e-9)
    assert -1e-9 <= once <= math.log(len(values)) + 1e-9


@given(logprobs, st.randoms(use_true_random=False))
def test_every_sample_twice_changes_no_score_of_samples(values, random: Random):
    labels = [random.randrange(3) for _ in values]
    assert scores.weighted_semantic_entropy(values * 2, labels * 2) == pytest.approx(
        scores.weighted_semantic_entropy(values, labels), abs=1e-9
    )
    assert scores.selfcheck(values * 2) == pytest.approx(scores.selfcheck(values))


def test_equal_likelihoods_weigh_as_counts():
    found = scores.weighted_semantic_entropy([-1.0] * 5, LABELS)
    assert found == pytest.approx(0.950271, abs=1e-6)


def test_sindex_of_identical_samples_is_the_semantic_entropy():
    assert scores.sindex(np.ones((5, 5)), LABELS) == pytest.approx(0.950271, abs=1e-6)
