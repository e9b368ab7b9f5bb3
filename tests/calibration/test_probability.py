"""P(wrong) from what was measured: by hand, and as properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ucbd.cascade.calibration.probability import (
    EvidenceModel,
    Isotonic,
    Platt,
    logit,
    model_for,
)

SAME = Platt(slope=1, intercept=0)


def model(*stages, homogenized=False, weights=None, answers=100, **changes):
    known = {"intercept": 0.0, "map": SAME, "answers": answers, "wrong": 10} | changes
    weights = weights or (1.0,) * len(stages)
    return EvidenceModel(stages=stages, homogenized=homogenized, weights=weights, **known)


def test_a_model_adds_logits_and_maps_their_sum():
    """logit(.25) = −ln 3, logit(.8) = ln 4: 2·(−ln 3) + ln 4 + ln 2 = ln(8/9), σ = 8/17."""
    one = model("fluency", "sampling", weights=(2.0, 1.0), intercept=math.log(2))
    assert one.wrong_probability({"fluency": 0.25, "sampling": 0.8}) == pytest.approx(8 / 17)


def test_certain_and_lost_are_finite():
    assert logit(0.0) == logit(0.005) == pytest.approx(-math.log(199))
    assert logit(1.0) == pytest.approx(math.log(199))


def test_platts_map_of_a_far_logit_is_0_or_1():
    assert Platt(slope=1, intercept=0).probability(-1e6) == 0
    assert Platt(slope=1, intercept=0).probability(1e6) == 1


def test_the_isotonic_map_is_straight_between_its_points_and_flat_beyond():
    found = Isotonic(z=(-1, 1), p=(0.2, 0.6))
    assert [found.probability(z) for z in (-9, -1, 0, 0.5, 1, 9)] == pytest.approx(
        [0.2, 0.2, 0.4, 0.5, 0.6, 0.6]
    )
    assert Isotonic(z=(0,), p=(0.3,)).probability(5) == 0.3


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        ({"z": (0, 1), "p": (0.5,)}, "z has 2 points and p has 1"),
        ({"z": (1, 0), "p": (0.1, 0.5)}, "z must rise"),
        ({"z": (0, 0), "p": (0.1, 0.5)}, "z must rise"),
        ({"z": (0, 1), "p": (0.5, 0.1)}, "p must not fall"),
    ],
)
def test_points_that_do_not_rise_are_refused(points, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Isotonic(**points)


def test_a_weight_that_reads_doubt_as_certainty_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        model("fluency", weights=(-0.1,))


def test_the_model_that_reads_most_of_what_there_is_is_chosen():
    models = [model("pointer"), model("pointer", "sampling"), model("fluency")]
    seen = {"pointer": 0.2, "sampling": 0.1, "density": 0.5}
    assert model_for(models, seen, homogenized=False) is models[1]
    assert model_for(models, {"fluency": 0.1}, homogenized=False) is models[2]
    assert model_for(models, {"density": 0.1}, homogenized=False) is None


def test_the_stratum_has_a_model_of_its_own_and_never_reads_samples():
    models = [model("pointer"), model("pointer", "sampling"), model("pointer", homogenized=True)]
    assert model_for(models, {"pointer": 0.2, "sampling": 0.0}, homogenized=True) is models[2]
    assert model_for(models[:2], {"pointer": 0.2, "sampling": 0.0}, homogenized=True) is models[0]
    assert model_for(models[2:], {"pointer": 0.2}, homogenized=False) is None


def test_with_nothing_but_agreeing_samples_the_stratums_own_rate_is_taken():
    rate = model(homogenized=True, intercept=math.log(0.1 / 0.9))
    models = [rate, model("pointer"), model("fluency", homogenized=True)]
    assert model_for(models, {"sampling": 0.0}, homogenized=True) is rate
    assert model_for(models, {"pointer": 0.2}, homogenized=True) is models[1]
    assert model_for(models, {"fluency": 0.2}, homogenized=True) is models[2]
    assert model_for(models, {}, homogenized=False) is None
    assert rate.wrong_probability({}) == pytest.approx(0.1)
    with pytest.raises(ValidationError, match="only the stratum has an error rate"):
        model()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_doubt_of_any_stage_never_lowers_it(one, other, fixed):
    low, high = sorted((one, other))
    found = model(
        "fluency", "sampling", weights=(0.7, 0.2), map=Isotonic(z=(-3, 0, 3), p=(0, 0.3, 1))
    )
    lower = found.wrong_probability({"fluency": low, "sampling": fixed})
    assert lower <= found.wrong_probability({"fluency": high, "sampling": fixed}) + 1e-12
