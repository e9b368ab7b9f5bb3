"""How late the event loop is: what holds it holds all requests up. Knows no clock."""

from prometheus_client import CollectorRegistry, Histogram

EVERY_SECONDS = 0.1
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class LoopLag:
    """``ucbd_event_loop_lag_seconds``: how late a timer of the event loop rings.

    Nothing of the gateway's own should hold the loop longer than 5 ms.
    """

    def __init__(self, registry: CollectorRegistry, model: str) -> None:
        self._last: float | None = None
        self._seconds = Histogram(
            "ucbd_event_loop_lag_seconds",
            "How late a timer of the event loop rings; one look in 0.1 s.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        ).labels(model)

    def look(self, now: float) -> None:
        """Called every ``EVERY_SECONDS`` by a timer, with the time in seconds."""
        if self._last is not None:
            self._seconds.observe(max(0.0, now - self._last - EVERY_SECONDS))
        self._last = now
