"""The heap of a process that has come up: what lives then lives on, and is not looked at again.

Python's full collection walks every object, half a second of them where torch and vLLM are loaded,
and nothing else runs meanwhile: every request under way would wait. Changes the whole process, so
only what owns one asks for it.
"""

import gc
from collections.abc import Awaitable, Callable

from ucbd.models.engine import Engine

_YOUNG = 2_000  # allocations between two looks at what is young, of a millisecond each


def settled(start: Callable[[], Awaitable[Engine]]) -> Callable[[], Awaitable[Engine]]:
    """Brings up an engine as ``start`` does, and settles the heap once it is up."""

    async def started() -> Engine:
        engine = await start()
        settle()
        return engine

    return started


def settle() -> None:
    """Collect once, then leave what is alive out of all later collections.

    What was left out before is looked at first: an engine that died is freed.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
