"""The body of an answer is what OpenAPI says: field by field, in its order, nothing beside."""

import json

import msgspec
import pytest

from ucbd.app.render import judgement, render
from ucbd.app.schemas import GenerateResponse
from ucbd.cascade.entropy import summarise
from ucbd.cascade.outcome import (
    Bound,
    Cluster,
    Escalation,
    Outcome,
    SampleSet,
    Spent,
    Stage,
    Verdict,
)
from ucbd.models.generation import Generation, Missing, TokenEntropies

BOUNDED = TokenEntropies((0.1, 0.3), (0.2, 0.4), exact=False, top_k=20)
EXACT = TokenEntropies((0.5,), (0.5,), exact=True, constrained=True)


def bare(**changes) -> Outcome:
    """Nothing but an answer: whatever may be missing is."""
    generation = Generation("Tarn", 0, "stop", Missing("none"), 3, 0)
    made = {
        "generation": generation,
        "decision": "answer",
        "verdict": Verdict(None, "good enough"),
        "uncertainty": None,
        "confidence": None,
        "bound": Missing("the policy is not calibrated"),
        "unanimous": False,
        "entropy": Missing("none"),
        "samples": None,
        "samples_planned": 0,
        "clusterer": "jaccard",
        "stages": (),
        "spent": Spent(0, 0, 0, 0, 0, 1, 0.0),
        "withheld": False,
        "refusal": None,
        "rung": "all",
    }
    return Outcome(**made | changes)


def full() -> Outcome:
    """Whatever may be there is."""
    clusters = (Cluster(2, "Tarn"), Cluster(1, "Holm"))
    return bare(
        generation=Generation("Tarn", 2, "stop", BOUNDED, 3, 1, reasoning=EXACT),
        decision="escalate",
        verdict=Verdict("sampling", "semantic entropy is high", "larger_model"),
        confidence=0.25,
        bound=Bound("a1b2", 0.1),
        entropy=summarise(BOUNDED),
        samples=SampleSet(3, clusters, 2 / 3, 0.6365, "jaccard(0.4)"),
        samples_planned=3,
        stages=(
            Stage("fluency", "mean", 0.25, 0.2, 0.8, "passed", None, 1.23456789e-5, 0.0),
            Stage("sampling", None, None, None, None, "skipped", "decided", 0.0, None),
        ),
        spent=Spent(2, 6, 1, 0, 4, 5, 0.01),
        withheld=True,
        rung="no_sampling",
        escalation=Escalation(Generation("Holm", 4, "stop", Missing(""), 3, 0), None, "big", 0.1),
    )


@pytest.mark.parametrize("outcome", [bare(), full()])
def test_the_body_is_the_documented_one(outcome):
    body = json.loads(msgspec.json.encode(render("gen-1", "m", 1, outcome)))
    documented = GenerateResponse.model_validate(body).model_dump(mode="json")
    assert json.dumps(body) == json.dumps(documented)  # the order of fields is part of it


def test_the_judgement_is_the_body_without_what_openai_says_in_its_own_places():
    body = render("gen-1", "m", 1, full())
    own = {"id", "model", "created", "answer"}
    assert judgement(full()) == {name: value for name, value in body.items() if name not in own}


def test_a_number_that_is_none_is_null():
    body = json.loads(msgspec.json.encode(render("gen-1", "m", 1, bare(confidence=float("nan")))))
    assert body["confidence"] is None
