"""Two ways to press: an open loop, which sends when requests are due, and a closed one, which
sends when one has been answered.

An open loop shows what users see, who do not wait for each other; a closed one shows how much can
be done.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator

from loadtest.client import CLIENT_FULL, Client, Seen
from loadtest.mix import Ask

MOST_OPEN = 900
"""Requests open at a time: select, below, takes descriptors up to 1,023."""

Tell = Callable[[Seen], None]


def exact_loop() -> asyncio.AbstractEventLoop:
    """An event loop that wakes at the microsecond: epoll and uvloop round waits up to the next
    millisecond, which is what a fast gateway's whole answer takes."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def open_loop(
    client: Client, asks: Iterator[Ask], times: Iterator[float], tell: Tell, most: int = MOST_OPEN
) -> None:
    """Send each request when it is due, whatever became of the others; then wait for the rest.

    A request that is due while ``most`` are open is not sent, and told as that: never delayed.
    """
    running: set[asyncio.Task[None]] = set()

    async def one(ask: Ask, due: float) -> None:
        tell(await client.ask(ask, due))

    for due, ask in zip(times, asks, strict=False):
        wait = due - client.now()
        # Also when late: what has been answered meanwhile must be seen before more is sent.
        await asyncio.sleep(max(0.0, wait))
        if len(running) >= most:
            now = client.now()
            tell(Seen(ask.kind, due, now, now, CLIENT_FULL))
            continue
        task = asyncio.create_task(one(ask, due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def closed_loop(
    client: Client,
    asks: Iterator[Ask],
    tell: Tell,
    *,
    concurrency: int,
    seconds: float = float("inf"),
    requests: int | None = None,
) -> None:
    """``concurrency`` at a time, the next when one is done, for so long or so many.

    A request is due when it is sent: nobody else wanted it to be.
    """
    left = iter(range(requests)) if requests is not None else None

    async def one_after_another() -> None:
        while client.now() < seconds and (left is None or next(left, None) is not None):
            tell(await client.ask(next(asks), client.now()))

    await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
