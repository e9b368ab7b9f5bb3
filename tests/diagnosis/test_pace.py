"""A busy server is obeyed, a failing one is given time, and both only so often. No real waiting."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ucbd.cascade.diagnosis.pace import Pace
from ucbd.models.errors import GatewayError, UpstreamBusy, UpstreamFailed, UpstreamUnreachable


class Waits:
    """Instead of sleeping: how long it would have been. Its clock goes on by as much."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.now = 1000.0

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        end = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, end)

    def clock(self) -> float:
        return self.now


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
    pace = Pace(1, waits, waits.clock)
    assert await pace(call) == "answer"
    assert (waits.seconds, call.made, pace.waited) == ([7.0], 2, 7.0)
    assert pace.events == {"busy": 1}


async def test_every_call_waits_for_what_one_was_told():
    """The second call is made only when the pause of the first is over."""
    waits, made = Waits(), asyncio.Event()
    began: list[float] = []

    async def busy() -> str:
        if made.is_set():
            return "answer"
        made.set()
        raise UpstreamBusy("busy", 1.0)

    async def other() -> str:
        began.append(waits.now)
        return "answer"

    pace = Pace(2, waits, waits.clock)
    first = asyncio.create_task(pace(busy))
    await made.wait()
    await asyncio.gather(first, pace(other))
    assert began == [1001.0]


@pytest.mark.parametrize("told", [(1.0, 6.0), (6.0, 1.0)], ids=["shorter first", "longer first"])
async def test_a_pause_lasts_until_the_later_of_the_times_that_were_told(told: tuple[float, float]):
    """Two calls are under way when the server becomes busy; each is told a time of its own."""
    waits, both = Waits(), asyncio.Barrier(2)
    began: dict[str, list[float]] = {"first": [], "second": []}

    def call(name: str, seconds: float) -> Callable[[], Awaitable[str]]:
        async def made() -> str:
            began[name].append(waits.now)
            if len(began[name]) > 1:
                return name
            await both.wait()
            raise UpstreamBusy("busy", seconds)

        return made

    pace = Pace(2, waits, waits.clock)
    await asyncio.gather(pace(call("first", told[0])), pace(call("second", told[1])))
    assert began == {"first": [1000.0, 1006.0], "second": [1000.0, 1006.0]}
    assert pace.waited == 6.0


async def test_without_a_time_each_wait_is_twice_the_last_and_eight_tries_are_all():
    waits, call = Waits(), Calls(*[UpstreamUnreachable("gone")] * 9)
    with pytest.raises(UpstreamUnreachable):
        await Pace(1, waits, waits.clock)(call)
    assert call.made == 8
    assert waits.seconds == [1, 2, 4, 8, 16, 32, 60]


@pytest.mark.parametrize(
    "error",
    [UpstreamBusy("come in two hours", 7200.0), UpstreamFailed("nonsense", began=True)],
    ids=["too long a wait", "no second try helps"],
)
async def test_what_waiting_does_not_mend_is_raised_at_once(error: GatewayError):
    waits, call = Waits(), Calls(error)
    with pytest.raises(type(error)):
        await Pace(1, waits, waits.clock)(call)
    assert (call.made, waits.seconds) == (1, [])


async def test_how_long_a_server_wants_to_be_left_alone_is_told():
    with pytest.raises(UpstreamBusy, match=r"no more today; come again in 7,200 s") as raised:
        await Pace(1)(Calls(UpstreamBusy("no more today", 7200.0)))
    assert raised.value.retry_after == 7200.0


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
