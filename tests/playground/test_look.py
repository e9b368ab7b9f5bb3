"""How the page looks and reads: narrow screens, contrast, themes, names."""

import pytest
from playwright.async_api import expect

from tests.playground.browser import ask, opened, text

pytestmark = pytest.mark.slow


async def test_a_narrow_screen_scrolls_one_way_only(browser, served):
    async with opened(browser, served, viewport={"width": 320, "height": 640}) as page:
        await page.wait_for_selector("#engine[data-state=ready]")
        await ask(page, f"Which pet is it? {'x' * 300}")
        assert await page.evaluate("document.documentElement.scrollWidth") == 320


CONTRASTS = """
() => {
  const channels = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const [r, g, b, a] = channels(getComputedStyle(element).backgroundColor);
    if (a === 255) return [r, g, b];
    const below = behind(element.parentElement);
    return [r, g, b].map((c, i) => (c * a + below[i] * (255 - a)) / 255);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_a_contrast_of_at_least_4_5_in_either_scheme(browser, served, scheme):
    """WCAG 2.2's AA for text of any size, shaded words included."""
    async with opened(browser, served, color_scheme=scheme, reduced_motion="reduce") as page:
        await page.wait_for_selector("#engine[data-state=ready]")
        await ask(page, "Which pet is it?")
        assert await page.evaluate("document.documentElement.dataset.theme") == scheme
        assert await page.evaluate(CONTRASTS) == []


async def test_the_switch_outlives_a_reload_and_starts_as_the_system_has_it(browser, served):
    async with opened(browser, served, color_scheme="dark") as page:
        switch = page.get_by_role("button", name="Dark")
        assert await switch.get_attribute("aria-pressed") == "true"
        await switch.click()
        await page.reload()
        await expect(switch).to_have_attribute("aria-pressed", "false")
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(246, 247, 249)"


async def test_everything_that_takes_input_has_a_name_and_news_are_told(page):
    assert await page.get_by_role("textbox", name="Your question").count() == 1
    assert await page.get_by_role("combobox", name="Policy").count() == 1
    assert await page.get_by_role("checkbox", name="Explain").count() == 1
    assert await page.get_by_role("button", name="Ask", exact=True).count() == 1
    await ask(page, "Which town is it?")
    assert await text(page, "#status") == "Answered: In Lorne."
    for title in ("Answer", "Samples", "The cascade’s path"):
        assert await page.get_by_role("region", name=title, exact=True).count() == 1
    assert await page.locator("#problem").get_attribute("role") == "alert"
