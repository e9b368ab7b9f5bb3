"""``kill -9`` of the engine under load: refused at once, said why, up again by itself.

The times that it saw go to the test's output (``pytest -s``), for docs/operations.md.
"""

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.conftest import START_SECONDS, serving
from tests.e2e.test_gateway import metric

pytestmark = pytest.mark.slow


def engine_process(gateway) -> psutil.Process | None:
    for child in psutil.Process(gateway.process.pid).children(recursive=True):
        if "EngineCore" in " ".join(child.cmdline()):
            return child
    return None


@contextmanager
def load(gateway, clients: int = 4):
    """Clients that ask without end; gives the list of (time, status, code, seconds) so far."""
    seen: list[tuple[float, int, str | None, float]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            began = time.monotonic()
            response = gateway.ask(prompt="where was he born", max_tokens=200, samples=0)
            code = None if response.status_code == 200 else response.json()["code"]
            seen.append((time.monotonic(), response.status_code, code, time.monotonic() - began))
            if code:
                assert int(response.headers["retry-after"]) >= 1
                time.sleep(0.5)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def first(holds, seconds: float = 2 * START_SECONDS) -> float:
    """When it first held, on the monotonic clock."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.1)
    return time.monotonic()


def test_an_engine_killed_under_load_is_started_again_by_the_same_gateway(tmp_path):
    with serving(tmp_path / "log", UCBD_DEADLINE_MS="60000") as gateway:
        with load(gateway) as seen:
            first(lambda: sum(status == 200 for _, status, _, _ in seen) > 20)
            old = engine_process(gateway)
            killed = time.monotonic()
            os.kill(old.pid, signal.SIGKILL)
            unready = first(lambda: gateway.get("/readyz").status_code == 503)
            why = gateway.get("/readyz").json()
            assert gateway.get("/healthz").status_code == 200
            ready = first(lambda: gateway.get("/readyz").status_code == 200)
            answered = first(lambda: any(at > ready and s == 200 for at, s, _, _ in seen))
            first(lambda: sum(at > ready and s == 200 for at, s, _, _ in seen) > 20)
        assert engine_process(gateway).pid != old.pid
        assert not psutil.pid_exists(old.pid)
        assert why["code"] == "engine_unavailable"
        assert "engine" in why["detail"]

        # Whatever was under way or came meanwhile was told at once: no 500, no 504, no hang.
        assert {(status, code) for _, status, code, _ in seen} == {
            (200, None),
            (503, "engine_unavailable"),
        }
        down = [row for row in seen if row[1] == 503]
        assert all(killed <= at for at, _, _, _ in down)

        events = {
            labels.split('event="')[1].split('"')[0]: value
            for labels, value in metric(gateway, "ucbd_engine_events_total").items()
        }
        assert events == {"died": 1, "restarted": 1, "restart_failed": 0}
        counted = Counter(200 if status == 200 else code for _, status, code, _ in seen)
        assert sum(metric(gateway, "ucbd_requests_total").values()) == counted[200]
        errors = metric(gateway, "ucbd_errors_total")
        assert sum(errors.values()) == counted["engine_unavailable"]
        text = gateway.log.read_text()
        assert "the engine died" in text
        assert "up again" in text

        print(
            f"\nkill -9 at 0; first 503 to a client {min(at for at, *_ in down) - killed:.2f} s; "
            f"/readyz 503 seen {unready - killed:.2f} s ({why['detail']!r}); ready again "
            f"{ready - killed:.1f} s; next answer {answered - killed:.1f} s; "
            f"{counted[200]} answered, {len(down)} refused in between, the slowest refusal "
            f"{max(seconds for *_, seconds in down):.2f} s"
        )
