"""Limits per caller: requests and tokens per minute, as buckets that fill steadily.

Knows numbers and the clock; no key, no request.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

_MINUTE = 60.0


class Bucket:
    """Holds at most ``per_minute``, fills at that rate; may be overdrawn, and fills that first."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = per_minute
        self._clock = clock
        self._level = float(per_minute)
        self._at = clock()

    def level(self) -> float:
        """What it holds now; below 0 when overdrawn."""
        now = self._clock()
        gained = (now - self._at) * self.limit / _MINUTE
        self._level, self._at = min(float(self.limit), self._level + gained), now
        return self._level

    def take(self, amount: float) -> None:
        """Take that much, whether it is there or not."""
        self._level = self.level() - amount

    def wait(self, amount: float) -> float:
        """Seconds until it holds that much; 0 when it does."""
        return max(0.0, amount - self.level()) * _MINUTE / self.limit


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Which limit a caller is at, and the seconds until it lets the next request through."""

    what: str
    limit: int
    retry_after: float


class Allowance:
    """What one caller may still do. A request is taken when it comes, tokens when they are known.

    Since nobody knows beforehand how many tokens an answer will have, a request is let in as long
    as one token is left, and what is under way may overdraw; no other is let in until that is
    filled.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = (requests_per_minute, tokens_per_minute)
        limits = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._buckets = {what: Bucket(n, clock) for what, n in limits.items() if n is not None}

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self._buckets)

    def ask(self) -> Exceeded | None:
        """Take one request, or say which limit is in its way, the one longest to clear."""
        waits = [
            Exceeded(what, bucket.limit, wait)
            for what, bucket in self._buckets.items()
            if (wait := bucket.wait(1)) > 0
        ]
        if waits:
            return max(waits, key=lambda exceeded: exceeded.retry_after)
        if "requests" in self._buckets:
            self._buckets["requests"].take(1)
        return None

    def spend(self, tokens: int) -> None:
        """Take tokens that were read or generated."""
        if "tokens" in self._buckets:
            self._buckets["tokens"].take(tokens)

    def headers(self) -> dict[str, str]:
        """``x-ratelimit-*`` as OpenAI's API sends them; ``reset`` is when the bucket is full."""
        found = {}
        for what, bucket in self._buckets.items():
            found[f"x-ratelimit-limit-{what}"] = str(bucket.limit)
            found[f"x-ratelimit-remaining-{what}"] = str(max(0, int(bucket.level())))
            found[f"x-ratelimit-reset-{what}"] = f"{bucket.wait(bucket.limit):.3f}s"
        return found
