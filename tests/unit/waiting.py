"""What the unit tests share."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition that another task brings about; fails rather than hang for ever."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the scripted engine has no event to wait for
            await asyncio.sleep(0.001)
