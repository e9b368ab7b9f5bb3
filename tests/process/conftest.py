"""A gateway on a scripted engine, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.servers import free_port
from tests.e2e.conftest import Served, wait_until_ready

ROOT = Path(__file__).parents[2]


@contextmanager
def scripted(log: Path, *, scheme: str = "http", **settings: object) -> Iterator[Served]:
    """Ready; killed in the end where it is still there."""
    port = free_port()
    wanted = {"clusterer": "jaccard", "shadow": 0, "port": port} | settings
    environment = {f"UCBD_{name.upper()}": str(value) for name, value in wanted.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.scripted_gateway"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    served = Served(process, f"{scheme}://127.0.0.1:{port}", log)
    try:
        wait_until_ready(served)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=180)
