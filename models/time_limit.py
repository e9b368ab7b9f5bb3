"""A time limit on what is awaited, as ``asyncio.timeout`` sets one, in less than half its time.

A request has half a dozen of them. Knows tasks, and nothing of what they wait for.
"""

import asyncio
from types import TracebackType


class TimeLimit:
    """Within it, what is awaited is cancelled after ``seconds``; it then raises ``TimeoutError``.

    None is no limit but ``end``. A cancellation that comes from elsewhere stays one.
    """

    __slots__ = ("_cancelling", "_seconds", "_task", "_timer", "expired")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False

    def __enter__(self) -> "TimeLimit":
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._task, self._cancelling = task, task.cancelling()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        ours = self.expired and self._task.uncancel() <= self._cancelling
        if ours and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """The time is over now."""
        if not self.expired:
            self.expired = True
            self._task.cancel()
