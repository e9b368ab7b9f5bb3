"""A time limit ends what takes too long, and nothing else: as ``asyncio.timeout`` does."""

import asyncio

import pytest

from ucbd.models.time_limit import TimeLimit


async def long(limit: TimeLimit) -> None:
    with limit:
        await asyncio.sleep(60)


def cancellations() -> int:
    """How many are asked of the running task."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_what_takes_too_long_is_cancelled_and_a_timeout():
    limit = TimeLimit(0.01)
    with pytest.raises(TimeoutError) as raised:
        await long(limit)
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert limit.expired
    assert cancellations() == 0  # the task goes on


async def test_what_is_over_in_time_is_left_alone():
    with TimeLimit(60) as limit:
        await asyncio.sleep(0)
    assert not limit.expired


async def test_an_error_in_time_is_that_error():
    with pytest.raises(ZeroDivisionError), TimeLimit(60):
        raise ZeroDivisionError


async def test_no_seconds_are_no_limit_until_somebody_ends_it():
    limit = TimeLimit(None)
    for _ in range(2):  # twice is once
        asyncio.get_running_loop().call_soon(limit.end)
    with pytest.raises(TimeoutError):
        await long(limit)
    assert cancellations() == 0


@pytest.mark.parametrize("over", [False, True], ids=["in time", "as the time is over"])
async def test_a_cancellation_from_elsewhere_stays_one(over):
    limit = TimeLimit(None)
    task = asyncio.create_task(long(limit))
    await asyncio.sleep(0)
    if over:
        limit.end()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_outer_of_two_limits_is_the_one_that_ends():
    outer, inner = TimeLimit(0.01), TimeLimit(60)
    with pytest.raises(TimeoutError), outer:
        await long(inner)
    assert (outer.expired, inner.expired) == (True, False)
