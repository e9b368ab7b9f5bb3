"""Shadow draws: the single-cluster rate of the traffic, not of what the cascade chose to sample.

Before anything is known of a request, and before it is admitted, it is drawn with probability p
(method.md section 7). A drawn one is asked N more times after its reply, off its path, and its
clusters count with weight 1/p. Whatever became of the request itself, its question is asked; a
draw whose question cannot be asked adds its weight to what is lost. Knows no route, no clusterer
and no threshold.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ucbd.app.errors import status_and_code
from ucbd.app.single_cluster_rate.all_samples import AllSamples
from ucbd.app.single_cluster_rate.metrics import Lost, ScrMetrics
from ucbd.cascade.case import Question

_WAITING = 64  # draws between their request's first byte and their clusters: bounds memory
_BUSY = 0.5  # the share of admission's limit above which p falls
_LEAST = 0.1  # what is left of p at that limit, and with a budget that is far overdrawn


@dataclass(slots=True)
class Draw:
    """One request's draw. ``weight`` is 1/p, 0 when it was not drawn.

    ``question`` is set by whoever has understood the request.
    """

    weight: float = 0.0
    question: Question | None = None


class Shadow:
    """Draws requests, and has the drawn ones' questions asked in ``run``.

    ``load`` is the share of admission's limit in flight, 0 … 1: it lowers p, and so do draws that
    wait. Where as many wait as may, p is 0 and the request is counted as uncovered.
    """

    def __init__(
        self,
        *,
        share: float,
        samples: AllSamples,
        metrics: ScrMetrics,
        load: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._budget = Budget(share, samples.planned)
        self._samples = samples
        self._metrics = metrics
        self._load = load
        self._chance = chance
        self._outstanding = 0
        self._waiting: asyncio.Queue[Draw] = asyncio.Queue()
        self._stopped = False

    @property
    def probability(self) -> float:
        """p in force: by the budget, lowered by load and by what waits.

        It depends on nothing of the request itself, as unbiased weights need.
        """
        above = max(0.0, self._load() - _BUSY) / (1 - _BUSY)
        calm = max(_LEAST, 1 - above * (1 - _LEAST))
        return self._budget.probability() * calm * (1 - self._outstanding / _WAITING)

    @contextmanager
    def draw(self) -> Iterator[Draw]:
        """Draw a request, or not, before it is admitted; the context lasts until its reply."""
        p = self.probability
        if p == 0:
            self._metrics.uncovered()
        if self._chance() >= p:
            yield Draw()
            return
        draw = Draw(1 / p)
        self._outstanding += 1
        unknown: Lost = "error"
        try:
            yield draw
        except BaseException as error:
            unknown = lost_by(error)
            raise
        finally:
            if draw.question is None:
                self._lose(draw, unknown)
            elif self._stopped:
                self._lose(draw, "shutdown")
            else:
                self._waiting.put_nowait(draw)

    def generated(self, tokens: int) -> None:
        """Enter what a request generated, all its calls together."""
        self._budget.generated(tokens)

    async def run(self) -> None:
        """Ask the drawn requests' questions, one request at a time, until cancelled."""
        try:
            while True:
                await self._ask(await self._waiting.get())
        finally:
            self._stopped = True
            while not self._waiting.empty():
                self._lose(self._waiting.get_nowait(), "shutdown")

    async def _ask(self, draw: Draw) -> None:
        assert draw.question is not None  # noqa: S101 - only draws with a question wait
        try:
            seen = await self._samples.ask(draw.question)
        except asyncio.CancelledError:
            self._lose(draw, "shutdown")
            raise
        self._budget.spent(seen.tokens)
        self._settle(draw, seen.single)

    def _lose(self, draw: Draw, reason: Lost) -> None:
        self._settle(draw, dict.fromkeys(self._samples.clusterers, reason))

    def _settle(self, draw: Draw, single: Mapping[str, bool | Lost]) -> None:
        self._outstanding -= 1
        for name, one in single.items():
            if isinstance(one, bool):
                self._metrics.observe(name, draw.weight, single=one)
            else:
                self._metrics.lost(name, draw.weight, one)


class Budget:
    """What p may be, so that draws generate no more than a share of the requests' tokens.

    Tokens of a request and of a draw are running means, and what was spent above or below the
    budget so far is made up for.
    """

    _REMEMBERED = 1000  # requests in their running mean
    _DRAWS_REMEMBERED = 10
    _SLACK = 20  # draws by which the spending may be off before p is doubled or nearly stops

    def __init__(self, share: float, samples: int) -> None:
        self._share = share
        self._samples = samples
        self._request = _RunningMean(self._REMEMBERED)
        self._draw = _RunningMean(self._DRAWS_REMEMBERED)
        self._balance = 0.0

    def generated(self, tokens: int) -> None:
        """Enter what a request generated."""
        self._request.add(tokens)
        self._balance += self._share * tokens

    def spent(self, tokens: int) -> None:
        """Enter what a draw generated."""
        self._draw.add(tokens)
        self._balance -= tokens

    def probability(self) -> float:
        """p by the budget alone, 0 … 1."""
        request = self._request.value
        if request is None:
            return min(1.0, self._share / self._samples)
        draw = self._draw.value or self._samples * request
        behind = min(2.0, max(_LEAST, 1 + self._balance / (self._SLACK * draw)))
        return min(1.0, self._share * request / draw * behind)


class _RunningMean:
    """The mean of about the last ``remembered`` values; None before the first."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._n = 0
        self.value: float | None = None

    def add(self, value: float) -> None:
        self._n = min(self._n + 1, self._remembered)
        before = value if self.value is None else self.value
        self.value = before + (value - before) / self._n


def lost_by(error: BaseException) -> Lost:
    """Why a request that ended in that error has no question that could be asked."""
    if not isinstance(error, Exception):
        return "shutdown"
    status, _ = status_and_code(error)
    reasons: dict[int, Lost] = {
        429: "refused",
        499: "client_closed",
        501: "invalid",
        503: "refused",
        504: "deadline",
    }
    return reasons.get(status, "error" if status >= 500 else "invalid")
