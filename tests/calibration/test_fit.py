"""Fits on data whose answer is known."""

import numpy as np
import pytest

from ucbd.cascade.calibration.evidence import Evidence
from ucbd.cascade.calibration.fit import (
    LEAST,
    _isotonic,
    aim,
    exits,
    fit_map,
    fit_models,
    probabilities,
)


def evidence(wrong, homogenized=None, **columns) -> Evidence:
    n = len(wrong)
    none = np.zeros(n, dtype=bool)
    return Evidence(
        stages=tuple(columns),
        uncertainties=np.column_stack([np.asarray(c, dtype=float) for c in columns.values()]),
        homogenized=none if homogenized is None else np.asarray(homogenized),
        refused=none,
        unasked=none,
        wrong=np.asarray(wrong, dtype=bool),
    )


def test_a_score_that_is_the_probability_comes_out_as_it_is():
    rng = np.random.default_rng(0)
    u = rng.uniform(0.05, 0.95, 6000)
    found = evidence(rng.random(6000) < u, fluency=u)
    (model,) = fit_models(found)
    assert model.weights[0] == pytest.approx(1, abs=0.1)
    assert model.intercept == pytest.approx(0, abs=0.1)
    for said in (0.1, 0.5, 0.9):
        assert model.wrong_probability({"fluency": said}) == pytest.approx(said, abs=0.04)


def test_a_stage_that_would_count_the_wrong_way_is_left_out():
    """Sampling's doubt is highest where the answer is right: noise, or a trap."""
    rng = np.random.default_rng(1)
    u = rng.uniform(0.05, 0.95, 3000)
    wrong = rng.random(3000) < u
    models = fit_models(evidence(wrong, fluency=u, sampling=np.where(wrong, 0.2, 0.8)))
    assert all("sampling" not in m.stages for m in models if "fluency" in m.stages)


def test_the_stratum_is_fitted_apart_and_without_samples():
    """In it nine of ten are right whatever fluency says, outside it half of them."""
    rng = np.random.default_rng(2)
    n = 4000
    inside = rng.random(n) < 0.5
    wrong = rng.random(n) < np.where(inside, 0.1, 0.5)
    sampling = np.where(inside, np.nan, rng.uniform(0.1, 0.9, n))
    found = evidence(wrong, inside, fluency=rng.uniform(0.1, 0.9, n), sampling=sampling)
    models = fit_models(found)
    u = probabilities(found, models, found.stages)
    assert u[inside].mean() == pytest.approx(0.1, abs=0.02)
    assert u[~inside].mean() == pytest.approx(0.5, abs=0.03)


def test_where_nothing_but_samples_is_known_the_stratum_has_its_own_error_rate():
    """100 unanimous answers of which 9 are wrong: (9 + 1)/(100 + 2), whatever the others' doubt."""
    wrong = np.concatenate([np.arange(100) < 9, np.arange(100) < 50])
    inside = np.arange(200) < 100
    sampling = np.where(inside, np.nan, np.where(wrong, 0.8, 0.4))
    found = evidence(wrong, inside, sampling=sampling)
    u = probabilities(found, fit_models(found), found.stages)
    assert u[inside] == pytest.approx(10 / 102, rel=1e-3)
    assert (u[~inside & wrong] > 0.5).all()
    few = evidence(np.arange(39) < 3, np.ones(39, dtype=bool), sampling=np.full(39, np.nan))
    assert fit_models(few) == ()


def test_a_set_with_too_few_of_a_kind_has_no_model():
    wrong = np.arange(200) < LEAST - 1
    assert fit_models(evidence(wrong, fluency=np.linspace(0.1, 0.9, 200))) == ()


def test_what_nothing_reads_has_no_probability():
    rng = np.random.default_rng(3)
    u = np.where(np.arange(400) < 200, rng.uniform(0.1, 0.9, 400), np.nan)
    found = evidence(rng.random(400) < np.nan_to_num(u, nan=0.5), fluency=u)
    said = probabilities(found, fit_models(found), found.stages)
    assert np.isnan(said).tolist() == np.isnan(u).tolist()


@pytest.mark.parametrize(
    ("truth", "kind"),
    [
        (lambda z: 1 / (1 + np.exp(-2 * z)), "platt"),
        (lambda z: np.where(z > 0, 0.9, 0.3), "isotonic"),
    ],
)
def test_the_map_that_says_better_on_held_out_answers_is_taken(truth, kind):
    rng = np.random.default_rng(4)
    z = rng.normal(size=4000)
    found = fit_map(z, rng.random(4000) < truth(z))
    assert found.kind == kind
    for at in (-1.5, 1.5):
        assert found.probability(at) == pytest.approx(float(truth(np.array(at))), abs=0.06)


def test_the_isotonic_map_ties_no_answers():
    rng = np.random.default_rng(5)
    z = rng.normal(size=2000)
    found = fit_map(z, rng.random(2000) < np.where(z > 0, 0.9, 0.3))
    inner = np.linspace(found.z[0], found.z[-1], 50)
    assert len({found.probability(float(one)) for one in inner}) == 50


def test_no_map_says_that_an_answer_cannot_be_wrong_or_right():
    """The lowest 98 hold no error and the highest 48 nothing else: 1/(98 + 2), 1 - 1/(48 + 2)."""
    z = np.arange(400.0)
    wrong = (z >= 352) | ((z >= 98) & (z < 352) & (z % 2 == 0))
    found = _isotonic(z, wrong)
    assert found.p[0] == pytest.approx(0.01)
    assert found.p[-1] == pytest.approx(0.98)
    assert _isotonic(z, z >= 200).p == pytest.approx((1 / 202, 201 / 202), rel=1e-5)


def test_where_to_aim_is_the_loosest_threshold_that_passes():
    """100 right at .1, then as many at .2 of which half are wrong."""
    scores = np.repeat([0.1, 0.2], 100)
    wrong = np.concatenate([np.zeros(100), np.tile([0, 1], 50)]).astype(bool)
    assert aim(scores, wrong, 0.1, 0.05) == 0.1
    assert aim(scores, wrong, 0.4, 0.05) == 0.2
    assert aim(scores, ~wrong, 0.1, 0.05) is None


def test_exits_are_where_later_stages_hardly_decide_otherwise():
    """Below .3 nine in a hundred fall, at .3 to .6 half, above .6 one in a hundred stands."""
    early = np.concatenate([np.full(100, 0.2), np.full(100, 0.5), np.full(100, 0.8)])
    stands = np.concatenate([np.arange(100) >= 9, np.arange(100) >= 50, np.arange(100) >= 99])
    assert exits(early, stands, 0.1) == exits(early, stands, 0.2)
    assert (exits(early, stands, 0.1).accept, exits(early, stands, 0.1).high) == (0.2, 0.8)
    assert (exits(early, stands, 0.05).accept, exits(early, stands, 0.05).high) == (None, 0.8)
    assert exits(early[:10], stands[:10], 0.1).accept is None  # too few to tell
