"""Scope: what the evidence says nothing about, and what the cascade does then."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.freshness import Domain, Freshness
from ucbd.cascade.boundaries.grounding import Grounding
from ucbd.cascade.boundaries.pointer import Pointer
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.policy import read_policies
from ucbd.cascade.scope import IN_SCOPE, open_ended, scope
from ucbd.cascade.support import Wording
from ucbd.models.scripted import Script

BOUNDARIES = (
    Freshness([Domain("all", date(2023, 12, 31), 1.0)]),
    Grounding(Wording()),
    Pointer(None),
    Fluency(),
    Sampling({"jaccard": Jaccard()}),
)
SCATTERED = tuple(f"reply number {word}" for word in ("one", "two", "three", "four"))


@pytest.mark.parametrize(
    "prompt",
    [
        "Who wrote Hamlet?",
        "the capital of peru is",
        "Name the largest planet.",
        "Tell me who won in 1998.",
        "Find the square root of 144.",
        "How many legs does a spider have?",
        "Why is the sky blue?",
        "Ada has 3 coins and finds 4 more. How many coins has she?",
        "",
    ],
)
def test_a_question_with_one_answer_is_in_scope(prompt):
    assert open_ended(prompt) is None
    assert scope(prompt, "Tarn", 3) == IN_SCOPE


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("Write a poem about the sea.", "the prompt asks to write"),
        ("could you please summarize this article", "the prompt asks to summarize"),
        ("Come up with names for a cat", "the prompt asks to come up with"),
        ("Tell me a joke", "the prompt asks for a text"),
        ("Should I buy a house?", "the prompt asks for advice or an opinion"),
        ("```\nx = 1\n```\nwhat is wrong", "the prompt is about code"),
        ("thanks, that helped", "the prompt is conversation"),
    ],
)
def test_a_prompt_without_one_answer_says_what_it_asks_for(prompt, why):
    assert open_ended(prompt) == why
    assert scope(prompt, "Tarn", 3).answer == why


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ('{"city": "Tarn"}', "the answer is JSON"),
        ("[1, 2]", "the answer is JSON"),
        ('{"name": "search", "arguments": {}}', "the answer is a tool call"),
        ('<tool_call>{"name": "f"}</tool_call>', "the answer is a tool call"),
        ("Use ```ls -l```.", "the answer holds code"),
    ],
)
def test_an_answer_of_another_kind_is_out_of_scope_whatever_was_asked(answer, why):
    assert scope("Where is it?", answer, 8).answer == why


@pytest.mark.parametrize("answer", ["{Tarn", "[sic] Tarn", "[" * 10_000])
def test_a_bracket_alone_is_no_json(answer):
    assert scope("Where is it?", answer, 8).answer is None


def test_samples_of_long_answers_are_not_compared_but_the_answers_own_entropy_counts():
    assert scope("Why?", "word " * 64, 64) == IN_SCOPE
    assert scope("Why?", "word " * 65, 65).samples == "the answer has 65 tokens, more than 64"
    assert scope("Why?", "word " * 65, 65).answer is None
    assert scope("Why?", "a\n\nb\nc", 6) == IN_SCOPE
    assert scope("Why?", "a\nb\nc\nd", 8).samples == "the answer has 4 lines"


def test_what_is_asked_for_after_a_long_text_is_read():
    assert open_ended("lorem ipsum " * 1_000 + "```x = 1```") == "the prompt is about code"


@pytest.mark.parametrize(
    "piece",
    ["a", "\n", " ", "\n ", "{ ", "f(", "<a ", "please ", "hi ", "find the ", ";\t", "the "],
)
def test_a_megabyte_of_anything_is_read_in_linear_time(piece):
    """A pattern that goes back for every character would take hours here, not a moment."""
    text = piece * (1_000_000 // len(piece))
    scope(text, text, 5)


async def test_scattered_samples_of_a_poem_are_not_drawn_and_decide_nothing():
    script = Script(answer="Waves", entropies=(3.0,), samples=SCATTERED)
    outcome, engine = await ask(script, text="Write a poem about the sea.")
    why = "out_of_scope: the prompt asks to write"
    assert (outcome.decision, outcome.boundary) == ("answer", "none")
    assert outcomes(outcome) == [
        ("fluency", "uninformative", why),
        ("sampling", "uninformative", why),
    ]
    assert [stage.score for stage in outcome.stages] == [3.0, None]
    assert outcome.samples is None
    assert len(engine.calls) == 1


async def test_of_a_long_answer_to_a_question_entropy_decides_alone():
    script = Script(answer="a\nb\nc\nd", entropies=(1.0,), samples=SCATTERED)
    outcome, engine = await ask(script, text="Why is the sky blue?")
    assert outcomes(outcome)[1] == (
        "sampling",
        "uninformative",
        "out_of_scope: the answer has 4 lines",
    )
    assert (outcome.decision, outcome.boundary) == ("abstain", "combined")
    assert len(engine.calls) == 1


async def test_a_policy_may_take_all_traffic_for_questions():
    script = Script(answer="Waves", entropies=(3.0,), samples=SCATTERED)
    outcome, _ = await ask(script, text="Write a poem about the sea.", rules=policy(scope="all"))
    assert (outcome.decision, outcome.boundary) == ("abstain", "fluency")


async def test_an_empty_poem_is_not_answered():
    outcome, _ = await ask(Script(answer="", entropies=()), text="Write a poem about the sea.")
    assert outcome.decision == "abstain"


async def test_missing_entropies_of_a_poem_are_still_said_to_be_missing():
    outcome, _ = await ask(
        Script(answer="Waves", entropies=None), text="Write a poem about the sea."
    )
    assert outcomes(outcome)[0][1] == "unavailable"
    assert outcome.decision == "answer"


async def test_mixed_traffic_is_hardly_abstained_from_but_for_its_questions():
    """240 prompts, the worst evidence there is for each: high entropy, samples that all differ."""
    rules = read_policies(None).by_name["default"]
    asked: Counter[str] = Counter()
    abstained: Counter[str] = Counter()
    for line in Path(__file__).with_name("mixed_traffic.jsonl").read_text().splitlines():
        one = json.loads(line)
        script = Script(one.get("answer", "It is Tarn"), (3.0,), SCATTERED)
        outcome, _ = await ask(script, text=one["prompt"], rules=rules, boundaries=BOUNDARIES)
        asked[one["kind"]] += 1
        abstained[one["kind"]] += outcome.decision != "answer"
    assert abstained.pop("factual") == asked.pop("factual") == 50
    assert abstained.total() <= 0.02 * asked.total()
