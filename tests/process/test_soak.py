"""A soak: faults, aborts and overload mixed. Nothing leaks, and every request is counted once.

Figures: docs/measurements/2026-11-25-faults-and-soak.md. A short one runs in CI.
"""

import asyncio
import json
import re
import signal
import time
from collections import Counter

import numpy as np
import psutil
import pytest
from scipy import stats

from tests.process.conftest import scripted
from tests.process.soak import LEFT, mix, soak
from tests.process.test_drain import in_flight, until
from tests.unit.test_keys import KEY, OTHER, entry, written

KINDS = (
    "answered",
    "internal",
    "engine_unavailable",
    "overloaded",
    "deadline_exceeded",
    "rate_limited",
    "unauthorized",
    "malformed",
    "invalid_request",
    "unknown_policy",
    "prompt_too_long",
    "body_too_large",
)
"""Outcomes that a soak is not one without."""
WARM = 10_000  # requests until every cache and pool has its size; see the measurements


def held(gateway) -> dict[str, int]:
    """Tasks, engine calls, file descriptors and connections of the gateway, when it is at rest."""
    before = len(gateway.log.read_text())
    gateway.process.send_signal(signal.SIGUSR1)
    found = []

    def told() -> bool:
        found[:] = re.findall(r"^\{\"tasks\".*\}$", gateway.log.read_text()[before:], re.MULTILINE)
        return bool(found)

    until(told)
    process = psutil.Process(gateway.process.pid)
    connected = [c for c in process.net_connections() if c.status != psutil.CONN_LISTEN]
    return json.loads(found[0]) | {"files": process.num_fds(), "connections": len(connected)}


def at_rest(gateway) -> dict[str, int]:
    """The same once nothing is under way, no connection is open, and a second changes nothing."""
    found = [held(gateway)]

    def settled() -> bool:
        time.sleep(1)
        found.append(held(gateway))
        return found[-1] == found[-2] and not found[-1]["connections"] and not found[-1]["calls"]

    until(lambda: in_flight(gateway) == 0)
    until(settled)
    return found[-1]


def counted(gateway) -> Counter:
    """Requests by outcome, as the metrics have them."""
    text = gateway.get("/metrics").text
    found: Counter = Counter()
    for line in text.splitlines():
        if line.startswith("ucbd_requests_total{"):
            found["answered"] += int(float(line.rsplit(" ", 1)[1]))
        elif code := re.match(r'ucbd_errors_total\{code="(\w+)".*\} (\S+)', line):
            found[code[1]] += int(float(code[2]))
    return found


def late(text: str) -> dict[str, float]:
    """How often the event loop was looked at, and the share of looks by how late they came."""
    name = r'ucbd_event_loop_lag_seconds_bucket\{le="(\S+)",.*\} (\S+)'
    buckets = {le: float(count) for le, count in re.findall(name, text)}
    looks = buckets["+Inf"]
    shares = {f"<= {le}": round(buckets[le] / looks, 4) for le in ("0.005", "0.025", "0.25")}
    return {"looks": looks, **shares}


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1500, marks=pytest.mark.slow),
        pytest.param(24_000, marks=pytest.mark.verify),
    ],
)
def test_under_faults_aborts_and_overload_nothing_leaks_and_all_are_counted_once(tmp_path, count):
    keys = written(tmp_path, entry("a"), entry("limited", OTHER, requests_per_minute=1))
    settings = {"capacity": 40, "max_in_flight": 64, "max_body_bytes": 4096, "keys": keys}
    with scripted(tmp_path / "log", log_format="json", **settings) as gateway:
        asyncio.run(soak(gateway.url, mix(0, 60, key=KEY, limited=OTHER), memory=lambda: 0))
        rest, start = at_rest(gateway), counted(gateway)
        process = psutil.Process(gateway.process.pid)
        began = time.monotonic()
        asks = mix(1, count, key=KEY, limited=OTHER)
        seen = asyncio.run(soak(gateway.url, asks, memory=lambda: process.memory_info().rss))
        seconds = time.monotonic() - began
        until(lambda: in_flight(gateway) == 0)
        until(lambda: held(gateway) == rest)
        until(lambda: (counted(gateway) - start).total() >= count)
        total = counted(gateway) - start
        text = gateway.get("/metrics").text

    left = seen.outcomes.pop(LEFT)
    assert total.total() == count  # each in exactly one counter
    over = {code: total[code] - seen.outcomes[code] for code in total | seen.outcomes}
    assert min(over.values()) >= 0  # what a client saw is what was counted
    assert sum(over.values()) == left  # and the rest are those that left
    assert 0 < over["client_closed"] <= left
    for code in KINDS:
        assert seen.outcomes[code] > 0, code
    assert seen.degraded > 0
    assert not re.search(r'ucbd_engine_events_total\{event="restart_failed".*\} [1-9]', text)

    lag = late(text)
    assert lag["looks"] > 0  # the event loop is watched all the while

    report = {
        "requests": count,
        "event_loop_lag": lag,
        "seconds": round(seconds),
        "seen": dict(sorted(seen.outcomes.items())) | {LEFT: left},
        "counted": dict(sorted(total.items())),
        "degraded": seen.degraded,
        "held": rest,
    }
    warm = [(asked, rss) for asked, rss in seen.memory if asked > WARM]
    if len(warm) > 10:
        asked, rss = np.array(warm, dtype=float).T
        fit = stats.linregress(asked / 1000, rss / 2**20)
        half = fit.stderr * stats.t.ppf(0.975, len(warm) - 2)
        report["mib_per_1000_requests"] = [round(fit.slope, 4), round(half, 4)]
        report["mib"] = [round(rss.min() / 2**20, 1), round(rss.max() / 2**20, 1)]
    print("\n" + json.dumps(report))
    if len(warm) > 10:
        # MiB in 1,000 requests: a hundred bytes kept of each are 0.1.
        assert fit.slope - half < 0.1, report
