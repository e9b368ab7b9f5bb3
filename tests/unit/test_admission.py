"""Admission by cost: who gets in, on which rung, and when the next should come again."""

import asyncio
from contextlib import ExitStack

import pytest

from tests.unit.test_cascade import policy
from tests.unit.test_keys import Clock
from ucbd.app.admission import Admission, Pool, weights
from ucbd.app.errors import Overloaded
from ucbd.cascade.boundaries.sampling import sequences

PLAIN = {"all": 1, "no_sampling": 1, "fluency": 1}
SAMPLED = {"all": 3, "no_sampling": 1, "fluency": 1}


@pytest.mark.parametrize(
    ("planned", "early", "held"),
    [
        (0, True, 1),
        (10, False, 6),  # (1 + 10) ÷ 2 rounds = 5.5
        (10, True, 2),  # 3, 2, 2, 2 and 1 after the answer: 11 ÷ 6 = 1.8
        (2, True, 2),  # 3 ÷ 2
        (32, False, 17),
        (64, True, 33),  # too many to foresee, so all are drawn together
    ],
)
def test_a_sampled_request_weighs_the_sequences_that_it_holds_on_average(planned, early, held):
    assert sequences(planned, early=early) == held


def test_the_weight_is_that_of_what_the_policy_and_the_request_allow_on_each_rung():
    sampled = policy(stop_error=0.05)
    assert weights(sampled, 10, explain=False) == {"all": 2, "no_sampling": 1, "fluency": 1}
    assert weights(sampled, 10, explain=True)["all"] == 6
    assert weights(policy(), 10, explain=False)["all"] == 6
    assert weights(sampled, 0, explain=True) == PLAIN
    assert weights(policy(stages=[{"stage": "fluency"}]), 10, explain=True) == PLAIN
    assert weights(sampled, 10, explain=False, further=3) == {
        "all": 5,
        "no_sampling": 4,
        "fluency": 4,
    }


async def test_the_dearest_stages_are_shed_first_and_then_nobody_gets_in():
    """Of a capacity of 16: 3 + 3 at most 8, then one each up to 12, then up to 16."""
    admission = Admission(100, 16)
    with ExitStack() as held:
        rungs = [held.enter_context(admission.hold(SAMPLED)) for _ in range(12)]
        assert rungs == [*["all"] * 2, *["no_sampling"] * 6, *["fluency"] * 4]
        assert admission.load == 1
        with pytest.raises(Overloaded, match="16 of 16 engine sequences are held"):
            held.enter_context(admission.hold(PLAIN))
    assert admission.load == 0


async def test_what_is_held_is_told_when_it_changes_also_after_a_failure():
    told = []
    admission = Admission(8, 16, tell_held=told.append)
    with admission.hold(SAMPLED), pytest.raises(ZeroDivisionError), admission.hold(PLAIN):
        raise ZeroDivisionError
    assert told == [3, 4, 3, 0]


async def test_with_nothing_else_in_flight_there_is_room_for_everything():
    admission = Admission(1, 2)
    with admission.hold({"all": 17, "no_sampling": 1, "fluency": 1}) as rung:
        assert rung == "all"
        with pytest.raises(Overloaded), admission.hold(PLAIN):
            pass


async def test_what_failed_is_given_back_too():
    admission = Admission(1, 8)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.admit(), admission.hold(SAMPLED):
            raise ZeroDivisionError
    assert (admission.in_flight, admission.load) == (0, 0)


def test_when_to_come_again_is_reckoned_from_how_fast_the_last_ones_left():
    """Four a second left of the 12 in use; to get from 12 down to 6 takes 1.5 s."""
    clock = Clock()
    pool = Pool(12, clock)
    with ExitStack() as held:
        for _ in range(11):
            held.enter_context(pool.taken(1))
        assert pool.wait(6) is None  # nobody has left yet
        for _ in range(9):
            with pool.taken(1):
                clock.now += 0.25
        held.enter_context(pool.taken(1))
        assert pool.wait(6) == pytest.approx(1.5)
        clock.now += 2  # nobody left since: 8 in 4 s
        assert pool.wait(6) == pytest.approx(3)
        assert pool.wait(12) == 0
        clock.now += 10_000
        assert pool.wait(6) == 60


def test_time_in_which_nothing_was_asked_does_not_slow_the_reckoned_rate():
    """Each was held for 0.1 s, ten minutes apart: of 8 units taken at once half leave in 0.05 s."""
    clock = Clock()
    pool = Pool(8, clock)
    for _ in range(3):
        with pool.taken(2):
            clock.now += 0.1
        clock.now += 600
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(pool.taken(2))
        assert pool.wait(4) == pytest.approx(0.05)
        clock.now += (
            1  # 4 were given back in 0.4 + 8 unit-seconds; 8 in use give back 3.81 a second
        )
        assert pool.wait(4) == pytest.approx(1.05)


async def test_a_refusal_carries_the_time_and_is_over_once_there_is_room():
    clock = Clock()
    admission = Admission(2, 100, clock)
    with ExitStack() as held:
        for _ in range(3):
            with admission.admit():
                clock.now += 2
        for _ in range(2):
            held.enter_context(admission.admit())
        with pytest.raises(Overloaded, match="2 requests in flight, the limit is 2") as refused:
            held.enter_context(admission.admit())
        assert refused.value.retry_after == 1  # each is held for 2 s, and one of two must leave
    with admission.admit():
        assert admission.in_flight == 1


async def test_a_closed_gateway_takes_in_nobody_and_is_idle_when_the_last_has_left():
    clock = Clock()
    admission = Admission(8, 8, clock)
    await admission.idle()
    with admission.admit():
        admission.close(30)
        clock.now = 10
        with pytest.raises(Overloaded, match="shutting down") as refused, admission.admit():
            pass
        assert refused.value.retry_after == 20
        assert (admission.closed, admission.in_flight) == (True, 1)
    await admission.idle()


async def test_what_is_cut_is_told_so_and_another_cancellation_stays_one():
    admission, cut = Admission(8, 8), Admission(8, 8)

    async def request(admission):
        with admission.admit():
            await asyncio.Event().wait()

    left, ended = asyncio.create_task(request(admission)), asyncio.create_task(request(cut))
    await asyncio.sleep(0)
    left.cancel()
    cut.cut()
    with pytest.raises(Overloaded, match="ended before the answer"):
        await ended
    with pytest.raises(asyncio.CancelledError):
        await left
    assert (admission.in_flight, cut.in_flight) == (0, 0)
