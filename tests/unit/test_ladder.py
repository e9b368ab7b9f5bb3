"""The ladder of load: what runs on each rung, what is said of the rest, and what it saves."""

import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from tests.unit.test_generate import Gateway
from ucbd.cascade.boundaries import STAGE_NAMES
from ucbd.cascade.boundaries.density import Density
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.ladder import DEGRADED, LADDER, runs
from ucbd.models.scripted import Script

WAVERING = Script(answer="Tarn it is", entropies=(0.3,), samples=("Dole instead",))


def test_each_rung_runs_less_than_the_one_above_it():
    sets = [{stage for stage in STAGE_NAMES if runs(stage, rung)} for rung in LADDER]
    assert sets[0] == set(STAGE_NAMES)
    assert sets[1] == set(STAGE_NAMES) - {"sampling"}
    assert sets[2] == {"freshness", "pointer", "fluency"}


@pytest.mark.parametrize("rung", ["no_sampling", "fluency"])
async def test_a_shed_stage_is_skipped_and_the_others_decide(rung):
    """u of 0.3 nats is .259: undecided by fluency, and below the threshold of .4."""
    outcome, engine = await ask(WAVERING, rung=rung)
    assert outcomes(outcome) == [("fluency", "passed", None), ("sampling", "skipped", DEGRADED)]
    assert (outcome.rung, outcome.decision, len(engine.calls)) == (rung, "answer", 1)
    assert (outcome.samples, outcome.samples_planned) == (None, 0)
    whole, engine = await ask(WAVERING)
    assert (whole.rung, whole.decision, whole.boundary) == ("all", "abstain", "sampling")
    assert len(engine.calls) == 11


async def test_load_sheds_a_stage_that_an_explanation_wants_too():
    outcome, engine = await ask(WAVERING, rung="no_sampling", explain=True)
    assert outcomes(outcome)[-1] == ("sampling", "skipped", DEGRADED)
    assert len(engine.calls) == 1


async def test_a_stage_after_the_decision_is_skipped_because_of_it_whatever_the_load():
    outcome, _ = await ask(Script(entropies=(0.01,)), rung="no_sampling")
    assert outcomes(outcome)[-1] == ("sampling", "skipped", "decided")


async def test_work_of_a_shed_stage_is_not_begun_early_either():
    class Eager(Density):
        begun = 0

        async def ahead(self, question):
            self.begun += 1

    eager = Eager(None, None)
    rules = policy(stages=[{"stage": "fluency"}, {"stage": "density"}])
    outcome, _ = await ask(WAVERING, rules=rules, boundaries=(Fluency(), eager), rung="fluency")
    assert outcomes(outcome)[-1] == ("density", "skipped", DEGRADED)
    assert eager.begun == 0


async def test_an_answer_with_all_stages_says_that_nothing_was_shed():
    async with Gateway() as gateway:
        assert (await gateway.ask()).json()["degraded"] is None
        assert await gateway.counters("ucbd_degraded_total") == {}
