"""A gateway on a scripted engine that keeps records, run as a server runs it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.store.store import RecordStore
from ucbd.models.supervisor import SupervisedEngine


@dataclass(frozen=True)
class Keeping:
    """A client of a running gateway, and where its records are."""

    client: httpx.AsyncClient
    engine: ScriptedEngine
    where: str

    async def ask(self, **request) -> dict:
        response = await self.client.post("/generate", json={"prompt": "where"} | request)
        assert response.status_code == 200, response.text
        return response.json()

    async def feedback(self, **said) -> httpx.Response:
        return await self.client.post("/feedback", json=said)

    async def metric(self, name: str) -> dict[str, float]:
        """Value by the labels but ``model``."""
        text = (await self.client.get("/metrics")).text
        lines = re.findall(rf"^{name}(?:\{{(.*)\}})? (.+)$", text, re.MULTILINE)
        return {
            re.sub(r'model="[^"]*",?', "", labels).rstrip(","): float(value)
            for labels, value in lines
        }

    @asynccontextmanager
    async def store(self) -> AsyncIterator[RecordStore]:
        store = await RecordStore.open(self.where)
        try:
            yield store
        finally:
            await store.close()

    async def until_audited(self, drawn: int, completed: int) -> None:
        """Wait until so many records are drawn, and so many of them completed."""
        async with self.store() as store, asyncio.timeout(300):
            while await self._counts(store) != (drawn, completed):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)

    @staticmethod
    async def _counts(store: RecordStore) -> tuple[int, int]:
        async with store._database.reading() as connection:
            query = "SELECT count(*), count(completion) FROM ucbd_requests WHERE audit"
            row = (await connection.exec_driver_sql(query)).one()
        return row[0], row[1]


@asynccontextmanager
async def keeping(folder: Path, script: Script | None = None, **settings) -> AsyncIterator[Keeping]:
    """A gateway that keeps its records in ``folder``."""
    engine = ScriptedEngine(script or Script())
    where = str(folder / "records.db")
    given = {"clusterer": "jaccard", "model": "scripted", "records": where, "shadow": 0}

    async def start() -> ScriptedEngine:
        return engine

    app = create_app(Settings(**given | settings), SupervisedEngine(start))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        async with asyncio.timeout(120):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as a user
                await asyncio.sleep(0.02)
        yield Keeping(client, engine, where)
