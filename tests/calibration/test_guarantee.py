"""The guarantee, tested: certificates are broken no more often than δ, and seldom refused."""

import asyncio

import numpy as np
import pytest

from tests.calibration import guarantee
from tests.calibration.guarantee import CASES, Found, made_up

CERTIFIABLE = ("AUROC .92", "AUROC .83", "AUROC .75", "AUROC .67", "ties", "most in one stratum")


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    return {name: made_up(name, *case, draws=300) for name, case in CASES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_true_risk_exceeds_alpha_in_no_more_draws_than_delta(found, name):
    assert found[name].broken <= found[name].most_broken


@pytest.mark.slow
@pytest.mark.parametrize("name", CERTIFIABLE)
def test_what_can_be_certified_is_refused_in_at_most_a_tenth_of_the_draws(found, name):
    assert found[name].refused <= 0.1 * found[name].draws


@pytest.mark.slow
@pytest.mark.parametrize("name", CERTIFIABLE)
def test_it_covers_about_what_one_test_of_one_chosen_threshold_covers(found, name):
    assert found[name].coverage >= found[name].binomial - 0.03
    assert found[name].coverage <= found[name].best


@pytest.mark.slow
def test_scores_that_say_nothing_above_alpha_are_refused(found):
    assert found["blind scores, 12 % wrong"].refused >= 0.95 * 300


def test_a_test_that_never_refuses_would_be_seen(monkeypatch):
    """Certifying the loosest threshold whatever the errors breaks nearly every draw."""
    monkeypatch.setattr(guarantee, "certify", lambda tried, new, bad, *_: guarantee.at(
        tried.thresholds[-1], new, bad))  # fmt: skip
    name = "AUROC .83"
    assert made_up(name, *CASES[name], draws=20).broken == 20


@pytest.mark.slow
def test_the_whole_cascade_holds_it_on_every_rung():
    """The embedded model's answers, certificates of all rungs together broken at most at δ."""
    *rungs, any_rung = asyncio.run(guarantee.embedded(fits=2, draws_each=150, alpha=0.1))
    assert any_rung.broken <= any_rung.most_broken
    for found in rungs:
        assert found.refused <= 0.1 * found.draws
        assert found.coverage <= found.best + 1e-9
    assert np.isfinite(rungs[0].binomial)


@pytest.mark.verify
@pytest.mark.parametrize(("groups", "alpha"), [(False, 0.1), (False, 0.15), (True, 0.15)])
def test_the_whole_cascade_holds_it_over_many_fits(groups, alpha):
    *_, any_rung = asyncio.run(guarantee.embedded(20, 20, alpha, groups=groups))
    assert any_rung.broken <= any_rung.most_broken
