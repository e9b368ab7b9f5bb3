"""Two workers of one gateway on one PostgreSQL: whoever is asked, there is one store."""

import asyncio
import re
import signal
import subprocess
import uuid
from pathlib import Path

import httpx
import pytest

from tests.feedback.test_audit import ucbd
from tests.store.conftest import postgresql  # noqa: F401 - a fixture
from tests.upstream.faulty import FaultyUpstream
from tests.upstream.test_workers import get, served, workers
from ucbd.models.store.store import RecordStore

pytestmark = [pytest.mark.slow, pytest.mark.verify]

REQUESTS = 40


async def post(url: str, path: str, **body) -> httpx.Response:
    """Over a connection of its own, so that any worker may get it."""
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.post(f"{url}{path}", json=body)


async def joined(url: str, one: str, *, correct: bool) -> None:
    """Feedback on a request that another worker may be writing still: sent again, as documented."""
    async with asyncio.timeout(60):
        while (  # noqa: ASYNC110 - as a client
            answer := await post(url, "/feedback", id=one, correct=correct)
        ).status_code == 404:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text


async def completed(store: RecordStore) -> int:
    async with store._database.reading() as connection:
        query = "SELECT count(*) FROM ucbd_requests WHERE audit AND completion IS NOT NULL"
        return (await connection.exec_driver_sql(query)).scalar_one()


@pytest.fixture
def where(postgresql: str) -> str:  # noqa: F811
    name = f"several_{uuid.uuid4().hex[:12]}"
    command = ["psql", "-q", f"{postgresql}/postgres", "-c", f"CREATE DATABASE {name}"]
    subprocess.run(command, check=True, timeout=60)
    return f"{postgresql}/{name}"


async def test_records_labels_and_their_metrics_are_one_whichever_worker_is_asked(
    where: str, tmp_path: Path
):
    config = tmp_path / "gateway.toml"
    config.write_text(f'records = "{where}"\nrecord_text = true\naudit_share = 1.0\n')
    async with FaultyUpstream() as server:
        arguments = ("--config", str(config), "--upstream", server.url, "--workers", "2")
        async with served(tmp_path / "log", *arguments) as (process, url):
            asked = await asyncio.gather(
                *(post(url, "/generate", prompt=f"Where is {n}?") for n in range(REQUESTS))
            )
            ids = [one.json()["id"] for one in asked]
            await asyncio.gather(*(joined(url, one, correct=True) for one in ids[:20]))
            store = await RecordStore.open(where)
            async with asyncio.timeout(60):
                while await completed(store) < REQUESTS:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.05)

            # One dies as hard as can be: what it had acknowledged is there, and the other knows it.
            workers(process)[0].kill()
            again = await asyncio.gather(
                *(post(url, "/feedback", id=one, correct=True) for one in ids[:20])
            )
            assert [one.json()["repeated"] for one in again] == [True] * 20
            against = await post(url, "/feedback", id=ids[0], correct=False)
            assert (against.status_code, against.json()["code"]) == (409, "conflict")

            assert ucbd("label", "--records", where, keys="ynyn").returncode == 0
            assert {one.record.id async for one in store.labelled("feedback")} == set(ids[:20])
            assert len([one async for one in store.labelled("audit")]) == 4
            assert await store.audit_counts() == (REQUESTS, REQUESTS - 4)
            await store.close()

            # Gauges that every worker reads from the store are not added up.
            async with asyncio.timeout(60):
                while await gauge(url, "ucbd_audit_waiting") != REQUESTS - 4:  # noqa: ASYNC110 - as Prometheus
                    await asyncio.sleep(0.2)
            assert await gauge(url, "ucbd_audit_records") == REQUESTS
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0
    out = tmp_path / "audit.jsonl"
    assert ucbd("records", "--audit", "--records", where, "--out", str(out)).returncode == 0
    assert len(out.read_text().splitlines()) == 4


async def gauge(url: str, name: str) -> float | None:
    text = (await get(f"{url}/metrics")).text
    found = re.search(rf"^{name}\{{.*\}} (.+)$", text, re.MULTILINE)
    return float(found[1]) if found else None
