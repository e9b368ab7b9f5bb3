"""P(True) as a stage of the cascade: what it scores, what it costs, and when it cannot be had."""

import math

import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.self_assessment import JUDGEMENT, SelfAssessment
from ucbd.cascade.evaluation.recorded import decided
from ucbd.cascade.evaluation.records import Record
from ucbd.models.generation import Message
from ucbd.models.scripted import Script

STAGES = (Fluency(), SelfAssessment())
RULES = policy(stages=[{"stage": "fluency"}, {"stage": "self_assessment", "fire": 0.5}])
ASKED = (Message("user", "Where?"),)


def judged(true: float, false: float) -> dict[str, float]:
    return {" True": math.log(true), "false": math.log(false), "maybe": math.log(0.01)}


async def assess(next_token, conversation=ASKED, **options):
    script = Script(answer="in Tarn", entropies=(0.01,), next_token=next_token)
    return await ask(script, conversation=conversation, rules=RULES, boundaries=STAGES, **options)


async def test_the_score_is_one_minus_p_true_of_the_two_words():
    outcome, _ = await assess(judged(0.6, 0.2))
    assert outcome.stages[1].score == pytest.approx(0.25)
    assert outcome.decision == "answer"


async def test_an_answer_that_the_model_itself_doubts_is_not_answered():
    outcome, _ = await assess(judged(0.2, 0.6))
    assert (outcome.decision, outcome.boundary) == ("abstain", "self_assessment")
    assert "p_true is 0.750, above 0.5" in outcome.verdict.message


async def test_it_goes_on_from_the_conversation_as_it_was_served():
    seen = []

    def script(text: str) -> Script:
        seen.append(text)
        return Script(answer="in Tarn", next_token=judged(0.6, 0.2))

    await ask(script, conversation=ASKED, rules=RULES, boundaries=STAGES)
    assert seen[-1] == f"Where?\nin Tarn\n{JUDGEMENT}"


async def test_it_costs_one_token_and_one_call():
    outcome, _ = await assess(judged(0.6, 0.2))
    assert outcome.spent.engine_calls == 2
    assert outcome.spent.relative_cost == (2 + 1) / 2
    assert outcome.stages[1].cost == 1 / 2


@pytest.mark.parametrize(
    ("next_token", "conversation", "reason"),
    [
        ({"perhaps": 0.0}, ASKED, "neither True nor False is among the 1 likeliest tokens"),
        (judged(0.6, 0.2), (), "there is no conversation to ask the model in"),
    ],
)
async def test_what_cannot_be_had_is_unavailable(next_token, conversation, reason):
    outcome, _ = await assess(next_token, conversation)
    assert outcomes(outcome)[1] == ("self_assessment", "unavailable", reason)


async def test_a_poem_is_not_asked_to_be_true():
    outcome, _ = await assess(judged(0.2, 0.6), text="Write a poem about the sea.")
    assert outcomes(outcome)[1][1:] == ("uninformative", "out_of_scope: the prompt asks to write")


@pytest.mark.parametrize(("believed", "score"), [(0.9, 0.1), (0.0, 1.0), (1.0, 0.0)])
async def test_a_recorded_p_true_is_replayed(believed, score):
    record = Record(id="1", prompt="Where?", answer={"text": "in Tarn", "p_true": believed})
    found = await decided(record, RULES, {stage.name: stage for stage in STAGES}, "jaccard")
    stage = found.model_dump()["stages"][1]
    assert stage["score"] == pytest.approx(score)


async def test_a_record_without_p_true_has_no_such_evidence():
    record = Record(id="1", prompt="Where?", answer={"text": "in Tarn"})
    found = await decided(record, RULES, {stage.name: stage for stage in STAGES}, "jaccard")
    assert found.model_dump()["stages"][1]["reason"] == "the record has no P(True)"
