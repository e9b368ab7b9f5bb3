"""SIGTERM on a real process: unready at once, nothing accepted is lost, and it ends in time."""

import signal
import threading
import time

import httpx
import pytest

from tests.process.conftest import scripted

pytestmark = pytest.mark.slow


class Asked(threading.Thread):
    """A request under way."""

    def __init__(self, gateway, prompt: str, **wanted: object) -> None:
        super().__init__()
        self._gateway, self._wanted = gateway, {"prompt": prompt, "samples": 0} | wanted
        self.response: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        try:
            self.response = self._gateway.ask(**self._wanted)
        except httpx.TransportError:
            self.response = None

    def answered(self) -> httpx.Response | None:
        self.join(timeout=300)
        return self.response


def in_flight(gateway) -> int:
    text = gateway.get("/metrics").text
    return int(float(text.split("\nucbd_in_flight{")[1].split("} ")[1].split("\n")[0]))


def until(holds, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.01)


def test_what_is_under_way_is_finished_and_nothing_new_is_taken_in(tmp_path):
    with scripted(tmp_path / "log", drain_seconds=3600) as gateway:
        under_way = [Asked(gateway, "until=released where") for _ in range(3)]
        under_way += [Asked(gateway, "until=released where", stream=True) for _ in range(2)]
        until(lambda: in_flight(gateway) == 5)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: gateway.get("/readyz").status_code == 503)
        unready, refused = gateway.get("/readyz"), gateway.ask(prompt="where")
        assert "shutting down" in unready.json()["detail"]
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        assert gateway.get("/healthz").status_code == 200
        gateway.process.send_signal(signal.SIGUSR2)
        answers = [asked.answered() for asked in under_way]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert ["event: result" in answer.text for answer in answers] == [False] * 3 + [True] * 2
        assert gateway.process.wait(timeout=300) == 0
        assert "were not finished" not in gateway.log.read_text()


def test_with_nothing_under_way_it_ends_without_waiting(tmp_path):
    with scripted(tmp_path / "log", drain_seconds=3600) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=300) == 0


def test_it_stays_up_and_unready_for_as_long_as_a_balancer_needs_to_see_it(tmp_path):
    with scripted(tmp_path / "log", drain_seconds=3600, drain_notice_seconds=1000) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: gateway.get("/readyz").status_code == 503)
        time.sleep(1)
        assert gateway.get("/readyz").status_code == 503
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=300) == 0


def test_what_is_not_finished_in_time_is_told_so(tmp_path):
    """Not a closed connection: a 503 that the client can act on, or the last event of a stream."""
    with scripted(tmp_path / "log", drain_seconds=1) as gateway:
        asked = Asked(gateway, "delay=3600 where")
        begun = Asked(gateway, "pace=3600 where", stream=True)
        until(lambda: in_flight(gateway) == 2)
        gateway.process.send_signal(signal.SIGTERM)
        response = asked.answered()
        assert (response.status_code, response.json()["code"]) == (503, "overloaded")
        assert response.json()["detail"] == "the gateway ended before the answer"
        assert begun.answered().text.rstrip().splitlines()[-2] == "event: error"
        assert gateway.process.wait(timeout=300) == 0
        assert "2 requests were not finished in 1 s" in gateway.log.read_text()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_with_what_is_under_way(tmp_path, second):
    with scripted(tmp_path / "log", drain_seconds=3600) as gateway:
        asked = Asked(gateway, "delay=3600 where")
        until(lambda: in_flight(gateway) == 1)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: gateway.get("/readyz").status_code == 503)
        gateway.process.send_signal(second)
        assert asked.answered().status_code == 503
        assert gateway.process.wait(timeout=300) in (0, -second)
