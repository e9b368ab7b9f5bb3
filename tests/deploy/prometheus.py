"""A real Prometheus over some gateways, with the rules of deploy/prometheus/."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from loadtest.servers import free_port

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
_PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expr: str) -> list[dict]:
        """The samples of an instant query that have a value; an error of PromQL's fails."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expr}, timeout=120).json()
        assert answer["status"] == "success", f"{expr}: {answer}"
        return [sample for sample in answer["data"]["result"] if sample["value"][1] != "NaN"]

    def until(self, expr: str) -> list[dict]:
        """The samples once there are any; fails when there are none for long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (found := self.query(expr)):
            assert time.monotonic() < deadline, f"no data: {expr}"
            time.sleep(0.5)
        return found


@contextmanager
def prometheus(folder: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """Scrapes ``targets`` (host:port) as the job ``ucbd`` every second, and evaluates the rules."""
    program = shutil.which("prometheus")
    assert program, "prometheus is missing: requirements/services installs it"
    config = {  # JSON is YAML
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yml"))],
        "scrape_configs": [{"job_name": "ucbd", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    url = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={url}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _ready(f"http://{url}", folder / "prometheus.log")
        yield Prometheus(f"http://{url}")
    finally:
        process.terminate()
        process.wait(timeout=180)


def _ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/-/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)
