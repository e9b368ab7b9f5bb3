"""An engine that dies comes back: how often, how soon, and what is said meanwhile."""

import asyncio

import pytest

from tests.unit.waiting import until
from ucbd.app.service import build_service
from ucbd.app.settings import Settings
from ucbd.models.errors import EngineStartFailed, EngineUnavailable
from ucbd.models.generation import EncodedPrompt, GenerationOptions
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import RestartPlan, SupervisedEngine

AT_ONCE = RestartPlan(attempts=3, pause=0, look=0.001)


class Starts:
    """Starts of an engine in turn: a scripted one each, or the error that stands there."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.engines: list[ScriptedEngine] = []

    async def __call__(self) -> ScriptedEngine:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        self.engines.append(ScriptedEngine(Script(str(len(self.engines)))))
        return self.engines[-1]


async def supervised(starts, plan=AT_ONCE):
    engine, told = SupervisedEngine(starts, plan), []
    await engine.start()
    return engine, told, asyncio.create_task(engine.supervise(told.append))


async def say(engine) -> str:
    answer = await engine.generate(
        await engine.encode("x"), GenerationOptions(max_tokens=1), entropies=True
    )
    return answer.text


async def test_a_dead_engine_is_replaced_and_asked_no_more():
    starts = Starts()
    engine, told, watch = await supervised(starts)
    assert await say(engine) == "0"
    starts.engines[0].dead = True
    await until(lambda: told == ["died", "restarted"])
    assert await say(engine) == "1"
    assert await engine.alive()
    watch.cancel()


async def test_a_start_that_fails_is_tried_again():
    failed = EngineStartFailed("no memory")
    starts = Starts(None, failed, failed)
    engine, told, watch = await supervised(starts)
    starts.engines[0].dead = True
    await until(lambda: told[-1:] == ["restarted"])
    assert told == ["died", "restart_failed", "restart_failed", "restarted"]
    assert await say(engine) == "1"
    watch.cancel()


async def test_no_more_attempts_than_the_plan_allows():
    """However they fail: three starts that failed, or three engines that died."""
    failed = EngineStartFailed("no memory")
    starts = Starts(None, failed, failed, failed)
    engine, told, watch = await supervised(starts)
    starts.engines[0].dead = True
    with pytest.raises(EngineStartFailed, match="started 3 times within 600 s"):
        await watch
    assert told == ["died", *["restart_failed"] * 3]
    assert not await engine.alive()
    assert str(engine.unavailable()) == "the engine did not start: no memory"

    starts = Starts()
    engine, told, watch = await supervised(starts)
    for n in range(4):
        await until(lambda n=n: len(starts.engines) == n + 1)
        starts.engines[n].dead = True
    with pytest.raises(EngineStartFailed, match="given up"):
        await watch
    assert told == [*["died", "restarted"] * 3, "died"]


async def test_attempts_of_long_ago_do_not_count():
    starts, now = Starts(), [0.0]
    engine = SupervisedEngine(starts, AT_ONCE, clock=lambda: now[0])
    await engine.start()
    watch = asyncio.create_task(engine.supervise())
    for n in range(6):
        await until(lambda n=n: len(starts.engines) == n + 1)
        starts.engines[n].dead = True
        now[0] += 400  # two of them within 600 s at a time
    await until(lambda: len(starts.engines) == 7)
    watch.cancel()


def test_pauses_double_up_to_the_longest():
    plan = RestartPlan(pause=1, longest_pause=6)
    assert [plan.wait(n) for n in range(5)] == [1, 2, 4, 6, 6]


async def test_while_it_is_down_the_reason_and_the_time_it_takes_are_said():
    """The first start took 20 s and the pause before the second is 8 s: 28 s from the death."""
    now, starts = [0.0], Starts()

    async def start():
        if starts.engines:
            await asyncio.Event().wait()
        now[0] += 20
        return await starts()

    plan = RestartPlan(pause=8, look=0.001)
    engine = SupervisedEngine(start, plan, clock=lambda: now[0])
    await engine.start()
    starts.engines[0].dead = True
    with pytest.raises(EngineUnavailable) as caught:
        await say(engine)
    assert caught.value.retry_after == 28
    watch = asyncio.create_task(engine.supervise())
    await until(lambda: not engine.unavailable().args[0].startswith("the engine produces"))
    await until(lambda: "begins after 8 s" in str(engine.unavailable()))
    now[0] += 5
    assert engine.unavailable().retry_after == 23
    now[0] += 60
    assert engine.unavailable().retry_after == 1
    assert not await engine.alive()
    watch.cancel()


async def test_what_is_under_way_when_the_engine_dies_is_told_so():
    class Dying(ScriptedEngine):
        async def generate(self, *asked, **how):
            self.dead = True
            raise EngineUnavailable("the engine is dead")

    async def start():
        return Dying()

    engine = SupervisedEngine(start, AT_ONCE)
    await engine.start()
    with pytest.raises(EngineUnavailable, match="the engine is dead") as caught:
        await engine.generate(EncodedPrompt((0,)), GenerationOptions(1), entropies=True)
    assert caught.value.retry_after is not None


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([RuntimeError("a bug in the start")], "a bug in the start"),
        ([EngineStartFailed("no memory")] * 3, "given up"),
    ],
    ids=["bug", "given up"],
)
async def test_whatever_ends_the_supervision_is_told_so_that_the_process_can_end(faults, told):
    """Never a gateway that is up for good and has no engine."""
    starts, failures = Starts(None, *faults), []
    settings = Settings(clusterer="jaccard", served_name="scripted", shadow=0)
    service = build_service(settings, SupervisedEngine(starts, AT_ONCE))
    running = asyncio.create_task(service.run(failures.append))
    await until(lambda: bool(starts.engines))
    starts.engines[0].dead = True
    await until(lambda: bool(failures))
    assert len(failures) == 1
    assert told in str(failures[0])
    running.cancel()
