"""Coalescing: what arrives during a call goes together in the next, and no waiter harms another."""

import asyncio

import pytest

from ucbd.models.coalesce import Coalescer


class Recorder:
    """A slow call that doubles its items and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, items):
        self.batches.append(list(items))
        await self.gate.wait()
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * item for item in items]


async def waiting_on(call, *items):
    """Tasks for the items, each given the time to get into the queue."""
    tasks = []
    for item in items:
        tasks.append(asyncio.create_task(call(item)))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_items_that_arrive_during_a_call_go_together_in_the_next():
    recorder = Recorder()
    tasks = await waiting_on(Coalescer(recorder), 1, 2, 3)
    recorder.gate.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    assert recorder.batches == [[1], [2, 3]]


async def test_a_lone_item_waits_for_nothing():
    recorder = Recorder()
    recorder.gate.set()
    call = Coalescer(recorder)
    assert await call(4) == 8
    assert await call(5) == 10
    assert recorder.batches == [[4], [5]]


async def test_a_call_never_has_more_items_than_its_bound():
    recorder = Recorder()
    tasks = await waiting_on(Coalescer(recorder, max_items=2), 1, 2, 3, 4)
    recorder.gate.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert recorder.batches == [[1], [2, 3], [4]]


async def test_an_error_reaches_every_waiter_of_its_call_and_no_other():
    recorder = Recorder()
    tasks = await waiting_on(Coalescer(recorder, max_items=2), 1, 13, 2, 3)
    recorder.gate.set()
    async with asyncio.timeout(60):  # one who is told nothing would wait for ever
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == 2
    assert [type(result) for result in results[1:3]] == [ValueError, ValueError]
    assert results[3] == 6


async def test_a_cancelled_waiter_harms_no_other_and_is_not_asked_for():
    recorder = Recorder()
    tasks = await waiting_on(Coalescer(recorder), 1, 2, 3)
    tasks[1].cancel()
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await tasks[0] == 2
    assert await tasks[2] == 6
    assert recorder.batches == [[1], [3]]
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]


async def test_too_few_results_are_an_error_not_a_hang():
    async def forgetful(items):
        return []

    with pytest.raises(ValueError, match="zip"):
        await Coalescer(forgetful)(1)
