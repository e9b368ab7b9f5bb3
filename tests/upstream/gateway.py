"""A gateway on scripted upstreams: real HTTP to them, ASGI to it."""

import asyncio
import re

import httpx

from tests.upstream.faulty import FaultyUpstream
from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.app.telemetry.tracing import Tracing
from ucbd.models.supervisor import SupervisedEngine
from ucbd.models.upstream.client import Bounds
from ucbd.models.upstream.engine import UpstreamEngine, Upstreams
from ucbd.models.upstream.health import Pace

# Broken servers are seen quickly, and probes that must succeed have all the time in the world.
LIMITS = Bounds(body_bytes=1_000_000)
PACE = Pace(probe=30, patience=30, first=0.01, most=0.05, ride_out=30)


class Gateway:
    """In front of ``servers``, all with the model ``scripted``."""

    def __init__(
        self,
        *servers: FaultyUpstream,
        pace: Pace = PACE,
        vocab_size: int | None = 1000,
        bounds: Bounds = LIMITS,
        larger: FaultyUpstream | None = None,
        tracing: Tracing | None = None,
        key: str | None = None,
        **settings,
    ) -> None:
        urls = tuple(server.url for server in servers)
        self.upstreams = Upstreams(
            urls, "scripted", key=key, vocab_size=vocab_size, pace=pace, bounds=bounds
        )
        chosen = {"model": "scripted", "clusterer": "jaccard", "shadow": 0} | settings
        self.larger = None
        if larger is not None:
            tier = Upstreams((larger.url,), "big", pace=pace)
            self.larger = SupervisedEngine(lambda: UpstreamEngine.start(tier))
        self.settings = Settings(**chosen)
        self.tracing = tracing

    async def __aenter__(self) -> "Gateway":
        supervised = SupervisedEngine(lambda: UpstreamEngine.start(self.upstreams))
        app = create_app(self.settings, supervised, larger=self.larger, tracing=self.tracing)
        await supervised.start()
        if self.larger is not None:
            await self.larger.start()
        self.engine = supervised
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=120)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.aclose()
        await self.engine.close()
        if self.larger is not None:
            await self.larger.close()

    async def ask(self, **request) -> httpx.Response:
        return await self.client.post("/generate", json={"prompt": "Where is it?"} | request)

    async def errors(self) -> dict[str, float]:
        """``ucbd_errors_total`` by code."""
        text = (await self.client.get("/metrics")).text
        found = re.findall(r'^ucbd_errors_total\{code="(\w+)".*\} (.+)$', text, re.MULTILINE)
        return {code: float(value) for code, value in found if float(value)}

    async def until_ready(self) -> None:
        """Wait until /readyz says so; fails rather than hang."""
        async with asyncio.timeout(120):
            while (await self.client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
