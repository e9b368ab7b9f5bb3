"""One Chromium and one gateway for all tests of a file, a profile for each test."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.playground.browser import Gateway, chromium, gateway, opened
from tests.playground.scripts import script


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Gateway]:
    async with gateway(script) as served:
        yield served


@pytest.fixture
async def page(browser: Browser, served: Gateway) -> AsyncIterator[Page]:
    async with opened(browser, served) as page:
        await page.wait_for_selector("#engine[data-state=ready]")
        await page.wait_for_selector("#policy option", state="attached")
        yield page
