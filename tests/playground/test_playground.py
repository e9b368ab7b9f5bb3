"""The playground in a real Chromium, on a gateway with a scripted engine."""

import httpx
import pytest
from playwright.async_api import expect

from tests.playground.browser import ask, begin, gateway, opened, text
from tests.playground.scripts import MARKUP, script
from tests.unit.waiting import until
from ucbd.app.keys import new_entry

pytestmark = pytest.mark.slow


async def test_every_file_is_served_under_a_policy_that_lets_nothing_inline_or_foreign_run(served):
    async with httpx.AsyncClient(base_url=served.url) as client:
        paths = ["", "/style.css", "/result.css", "/main.js", "/icon.svg"]
        answers = [await client.get(f"/playground{path}") for path in paths]
        assert (await client.get("/playground/routes.py")).status_code == 404
        assert (await client.get("/playground/..%2fmain.py")).status_code == 404
    for answer in answers:
        assert answer.status_code == 200
        rules = dict(
            rule.strip().split(" ", 1)
            for rule in answer.headers["content-security-policy"].split(";")
        )
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["frame-ancestors"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in answer.text


async def test_an_answer_comes_with_shades_clusters_path_and_decision(page):
    """Entropies .1, 2.3 and .4 nats: shades of 1 − e^−x = 10, 90 and 33 %."""
    await ask(page, "Which pet is it?")
    assert await text(page, "#answer") == "A pony maybe"
    tokens = page.locator("#answer .token")
    shades = "all => all.map(one => one.style.getPropertyValue('--heat'))"
    assert await tokens.evaluate_all(shades) == ["10%", "90%", "33%"]
    assert await page.locator("#answer .high").all_inner_texts() == ["pony"]
    assert await text(page, "#entropy") == (
        "mean 0.93 nats over 3 tokens, exact · least certain “pony”, 2.30 nats"
    )
    assert await page.locator(".cluster q").all_inner_texts() == ["A pony.", "A cat.", "A duck."]
    assert await page.locator(".cluster .size").all_inner_texts() == [
        "5 of 10",
        "3 of 10",
        "2 of 10",
    ]
    assert await page.locator(".dot").count() == 10
    decision = await text(page, "#decision")
    assert decision.startswith("Abstained The combined uncertainty is")
    assert decision.endswith("No error rate is promised: the policy is not calibrated.")
    path = await text(page, "#path")
    assert "decided here" in path
    assert "There is no evidence to hold the answer against." in path
    # 3 words of the answer, 20 of the samples: 1 + 20/3
    assert "7.7 × the answer’s own tokens in all. 11 calls" in path


async def test_tokens_are_seen_before_the_answer_is_whole_and_escape_stops_it(page, served):
    await begin(page, "a slow one")
    await expect(page.locator("#answer")).to_have_text("It")
    assert await page.locator("#send").is_disabled()
    before = served.engine.aborted
    await page.keyboard.press("Escape")
    await expect(page.locator("#status")).to_have_text("Stopped.")
    await until(lambda: served.engine.aborted > before)
    assert await page.locator("#send").is_enabled()
    assert await page.locator("#problem").is_hidden()


async def test_a_click_on_stop_stops_too(page):
    await begin(page, "a slow one")
    await page.click("#stop")
    await expect(page.locator("#status")).to_have_text("Stopped.")


async def test_shift_and_enter_is_a_line_and_enter_on_nothing_asks_nothing(page):
    await page.fill("#prompt", "one")
    await page.press("#prompt", "Shift+Enter")
    assert await page.input_value("#prompt") == "one\n"
    await page.fill("#prompt", "  ")
    await page.press("#prompt", "Enter")
    assert await page.locator("#result").is_hidden()


async def test_an_example_is_asked_by_a_click_and_the_button_asks(page):
    await page.click(".example >> nth=0")
    await page.wait_for_selector("#result[data-state=done]")
    assert await text(page, "#asked") == await page.input_value("#prompt")
    await page.fill("#prompt", "Which town is it?")
    await page.click("#send")
    await expect(page.locator("#answer")).to_have_text("In Lorne.")


async def test_markup_in_question_answer_and_samples_stays_text(page):
    await ask(page, f"markup {MARKUP}")
    assert await page.locator("#answer").text_content() == MARKUP
    assert MARKUP in await page.locator(".cluster q").all_text_contents()
    assert MARKUP in await text(page, "#asked")
    assert MARKUP in await page.locator(".past-question").text_content()
    assert await page.locator("img, b").count() == 0
    assert await page.title() == "Playground · ucbd-gateway"


@pytest.mark.parametrize(
    ("question", "title"),
    [("it breaks", "The model failed"), ("it fails", "The model failed")],
)
async def test_an_error_before_or_in_the_middle_of_an_answer_is_said_in_words(
    page, question, title
):
    await begin(page, question)
    await page.wait_for_selector("#problem:not([hidden])")
    assert await text(page, "#problem") == f"{title} the script fails"
    if question == "it breaks":
        assert await text(page, "#answer") == "It breaks"
    else:
        assert await page.locator("#result").is_hidden()
    assert await page.locator("#decision").is_hidden()
    await ask(page, "Which town is it?")
    assert await page.locator("#problem").is_hidden()


async def test_a_refused_question_says_what_is_wrong_with_it(page):
    await begin(page, "word " * 800)
    await page.wait_for_selector("#problem:not([hidden])")
    said = await text(page, "#problem")
    assert said.startswith("The question is too long for the model")
    assert "the model's context holds 64" in said


async def test_an_engine_that_is_offline_is_said_and_its_return_too(browser):
    async with gateway(script) as served:
        served.engine.dead = True
        async with opened(browser, served) as page:
            await page.wait_for_selector("#engine[data-state=offline]")
            assert (await text(page, "#engine")).startswith("engine offline:")
            await begin(page, "Which town is it?")
            await page.wait_for_selector("#problem:not([hidden])")
            assert (await text(page, "#problem")).startswith("The engine is offline")
            served.engine.dead = False
            await page.wait_for_selector("#engine[data-state=ready]")
            await ask(page, "Which town is it?")


async def test_a_gateway_that_is_gone_is_said(browser):
    async with gateway(script) as served, opened(browser, served) as page:
        await page.wait_for_selector("#engine[data-state=ready]")
        await page.context.set_offline(True)
        await begin(page, "Which town is it?")
        await page.wait_for_selector("#problem:not([hidden])")
        assert (await text(page, "#problem")).startswith("The gateway cannot be reached")


async def test_without_explain_what_was_skipped_says_why_and_counts_for_no_rate(page):
    await page.uncheck("#explain")
    await ask(page, "Which town is it?")
    assert "Not needed: the decision was made before it." in await text(page, "#path")
    assert await text(page, "#samples") == "Samples No samples were drawn for this answer."
    assert "%" not in await text(page, "#rate")


async def test_the_rate_is_of_explained_and_complete_requests_by_their_clusterer(page):
    """One cluster of 1, 1 of 2, Wilson's 95 % intervals by hand; a third is not explained."""
    await ask(page, "Which town is it?")
    assert "1 of 1, 95 % interval 21 % to 100 %" in await text(page, "#rate")
    assert "That is not certainty" in await text(page, "#samples")
    await page.select_option("#policy", "paper")  # samples whatever it answers
    await page.uncheck("#explain")
    await ask(page, "Which town was it?")
    assert await page.locator(".dot").count() == 10
    await page.check("#explain")
    await page.select_option("#policy", "default")
    await ask(page, "Which pet is it?")
    rate = await text(page, "#rate")
    assert rate.startswith("50 % single-cluster rate: 1 of 2, 95 % interval 9.5 % to 91 %")
    assert "By jaccard(threshold=0.4)." in rate
    assert "nothing about the traffic" in rate


async def test_an_earlier_answer_is_shown_again_by_a_click(page):
    await ask(page, "Which town is it?")
    await ask(page, "Which pet is it?")
    await page.click(".past >> nth=1")
    assert await text(page, "#asked") == "Which town is it?"
    assert await text(page, "#answer") == "In Lorne."
    assert (await text(page, "#decision")).startswith("Answered")


async def test_the_chosen_policy_decides(page):
    """The paper's has two stages, and only some policies can be used with this model."""
    names = await page.locator("#policy option").evaluate_all(
        "all => all.map(one => [one.value, one.disabled])"
    )
    assert dict(names) == {
        "balanced": True, "default": False, "paper": False, "strict": True, "thrifty": True
    }  # fmt: skip
    assert await page.input_value("#policy") == "default"
    await page.select_option("#policy", "paper")
    assert (await text(page, "#policynote")).startswith("The paper's Algorithm 1")
    await ask(page, "Which town is it?")
    stages = await page.locator("#path .stage .name").all_inner_texts()
    assert [name.split()[0] for name in stages] == ["answer", "fluency", "sampling"]


ABSTAINED = {
    "decision": "abstain",
    "reason": {"boundary": "fluency", "message": "it wavers"},
    "suggested_action": "search",
    "withheld": True,
    "escalation": None,
}
ESCALATED = ABSTAINED | {"decision": "escalate", "suggested_action": "larger_model"}
PROMISED = {"confidence": 0.876, "calibration": {"id": "x", "risk_upper": 0.05}}


@pytest.mark.parametrize(
    ("function", "body", "said"),
    [
        (
            "confidenceWords",
            PROMISED,
            "Right with a probability of 88 %. Of what this policy answers, "
            "at most 5.0 % is wrong (certified on labelled traffic).",
        ),
        (
            "confidenceWords",
            PROMISED | {"calibration": None, "calibration_missing": "no samples were allowed"},
            "Right with a probability of 88 %. No error rate is promised: no samples were allowed.",
        ),
        (
            "decisionWords",
            ABSTAINED,
            "Abstained,It wavers. The model’s text is withheld. "
            "What would help: a search for what is new.",
        ),
        (
            "decisionWords",
            ESCALATED | {"escalation": {"outcome": "answered", "model": "big", "reason": None}},
            "Escalated,It wavers. big was asked, and answered.",
        ),
        (
            "decisionWords",
            ESCALATED
            | {"escalation": {"outcome": "failed", "model": None, "reason": "it is full"}},
            "Escalated,It wavers. A larger model was asked and gave no answer: it is full.",
        ),
        ("cost", None, "unknown"),
    ],
)
async def test_what_a_scripted_engine_cannot_lead_to_has_its_words_too(page, function, body, said):
    call = f"body => import('/playground/words.js').then(words => String(words.{function}(body)))"
    assert await page.evaluate(call, body) == said


async def test_a_gateway_with_keys_asks_for_one_and_keeps_it_nowhere(browser, tmp_path):
    key, line = new_entry("reader", None, None, ["paper"])
    keys = tmp_path / "keys.jsonl"
    keys.write_text(line + "\n")
    async with gateway(script, keys=keys) as served, opened(browser, served) as page:
        await page.wait_for_selector("#keyrow:not([hidden])")
        await begin(page, "Which town is it?")
        await page.wait_for_selector("#problem:not([hidden])")
        assert (await text(page, "#problem")).startswith("The gateway asks for a key")
        await page.fill("#key", key)
        await page.press("#key", "Tab")
        await expect(page.locator("#policy option")).to_have_text(["paper"])
        await ask(page, "Which town is it?")
        stored = await page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert key not in stored
        assert key not in await page.evaluate("document.cookie + location.href")
