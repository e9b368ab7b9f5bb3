"""Asking: what a record holds afterwards, how the samples are drawn, P(True) by hand."""

import math

import pytest

from ucbd.cascade.boundaries.self_assessment import JUDGEMENT, from_next_token
from ucbd.cascade.evaluation.ask import Asking, ask, ask_all
from ucbd.cascade.evaluation.records import Record
from ucbd.models.errors import EngineFailed, EngineUnavailable, InvalidRequest
from ucbd.models.generation import Missing
from ucbd.models.reference import text
from ucbd.models.scripted import Script, ScriptedEngine

HALF = math.log(0.5)
SCRIPT = Script(
    answer="In Tarn.",
    entropies=(0.25, 0.5),
    samples=("Tarn.", "In Dole.", ""),
    next_token={"True": math.log(0.3), "False": math.log(0.1), "Well": HALF},
)


async def asked(script: Script = SCRIPT, asking: Asking = Asking(samples=3), **keys: object):  # noqa: B008 frozen
    record = Record.model_validate({"id": "q", "prompt": "Where was she born?", **keys})
    engine = ScriptedEngine(script)
    return await ask(record, engine, asking), engine


async def test_the_record_holds_what_was_said_and_how_it_was_asked():
    found, _ = await asked(kind="fact")
    told = found.model_dump(exclude_unset=True)
    assert told == {
        "id": "q",
        "prompt": "Where was she born?",
        "kind": "fact",
        "answer": {
            "text": "In Tarn.",
            "tokens": 2,
            "token_entropies": [0.25, 0.5],
            "p_true": pytest.approx(0.75),
        },
        "samples": told["samples"],
        "sampling": {"n": 3, "temperature": 1.0, "top_p": 1.0},
        "model": "scripted",
        "model_revision": "1",
        "vocab_size": 1000,
        "prompt_template": None,
    }
    assert sorted(s["text"] for s in told["samples"]) == ["", "In Dole.", "Tarn."]


async def test_the_answer_is_greedy_and_samples_are_drawn_at_the_wanted_temperature():
    _, engine = await asked(asking=Asking(samples=2, temperature=0.7, max_tokens=5, seed=1))
    main, first, second = engine.calls
    assert (main.temperature, main.max_tokens, main.seed) == (0.0, 5, None)
    assert (first.temperature, first.top_p, first.max_tokens) == (0.7, 1.0, 5)
    assert first.seed != second.seed


async def test_an_old_label_is_not_kept_for_a_new_answer():
    found, _ = await asked(correct=True, answer={"text": "In Dole."})
    assert "correct" not in found.model_fields_set


async def test_a_record_that_is_never_to_be_judged_stays_so():
    found, _ = await asked(correct=None)
    assert found.model_dump(exclude_unset=True)["correct"] is None


async def test_what_cannot_be_measured_is_absent():
    found, _ = await asked(Script(entropies=None, next_token={"Well": HALF}))
    assert found.answer is not None
    assert found.answer.model_fields_set == {"text", "tokens"}


async def test_an_empty_answer_is_not_asked_about():
    found, _ = await asked(Script(answer=" ", next_token=SCRIPT.next_token))
    assert found.answer is not None
    assert found.answer.p_true is None


def records(*prompts: str) -> list[Record]:
    return [Record(id=f"q{i}", prompt=prompt) for i, prompt in enumerate(prompts)]


async def test_all_are_asked_and_never_more_at_once_than_allowed():
    most = 0
    engine = ScriptedEngine(Script(delay=0.01, next_token=SCRIPT.next_token))
    found: list[Record] = []

    def answered(record: Record) -> None:
        nonlocal most
        most = max(most, engine.running)
        found.append(record)

    questions = records(*["Where?"] * 7)
    await ask_all(questions, engine, Asking(samples=2), concurrency=2, answered=answered)
    assert {record.id for record in found} == {f"q{i}" for i in range(7)}
    assert most <= 2 * 3


async def test_a_question_that_cannot_be_asked_is_named_and_ends_the_others():
    engine = ScriptedEngine(Script(delay=3600))
    found: list[Record] = []
    with pytest.raises(InvalidRequest, match="question 'q1': 70 tokens"):
        await ask_all(
            records("Where?", "where " * 70, "When?"),
            engine,
            Asking(samples=2),
            concurrency=3,
            answered=found.append,
        )
    assert not found
    assert engine.running == 0


async def test_a_dead_engine_ends_the_asking_as_such():
    engine = ScriptedEngine(dead=True)
    with pytest.raises(EngineUnavailable, match="dead"):
        await ask_all(
            records("Where?"), engine, Asking(), concurrency=1, answered=lambda record: None
        )


async def test_a_fault_of_the_engine_is_the_callers():
    with pytest.raises(EngineFailed, match="broken"):
        await asked(Script(sample_fault=EngineFailed("broken")))


def test_case_and_space_variants_of_the_two_words_count_together():
    probabilities = {"True": 0.2, " true": 0.1, "TRUE": 0.1, "False": 0.1, "Falsely": 0.4}
    logs = {token: math.log(p) for token, p in probabilities.items()}
    assert from_next_token(logs) == pytest.approx(0.4 / 0.5)


def test_without_either_word_there_is_no_p_true():
    found = from_next_token({"Yes": HALF})
    assert found == Missing("neither True nor False is among the 1 likeliest tokens")


def test_the_embedded_models_are_taught_the_question_the_gateway_asks():
    assert text.JUDGEMENT == JUDGEMENT
