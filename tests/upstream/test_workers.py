"""`ucbd serve --upstream --workers`: several processes, one address, one sum of metrics."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from loadtest.servers import free_port
from tests.e2e.conftest import ucbd
from tests.upstream.faulty import FaultyUpstream

pytestmark = pytest.mark.slow
SECONDS = 300


def started(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "UCBD_CLUSTERER": "jaccard", "UCBD_SHADOW": "0"}
    with log.open("wb") as output:
        return subprocess.Popen(
            ucbd("serve", *arguments), stdout=output, stderr=subprocess.STDOUT, env=environment
        )


@asynccontextmanager
async def served(log: Path, *arguments: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """The command, ready; killed in the end if it still runs."""
    port = free_port()
    process = started(log, "--port", str(port), *arguments)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(SECONDS):
            while not await ready(url):
                assert process.poll() is None
                await asyncio.sleep(0.1)
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()


async def get(url: str) -> httpx.Response:
    """Over a connection of its own, so that any worker may get it."""
    async with httpx.AsyncClient(timeout=120, verify=False) as client:
        return await client.get(url)


async def ready(url: str) -> bool:
    try:
        return (await get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def ask(url: str, n: int) -> int:
    async with httpx.AsyncClient(timeout=120, verify=False) as client:
        response = await client.post(f"{url}/generate", json={"prompt": f"Where is {n}?"})
    return response.status_code


async def answered(url: str) -> float:
    text = (await get(f"{url}/metrics")).text
    return sum(map(float, re.findall(r"^ucbd_requests_total\{.*\} (.+)$", text, re.MULTILINE)))


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that serve, without multiprocessing's own and those that have ended."""
    return [child for child in psutil.Process(process.pid).children() if serves(child)]


def serves(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended since it was listed
        return False


async def test_the_metrics_of_all_workers_add_up_wherever_they_are_read(tmp_path):
    log = tmp_path / "log"
    async with FaultyUpstream() as server:
        arguments = ("--upstream", server.url, "--workers", "2")
        async with served(log, *arguments) as (process, url):
            async with asyncio.timeout(SECONDS):  # one is enough to be ready, and both are asked
                while log.read_text().count("ready: ") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert len(workers(process)) == 2
            statuses = await asyncio.gather(*(ask(url, n) for n in range(40)))
            assert statuses == [200] * 40
            assert [await answered(url) for _ in range(8)] == [40] * 8
            text = (await get(f"{url}/metrics")).text
            assert 'ucbd_in_flight{model="scripted"} 0.0' in text

            # One is killed: the other serves, a third takes its place, and nothing is forgotten.
            # Nobody notices: who has no engine yet takes no request.
            workers(process)[0].kill()
            meanwhile = []
            async with asyncio.timeout(SECONDS):
                while log.read_text().count("ready: ") < 3:
                    meanwhile.append(await ask(url, 41))
                    await asyncio.sleep(0.05)  # a core for who starts
            assert set(meanwhile) == {200}
            assert len(workers(process)) == 2
            assert await answered(url) == 40 + len(meanwhile)

            # Told to end while another is about to be started: none is left that was not told.
            workers(process)[0].kill()
            async with asyncio.timeout(SECONDS):
                while log.read_text().count("is started again") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, SECONDS) == 0


async def test_workers_whose_parent_is_killed_end_as_if_told(tmp_path):
    async with FaultyUpstream() as server:
        arguments = ("--upstream", server.url, "--workers", "2")
        async with served(tmp_path / "log", *arguments) as (process, _):
            alone = workers(process)
            process.kill()
            _, alive = await asyncio.to_thread(psutil.wait_procs, alone, SECONDS)
    assert alive == []


def test_an_engine_in_this_process_has_one_worker():
    done = subprocess.run(
        ucbd("serve", "--workers", "2"), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 2
    assert "2 processes cannot share the engine in one of them" in done.stderr


async def test_workers_whose_upstream_serves_another_model_end_with_its_exit_code(tmp_path):
    async with FaultyUpstream() as server:
        arguments = ("--upstream", server.url, "--model", "other", "--workers", "2")
        done = await asyncio.to_thread(
            subprocess.run,
            ucbd("serve", "--port", str(free_port()), *arguments),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert done.returncode == 1
    assert "serves scripted, and not 'other'" in done.stderr
