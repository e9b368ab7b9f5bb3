"""A gateway as a user starts it: the command, the embedded model, a real vLLM, real HTTP."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from loadtest.servers import free_port
from ucbd.models.reference.question_files import FOLDER

START_SECONDS = 240  # a cold import of vLLM on a busy machine; a hang still fails


@dataclass(frozen=True)
class Served:
    """A running ``ucbd serve``."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def tls(self) -> bool:
        """Whether certificates are of use; to read them takes longer than most requests."""
        return self.url.startswith("https")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60, verify=self.tls)

    def ask(self, **request: object) -> httpx.Response:
        return httpx.post(f"{self.url}/generate", json=request, timeout=180, verify=self.tls)


def ucbd(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("ucbd")), *arguments]


@contextmanager
def serving(log: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """``ucbd serve`` on a free port, ready; stopped by SIGTERM in the end."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ucbd("serve", "--port", str(port), *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    served = Served(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_until_ready(served)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(timeout=180)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if served.process.poll() is not None:
            pytest.fail(f"the gateway stopped while starting:\n{served.log.read_text()[-3000:]}")
        try:
            if served.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"not ready after {START_SECONDS} s:\n{served.log.read_text()[-3000:]}")


STAGES = (
    "freshness",
    "density",
    "pointer",
    "fluency",
    "association",
    "self_assessment",
    "sampling",
    "grounding",
)
"""Of the policy ``everything`` that the gateway of the tests has beside the shipped ones."""


def settings_of_every_stage(folder: Path) -> dict[str, str]:
    """What the stages need that no shipped policy runs, made as a user would make it."""
    index, triples, policies = folder / "index", folder / "triples.tsv", folder / "policies"
    known = folder / "known.jsonl"  # the first of the facts: to embed them all takes half a minute
    known.write_text("".join((FOLDER / "facts.jsonl").read_text().splitlines(True)[:200]))
    subprocess.run(ucbd("index", str(known), "--out", str(index)), check=True, timeout=600)
    triples.write_text("Jana Zist\tborn in\tRilla\n")
    policies.mkdir()
    rules = {"schema": 1, "description": "for a test", "threshold": 0.5}
    stages = [{"stage": name} for name in STAGES]
    (policies / "everything.json").write_text(json.dumps(rules | {"stages": stages}))
    return {
        "UCBD_REFERENCE_INDEX": str(index),
        "UCBD_TRIPLES": str(triples),
        "UCBD_POLICIES": str(policies),
    }


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It draws no shadow samples: what its engine has finished is what was asked for."""
    folder = tmp_path_factory.mktemp("gateway")
    settings = settings_of_every_stage(folder)
    with serving(folder / "log", UCBD_SHADOW="0", **settings) as served:
        yield served
