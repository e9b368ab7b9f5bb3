"""The gateway's own numbers: ``/metrics`` read before and after, and the difference.

Knows Prometheus' text format; which series mean what is ``crosscheck``'s.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Samples = Mapping[tuple[str, Labels], float]


class ScrapeFailed(RuntimeError):
    """``/metrics`` that could not be read: which, and why."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations between two scrapes; ``buckets`` are (upper edge, count up to it), ascending."""

    count: float
    sum: float
    buckets: tuple[tuple[float, float], ...]

    @property
    def mean(self) -> float | None:
        return self.sum / self.count if self.count else None

    def bounds(self, rank: float) -> tuple[float, float] | None:
        """Edges of the bucket that holds the value at that rank (0 … 100], by nearest rank."""
        if not self.count:
            return None
        place, lower = math.ceil(rank / 100 * self.count), 0.0
        for upper, up_to in self.buckets:
            if up_to >= place:
                return lower, upper
            lower = upper
        return lower, math.inf


@dataclass(frozen=True)
class Metrics:
    """Values of series, or what was added to them between two scrapes."""

    samples: Samples

    def total(self, name: str, **labels: str) -> float:
        """Sum over the series of that name that have these labels."""
        wanted = frozenset(labels.items())
        return sum(v for (n, have), v in self.samples.items() if n == name and wanted <= have)

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums of a name for each value of a label, without those that are 0."""
        found: dict[str, float] = {}
        for (n, have), value in self.samples.items():
            if n == name and value:
                key = dict(have).get(label, "")
                found[key] = found.get(key, 0.0) + value
        return found

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram of that name, over the series that have these labels."""
        wanted = frozenset(labels.items())
        edges: dict[float, float] = {}
        for (n, have), value in self.samples.items():
            if n == f"{name}_bucket" and wanted <= have:
                edge = float(dict(have)["le"])
                edges[edge] = edges.get(edge, 0.0) + value
        count, total = self.total(f"{name}_count", **labels), self.total(f"{name}_sum", **labels)
        return Histogram(count, total, tuple(sorted(edges.items())))

    def since(self, before: "Metrics") -> "Metrics":
        """What was added after ``before``."""
        return Metrics({key: v - before.samples.get(key, 0.0) for key, v in self.samples.items()})


def read(text: str) -> Metrics:
    """One scrape, from its text."""
    families = text_string_to_metric_families(text)
    return Metrics(
        {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}
    )


async def scrape(session: aiohttp.ClientSession, urls: list[str]) -> Metrics:
    """All gateways' ``/metrics``, added up. Raises ``ScrapeFailed``."""
    total: dict[tuple[str, Labels], float] = {}
    for url in urls:
        where = f"{url.rstrip('/')}/metrics"
        try:
            async with session.get(where, timeout=aiohttp.ClientTimeout(total=30)) as response:
                if response.status != 200:
                    raise ScrapeFailed(f"{where}: HTTP {response.status}")
                found = read(await response.text())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ScrapeFailed(f"{where}: {error or type(error).__name__}") from error
        for key, value in found.samples.items():
            total[key] = total.get(key, 0.0) + value
    return Metrics(total)
