"""Calibration error and Brier score by hand; Platt scaling on data whose truth is known."""

import numpy as np
import pytest
from scipy.special import expit, logit

from ucbd.cascade.evaluation.calibrated import Bin, measure, platt


def test_ece_and_brier_by_hand():
    # four answers, a bin each: gaps .1, .2, .6, .1; squares .01, .04, .36, .01
    found = measure([0.1, 0.2, 0.6, 0.9], [False, False, False, True])
    assert found.ece == pytest.approx(0.25)
    assert found.brier == pytest.approx(0.105)
    assert len(found.bins) == 4


def test_fifteen_bins_of_equal_mass():
    # 30 answers in pairs said 1/30 .. : each bin holds two neighbours
    found = measure(np.arange(30) / 30, np.arange(30) % 2 == 1)
    assert [b.n for b in found.bins] == [2] * 15
    assert found.bins[0] == Bin(pytest.approx(0.5 / 30), 0.5, 2)
    # every bin has one wrong of two: mean |(4k + 1)/60 - 1/2| over k = 0 … 14
    assert found.ece == pytest.approx(np.mean([abs((4 * k + 1) / 60 - 0.5) for k in range(15)]))


def test_a_tie_is_right_on_average_whatever_the_order_of_the_records():
    said, wrong = [0.3] * 100, np.array([True] * 30 + [False] * 70)
    assert measure(said, wrong).ece == pytest.approx(0)
    assert measure(said, wrong[::-1]).ece == pytest.approx(0)


@pytest.mark.parametrize("said", [[], [1.2], [-0.1], [float("nan")]])
def test_what_is_no_probability_has_no_calibration(said):
    with pytest.raises(ValueError, match="probabilities"):
        measure(said, [True] * len(said))


def test_platt_scaling_mends_a_score_that_is_off_by_a_slope_and_a_shift():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    wrong = rng.random(4000) < expit(truth)
    said = expit(4 * truth + 3)
    scaled = platt(4 * truth + 3, wrong)
    assert measure(said, wrong).ece > 0.2
    assert measure(scaled, wrong).ece < 0.035
    assert np.corrcoef(scaled, expit(truth))[0, 1] > 0.995


def test_platt_scaling_is_held_out():
    # Labels that have nothing to do with the score: fitted on themselves they would look related.
    rng = np.random.default_rng(1)
    scaled = platt(rng.normal(size=400), rng.random(400) < 0.25)
    assert scaled.min() > 0.1
    assert scaled.max() < 0.45
    # Five fits, so the log-odds lie on five lines over the score; one fit to all would give one.
    scores, wrong = rng.normal(size=50), np.arange(50) % 5 == 0
    log_odds = logit(platt(scores, wrong))
    line = np.polyval(np.polyfit(scores, log_odds, 1), scores)
    assert np.abs(log_odds - line).max() > 0.01


def test_a_score_that_separates_the_classes_stays_finite():
    scores = np.arange(40.0)
    scaled = platt(scores, scores >= 20)
    assert np.isfinite(scaled).all()
    assert scaled[0] < 0.1 < 0.9 < scaled[-1]
    assert (np.diff(scaled[:5]) > -0.05).all()


def test_too_few_of_a_class_are_not_scaled():
    assert platt(np.arange(20.0), np.arange(20) < 4) is None
    assert platt(np.arange(20.0), np.arange(20) < 5) is not None


def test_a_constant_score_gives_the_smoothed_error_rate():
    # Of 80 answers to fit on 24 are wrong; targets 25/26 and 1/58: (24 * 25/26 + 56/58) / 80
    scaled = platt(np.ones(100), np.arange(100) < 30)
    assert scaled == pytest.approx(np.full(100, 0.300531), abs=1e-5)
