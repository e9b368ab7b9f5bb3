"""Two replicas on a local Ray under load, one of them killed: what became of every request.

    python -m tests.deploy.ray_run

Starts everything by itself, in front of a scripted upstream; prints one JSON line. Needs
``make ray``.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import ray
from ray import serve

from loadtest.servers import free_port
from tests.upstream.faulty import FaultyUpstream, Says

ROOT = Path(__file__).parents[2]
CLIENTS = 24
ANSWERED = "answered"
SECONDS = 10.0  # of load in calm; twice that around a death
PATIENCE = 60.0  # seconds after which a request counts as hanging
METRICS = 9460


async def main() -> dict[str, object]:
    """Load in calm, around a death, and once there are two again."""
    async with FaultyUpstream(Says(("Tarn it is",), seconds=0.2)) as upstream:
        port = free_port()
        os.environ |= {
            "UCBD_UPSTREAM": upstream.url,
            "UCBD_CLUSTERER": "jaccard",
            "UCBD_SHADOW": "0",
        }
        await asyncio.to_thread(start, port)
        url = f"http://127.0.0.1:{port}/generate"
        try:
            calm = await under_load(url, SECONDS)
            spread = await answered()
            death = asyncio.create_task(kill_one(SECONDS / 4))
            shaken = await under_load(url, 2 * SECONDS)
            killed = await death
            before = await both_back()
            again = await under_load(url, SECONDS)
            after = await answered()
            return {
                "calm": calm,
                "answered_by_port": spread,
                "shaken": shaken,
                "killed": killed,
                "recovered": again,
                "more_by_port": {port: after[port] - before[port] for port in before},
            }
        finally:
            await asyncio.to_thread(serve.shutdown)
            await asyncio.to_thread(ray.shutdown)


def start(port: int) -> None:
    """A local Ray with two replicas that are ready."""
    sys.path.insert(0, str(ROOT / "deploy" / "ray"))
    import gateway

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"port": port})
    arguments = gateway.Arguments(replicas=2, metrics_port=METRICS)
    serve.run(gateway.build(arguments), name="ucbd")


async def under_load(url: str, seconds: float) -> dict[str, dict[str, int]]:
    """How the requests of steady clients ended, each tried once more where it failed."""
    ended: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    stop = asyncio.get_running_loop().time() + seconds
    async with httpx.AsyncClient(timeout=PATIENCE) as client:

        async def ask(number: int) -> None:
            while asyncio.get_running_loop().time() < stop:
                end = await once(client, url, number)
                if end != ANSWERED:
                    errors[end] += 1
                    await asyncio.sleep(0.5)
                    second = await once(client, url, number)
                    end = "answered by retry" if second == ANSWERED else f"failed twice: {second}"
                ended[end] += 1

        await asyncio.gather(*map(ask, range(CLIENTS)))
    return {"ended": dict(ended), "errors": dict(errors)}


async def once(client: httpx.AsyncClient, url: str, number: int) -> str:
    """How one request ended."""
    try:
        response = await client.post(url, json={"prompt": f"Where is number {number}?"})
    except httpx.TimeoutException:
        return "hung"
    except httpx.TransportError as error:
        return type(error).__name__
    if response.status_code == 200:
        return ANSWERED if response.json()["answer"] == "Tarn it is" else "wrong answer"
    return f"{response.status_code} {response.text[:60]}"


async def answered() -> dict[int, int]:
    """Answered requests by the port of a replica's metrics."""
    found = {}
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        for port in range(METRICS, METRICS + 4):
            try:
                text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.TransportError:
                continue
            values = re.findall(r"^ucbd_requests_total\{.*\} (.+)$", text, re.MULTILINE)
            found[port] = int(sum(map(float, values)))
    return found


async def both_back() -> dict[int, int]:
    """Waits until two replicas show their metrics; what they have answered by then."""
    async with asyncio.timeout(300):
        while len(found := await answered()) < 2:  # noqa: ASYNC110 - in other processes
            await asyncio.sleep(0.5)
        return found


def replicas() -> list[int]:
    """Process ids of the replicas that are alive."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it may end in between
            if " ".join(process.cmdline()).startswith("ray::ServeReplica:ucbd"):
                found.append(process.pid)
    return found


async def kill_one(seconds: float) -> int:
    """One replica, at once and without a word, after so many seconds."""
    await asyncio.sleep(seconds)
    pid = (await asyncio.to_thread(replicas))[0]
    os.kill(pid, signal.SIGKILL)
    return pid


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
