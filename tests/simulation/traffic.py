"""Traffic whose single-cluster rate is known, through the whole gateway, in virtual time.

What makes the rate hard to measure is all in it: the cascade samples the uncertain questions only;
at night it is calm, by day as many requests are in flight as may be, p falls, and the questions are
others; some answers come after their deadline, by day more of them.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.virtual_time import run
from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.cascade.homogenization import Draws, SingleClusterRate
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine

PLACES = 40
"""Requests in flight at most."""
ANSWER_SECONDS, LATE_SECONDS, DEADLINE_SECONDS = 0.5, 90.0, 10.0
SAME, OTHER = ("yes it is",), ("yes it is", "no never", "who can tell")


@dataclass(frozen=True)
class Phase:
    """A stretch of traffic: requests in flight, the share with one cluster, that of timeouts."""

    in_flight: int
    single: float
    late: float


def day_and_night(rate: float) -> tuple[Phase, Phase]:
    """Two phases of equally many requests whose mean is ``rate``, 1.6 to 0.4."""
    return Phase(4, 0.4 * rate, 0.002), Phase(PLACES - 4, 1.6 * rate, 0.02)


@dataclass(frozen=True)
class Measured:
    """What one run's counters say: of the shadow draws, and of what the cascade sampled itself."""

    ours: SingleClusterRate
    cascade_single: float
    cascade_all: float
    answered: float
    timeouts: float

    @property
    def naive(self) -> float:
        """The share of one cluster among the requests that the cascade sampled to the end."""
        return self.cascade_single / self.cascade_all


def measure(rate: float, *, windows: int, requests: int, share: float, seed: int) -> list[Measured]:
    """Each window of ``requests``, one day and one night, from one gateway's own /metrics."""
    return run(_measured(rate, windows, requests, share, random.Random(seed)))


async def _measured(
    rate: float, windows: int, requests: int, share: float, chance: random.Random
) -> list[Measured]:
    engine = ScriptedEngine(_says)

    async def start() -> ScriptedEngine:
        return engine

    settings = Settings(
        model="another/model",
        served_name="simulated",
        clusterer="jaccard",
        policy=str(Path(__file__).with_name("selective.json")),
        shadow=share,
        shadow_clusterers=("jaccard",),
        max_in_flight=PLACES,
    )
    app = create_app(settings, SupervisedEngine(start))
    random.seed(chance.random())  # the gateway's own draws
    found = []
    async with app.router.lifespan_context(app):
        while b"ready" not in await _call(app, "GET", "/readyz", b""):
            await asyncio.to_thread(time.sleep, 0.01)  # models are loaded in real time
        before = Counters(await _get(app, "/metrics"))
        for _ in range(windows):
            for phase in day_and_night(rate):
                questions = _questions(phase, requests // 2, chance)
                await asyncio.gather(*(_client(app, questions) for _ in range(phase.in_flight)))
            await asyncio.sleep(30)  # the draws that still wait
            engine.calls.clear()
            after = Counters(await _get(app, "/metrics"))
            found.append(_between(before, after))
            before = after
    return found


def _questions(phase: Phase, n: int, chance: random.Random) -> Iterator[str]:
    for number in range(n):
        single, late = chance.random() < phase.single, chance.random() < phase.late
        # What is single is answered with less entropy, which is all that the cascade sees first.
        sure = chance.random() < (0.7 if single else 0.3)
        yield f"{'single' if single else 'several'} {'late' if late else 'soon'} {sure} {number}"


def _says(question: str) -> Script:
    single, late, sure, _ = question.split()
    return Script(
        "yes it is",
        entropies=(0.01,) if sure == "True" else (0.3,),
        samples=SAME if single == "single" else OTHER,
        delay=LATE_SECONDS if late == "late" else ANSWER_SECONDS,
        sample_delay=0.01,
    )


async def _client(app: object, questions: Iterator[str]) -> None:
    """Asks one question after another, as long as there are any."""
    for question in questions:
        body = {"prompt": question, "deadline_ms": int(DEADLINE_SECONDS * 1000)}
        await _call(app, "POST", "/generate", json.dumps(body).encode())


async def _get(app: object, path: str) -> str:
    return (await _call(app, "GET", path, b"")).decode()


async def _call(app, method: str, path: str, body: bytes) -> bytes:
    """One request through ASGI; the client stays until it has its answer."""
    asked, got = False, bytearray()

    async def receive() -> dict[str, object]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict) -> None:
        got.extend(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("gateway", 80),
        "client": ("client", 1),
    }
    await app(scope, receive, send)
    return bytes(got)


class Counters:
    """A gateway's counters at one time, by the text of /metrics."""

    def __init__(self, text: str) -> None:
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("ucbd_"))
        self._values = {series: float(value) for series, value in lines}

    def total(self, name: str, *labels: str) -> float:
        """The sum over the series of that name that carry all these labels."""
        return sum(
            value
            for series, value in self._values.items()
            if series.split("{")[0] == name and all(label in series for label in labels)
        )


def _between(before: Counters, after: Counters) -> Measured:
    def increase(name: str, *labels: str) -> float:
        return after.total(name, *labels) - before.total(name, *labels)

    jaccard = 'clusterer="jaccard"'
    sums = ("weight", "single_weight", "weight_squared", "single_weight_squared", "lost_weight")
    draws = Draws(*(increase(f"ucbd_scr_{name}_total", jaccard) for name in sums))
    return Measured(
        ours=SingleClusterRate(draws),
        cascade_single=increase("ucbd_cluster_count_bucket", jaccard, 'le="1.0"'),
        cascade_all=increase("ucbd_cluster_count_count", jaccard),
        answered=increase("ucbd_requests_total"),
        timeouts=increase("ucbd_errors_total", "deadline_exceeded"),
    )
