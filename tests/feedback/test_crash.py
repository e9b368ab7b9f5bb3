"""Nothing that was acknowledged is lost when the gateway is killed, with no time to say goodbye."""

import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loadtest.servers import free_port
from ucbd.models.store.store import RecordStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIENTS, SECONDS = 4, 300


@contextmanager
def gateway(where: Path):
    """A real process on a free port, ready; killed in the end if it is still there."""
    port = free_port()
    command = [sys.executable, "-m", "tests.feedback.process", str(port), str(where)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
    try:
        while True:
            assert process.poll() is None, process.stderr.read().decode()[-3000:]
            assert time.monotonic() < deadline, "the gateway does not get ready"
            try:
                if httpx.get(f"{url}/readyz", verify=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait(timeout=SECONDS)
        process.stderr.close()


class Client(threading.Thread):
    """Asks and says what became of it, until the gateway is gone."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.random = random.Random(seed)
        self.acknowledged: dict[str, bool] = {}
        self.begun = threading.Event()  # two were acknowledged

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            try:
                while True:
                    answer = client.post("/generate", json={"prompt": "where", "samples": 0})
                    said = {"id": answer.json()["id"], "correct": self.random.random() < 0.5}
                    response = client.post("/feedback", json=said)
                    assert response.status_code == 200, response.text
                    self.acknowledged[said["id"]] = said["correct"]
                    if len(self.acknowledged) > 1:
                        self.begun.set()
            except httpx.TransportError:
                pass


@pytest.mark.parametrize("kills", [1, pytest.param(15, marks=pytest.mark.verify)])
async def test_what_was_acknowledged_survives_kill_9(tmp_path, kills):
    """Killed at any moment under four clients, and begun again each time on the same file.

    After each death the file is whole, and holds every feedback that was answered with 200.
    """
    where = tmp_path / "records.db"
    acknowledged: dict[str, bool] = {}
    for kill in range(kills):
        with gateway(where) as (process, url):
            clients = [Client(url, CLIENTS * kill + i) for i in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                assert client.begun.wait(SECONDS)
            time.sleep(random.Random(kill).random() / 2)  # noqa: ASYNC251 - nothing else runs
            process.kill()
            for client in clients:
                client.join(SECONDS)
                acknowledged |= client.acknowledged
        with sqlite3.connect(where) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        store = await RecordStore.open(str(where))
        kept = {one.record.id: one.label.correct async for one in store.labelled("feedback")}
        await store.close()
        missing = {one for one in acknowledged if kept.get(one) is not acknowledged[one]}
        assert not missing
        # What was joined and could not be acknowledged any more is at most one per client and kill.
        assert len(kept) <= len(acknowledged) + CLIENTS * (kill + 1)
    assert len(acknowledged) > CLIENTS * kills


def test_a_second_gateway_on_the_same_records_says_to_use_postgresql(tmp_path):
    where = tmp_path / "records.db"
    with gateway(where):
        command = [str(Path(sys.executable).with_name("ucbd")), "serve", "--port", "0"]
        config = tmp_path / "ucbd.toml"
        config.write_text(f'records = "{where}"\n')
        second = subprocess.run(
            [*command, "--config", str(config)], capture_output=True, text=True, timeout=SECONDS
        )
    assert second.returncode == 2
    assert "several processes need PostgreSQL" in second.stderr
    assert "Traceback" not in second.stderr
