"""An answer told while it is generated: pieces that make the whole, entropies that may lag."""

import asyncio
import math

import pytest

from tests.unit.test_cascade import WAVERING, ask, policy
from ucbd.models.errors import EngineFailed
from ucbd.models.generation import GenerationOptions, Missing, Piece, TokenEntropies
from ucbd.models.live import Live
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.top_k import entropy_bounds


def exact(*values: float) -> TokenEntropies:
    return TokenEntropies(values, values, exact=True)


async def test_entropies_looked_for_in_the_background_come_with_the_next_piece():
    told: list[Piece] = []
    asked: list[int] = []

    async def so_far(start: int) -> list[float]:
        asked.append(start)
        return [0.5, 0.25][start:]

    live = Live(told.append, so_far)
    live.say("In", 1)
    await asyncio.sleep(0)
    live.say(" Tarn", 1)
    live.finish("In Tarn.", 3, exact(0.5, 0.25, 0.125))
    assert told == [Piece("In", 1), Piece(" Tarn", 1, (0.5, 0.25)), Piece(".", 1, (0.125,))]
    assert asked == [0]


async def test_one_look_at_a_time_however_fast_the_pieces_come():
    told: list[Piece] = []
    looks = 0
    answered = asyncio.Event()

    async def so_far(start: int) -> list[float]:
        nonlocal looks
        looks += 1
        await answered.wait()
        return [0.5]

    live = Live(told.append, so_far)
    for _ in range(3):
        live.say("a", 1)
        await asyncio.sleep(0)
    assert looks == 1
    answered.set()
    await asyncio.sleep(0)
    live.finish("aaa", 3, exact(0.5, 0.5, 0.5))
    assert [piece.entropies for piece in told] == [(), (), (), (0.5, 0.5, 0.5)]


@pytest.mark.parametrize("answer", [EngineFailed("no such method"), [math.nan, 0.5]], ids=repr)
async def test_what_cannot_be_told_as_a_number_is_left_to_the_answer(answer):
    told: list[Piece] = []

    async def so_far(start: int) -> list[float]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    live = Live(told.append, so_far)
    live.say("In", 1)
    await asyncio.sleep(0)
    live.say(" Tarn", 1)
    live.finish("In Tarn", 2, Missing("gone"))
    assert told == [Piece("In", 1), Piece(" Tarn", 1)]


async def test_a_closed_one_looks_no_further():
    gone = asyncio.Event()

    async def so_far(start: int) -> list[float]:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return []

    live = Live(lambda piece: None, so_far)
    live.say("In", 1)
    await asyncio.sleep(0)
    live.close()
    async with asyncio.timeout(60):
        await gone.wait()


def test_points_are_midpoints_of_bounds_and_lower_bounds_without_an_upper():
    assert TokenEntropies((0.5,), (1.0,), exact=False, top_k=20).points == (0.75,)
    assert TokenEntropies((0.5,), None, exact=False, top_k=20).points == (0.5,)
    halves = [math.log(0.5), math.log(0.25)]  # S = .5 ln 2 + .25 ln 4, R = .25: - R ln R = .3466
    bounds = entropy_bounds([halves], 2, None)
    assert bounds.points == pytest.approx([math.log(2) + 0.25 * math.log(4)])


async def test_a_scripted_answer_is_told_word_by_word_with_its_entropies_one_behind():
    told: list[Piece] = []
    engine = ScriptedEngine(Script("It is  Tarn", (0.1, 0.2, 0.3)))
    prompt = await engine.encode("where")
    generation = await engine.generate(
        prompt, GenerationOptions(8), entropies=True, listen=told.append
    )
    assert told == [Piece("It", 1), Piece(" is", 1, (0.1,)), Piece("  Tarn", 1, (0.2, 0.3))]
    assert generation.text == "It is  Tarn"


async def test_a_fault_may_come_after_some_words():
    told: list[Piece] = []
    engine = ScriptedEngine(Script("It is Tarn", words=2, fault=EngineFailed("aborted")))
    with pytest.raises(EngineFailed):
        await engine.generate(
            await engine.encode("where"), GenerationOptions(8), entropies=True, listen=told.append
        )
    assert [piece.text for piece in told] == ["It", " is"]


async def test_the_cascade_tells_the_main_answer_and_no_sample():
    told: list[Piece] = []
    script = Script("Tarn it is", WAVERING, ("Dole instead",))
    outcome, engine = await ask(script, explain=True, listen=told.append)
    assert "".join(piece.text for piece in told) == outcome.generation.text == "Tarn it is"
    assert len(engine.calls) == 11


async def test_a_policy_that_may_withhold_an_answer_tells_none_of_it_before_the_decision():
    told: list[Piece] = []
    outcome, _ = await ask(Script(), rules=policy(withhold=True), listen=told.append)
    assert outcome.decision == "answer"
    assert told == []
