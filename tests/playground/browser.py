"""A gateway on a scripted engine over real HTTP, and a real Chromium in front of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from loadtest.servers import free_port
from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 120_000  # of each step; a hang still fails
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Gateway:
    """Where it listens, and the engine behind it, which a test may change."""

    url: str
    engine: ScriptedEngine


@asynccontextmanager
async def gateway(
    script: Script | Callable[[str], Script], **settings: object
) -> AsyncIterator[Gateway]:
    """Served by uvicorn in this loop."""
    engine = ScriptedEngine(script)

    async def start() -> ScriptedEngine:
        return engine

    given = {"clusterer": "jaccard", "served_name": "scripted", "shadow": 0} | settings
    app = create_app(Settings(**given), SupervisedEngine(start))
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=5)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield Gateway(f"http://127.0.0.1:{port}", engine)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Headless; requirements/services installs it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(FLAGS)
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, served: Gateway, **context: object) -> AsyncIterator[Page]:
    """The playground in a profile of its own. An error of the page's own code fails the test."""
    profile = await browser.new_context(**context)
    profile.set_default_timeout(PATIENCE_MS)
    page = await profile.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security" in said.text else None,
    )
    await page.goto(f"{served.url}/playground")
    yield page
    await profile.close()
    assert errors == []


async def ask(page: Page, question: str) -> None:
    """Typed, asked by Enter and answered to the end."""
    await begin(page, question)
    await page.wait_for_selector("#result[data-state=done]")


async def begin(page: Page, question: str) -> None:
    """Typed and asked by Enter."""
    await page.fill("#prompt", question)
    await page.press("#prompt", "Enter")


async def text(page: Page, selector: str) -> str:
    """What a reader sees there, in one line."""
    return " ".join((await page.locator(selector).inner_text()).split())
