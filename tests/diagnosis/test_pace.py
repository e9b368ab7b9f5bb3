"""A busy server is obeyed, a failing one is given time, and both only so often. No real waiting."""

import asyncio

import pytest

from ucbd.cascade.diagnosis.pace import Pace
from ucbd.models.errors import GatewayError, UpstreamBusy, UpstreamFailed, UpstreamUnreachable


class Waits:
    """Instead of sleeping: how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Calls:
    """Raises its errors in turn, then answers."""

    def __init__(self, *errors: GatewayError) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_what_a_busy_server_asks_for_is_waited():
    waits, call = Waits(), Calls(UpstreamBusy("busy", 7.0))
    pace = Pace(1, waits)
    assert await pace(call) == "answer"
    assert (waits.seconds, call.made, pace.waited) == ([7.0], 2, 7.0)
    assert pace.events == {"busy": 1}


async def test_every_call_waits_for_what_one_was_told():
    """The second call is made only when the pause of the first is over."""
    order: list[str] = []
    paused = asyncio.Event()

    async def sleep(seconds: float) -> None:
        order.append("pause begins")
        paused.set()
        await asyncio.sleep(0.05)
        order.append("pause ends")

    async def other() -> str:
        order.append("other call")
        return "answer"

    pace = Pace(2, sleep)
    first = asyncio.create_task(pace(Calls(UpstreamBusy("busy", 1.0))))
    await paused.wait()
    await asyncio.gather(first, pace(other))
    assert order == ["pause begins", "pause ends", "other call"]


async def test_without_a_time_each_wait_is_twice_the_last_and_eight_tries_are_all():
    waits, call = Waits(), Calls(*[UpstreamUnreachable("gone")] * 9)
    with pytest.raises(UpstreamUnreachable):
        await Pace(1, waits)(call)
    assert call.made == 8
    assert waits.seconds == [1, 2, 4, 8, 16, 32, 60]


@pytest.mark.parametrize(
    "error",
    [UpstreamBusy("come in an hour", 3600.0), UpstreamFailed("nonsense", began=True)],
    ids=["too long a wait", "no second try helps"],
)
async def test_what_waiting_does_not_mend_is_raised_at_once(error: GatewayError):
    waits, call = Waits(), Calls(error)
    with pytest.raises(type(error)):
        await Pace(1, waits)(call)
    assert (call.made, waits.seconds) == (1, [])


async def test_no_more_calls_at_once_than_allowed():
    running = most = 0

    async def call() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return "answer"

    pace = Pace(3)
    await asyncio.gather(*(pace(call) for _ in range(20)))
    assert most == 3
