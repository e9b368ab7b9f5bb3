"""Every fault of a server through the real gateway: an asserted outcome, counted exactly once."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.unit.waiting import until
from tests.upstream.faulty import FAULTS, FaultyUpstream
from tests.upstream.gateway import Gateway
from ucbd.app.errors import error_headers
from ucbd.models.errors import UpstreamBusy
from ucbd.models.upstream.client import Bounds
from ucbd.models.upstream.health import Pace

DOCS = Path(__file__).parents[2] / "docs" / "upstreams.md"
HASTY = Pace(probe=1, patience=0.3, first=0.01, most=0.05, ride_out=0.05)

# Fault, befalling every answer: status, code and words of the error's detail.
ERRORS: dict[str, tuple[int, str, str]] = {
    "hang": (503, "engine_unavailable", "produced no token within 1 s"),
    "slow_headers": (503, "engine_unavailable", "produced no token within 1 s"),
    "drip": (503, "engine_unavailable", "produced no token within 1 s"),
    "half_json": (502, "upstream_error", "what cannot be read"),
    "cut_body": (502, "upstream_error", "hung up in the middle of its answer"),
    "wrong_content_type": (502, "upstream_error", "instead of JSON"),
    "huge_body": (502, "upstream_error", "more than 1,000,000 bytes"),
    "empty_choices": (502, "upstream_error", "no choices, or an empty one"),
    "ok_with_error": (503, "engine_unavailable", "CUDA out of memory"),
    "ok_with_old_error": (503, "engine_unavailable", "EngineDeadError"),
    "abort": (502, "upstream_error", "finish_reason 'abort'"),
    "no_finish_reason": (502, "upstream_error", "without a finish_reason"),
    "negative_tokens": (502, "upstream_error", "negative tokens"),
    "reset": (503, "engine_unavailable", "hung up before it answered"),
    "hang_up": (503, "engine_unavailable", "hung up before it answered"),
    "not_http": (502, "upstream_error", "does not speak HTTP"),
    "redirect": (502, "upstream_error", "answered 307"),
    "bad_request": (422, "invalid_request", "temperature is wrong"),
    "too_long": (422, "prompt_too_long", "maximum context length"),
    "unauthorized": (502, "upstream_error", "refuses the gateway's key"),
    "unknown_model": (502, "upstream_error", "answered 404"),
    "rate_limited": (503, "overloaded", "is busy (429)"),
    "used_up": (503, "overloaded", "is busy (429)"),
    "internal": (503, "engine_unavailable", "failed (500)"),
    "bad_gateway": (503, "engine_unavailable", "failed (502)"),
    "unavailable": (503, "overloaded", "is busy (503)"),
    "unavailable_by_date": (503, "overloaded", "is busy (503)"),
    "overloaded": (503, "overloaded", "is busy (529)"),
}
NO_EVIDENCE = {
    "nan_logprobs": "NaN or above zero",
    "null_logprobs": "NaN or above zero",
    "positive_logprobs": "NaN or above zero",
    "tiny_logprobs": "none can be the largest",
    "no_logprobs": "gave no log-probabilities",
}
HARMLESS = {"no_usage"}
RETRIED = {
    *("ok_with_error", "ok_with_old_error", "reset", "hang_up", "internal", "bad_gateway"),
    *("unavailable_by_date", "overloaded"),
}
BEGUN = {
    *("half_json", "cut_body", "wrong_content_type", "huge_body", "empty_choices", "abort"),
    *("no_finish_reason", "negative_tokens", "not_http", "redirect", "unauthorized"),
    "unknown_model",
}


def test_the_table_knows_every_fault():
    assert {*ERRORS, *NO_EVIDENCE, *HARMLESS} == set(FAULTS)


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_server_that_always_fails_gives_the_stated_error(fault):
    status, code, words = ERRORS[fault]
    async with FaultyUpstream() as server, Gateway(server, pace=HASTY) as gateway:
        server.always = fault
        response = await gateway.ask()
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert words in response.json()["detail"]
        assert "sk-1234" not in response.text
        assert await gateway.errors() == {code: 1}


@pytest.mark.parametrize("fault", NO_EVIDENCE)
async def test_log_probabilities_that_are_none_are_no_evidence_and_no_certainty(fault):
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.always = fault
        response = await gateway.ask(samples=0)
    body = response.json()
    assert response.status_code == 200
    assert body["answer"] == "yes it is"
    assert body["uncertainty"]["token_entropy"] is None
    assert NO_EVIDENCE[fault] in body["uncertainty"]["token_entropy_missing"]
    assert body["decision"] == "abstain"


@pytest.mark.parametrize("fault", sorted(RETRIED))
async def test_a_failure_before_the_first_byte_is_tried_again(fault):
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail(fault, fault)
        response = await gateway.ask()
    assert response.status_code == 200
    assert response.json()["answer"] == "yes it is"


@pytest.mark.parametrize("fault", sorted(set(ERRORS) - RETRIED - {"hang", "slow_headers", "drip"}))
async def test_what_had_begun_or_was_refused_is_not_tried_again(fault):
    """``rate_limited``, ``used_up`` and ``unavailable`` ask for more than the gateway waits."""
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.calls.clear()
        server.fail(fault)
        response = await gateway.ask()
        asked = [call for call in server.calls if "Where" in str(call.body)]
    assert response.status_code >= 400
    assert len(asked) == 1


@pytest.mark.parametrize("fault", sorted(set(ERRORS) - {"bad_request", "too_long"}))
async def test_a_second_server_takes_over_where_that_is_allowed(fault):
    async with (
        FaultyUpstream() as broken,
        FaultyUpstream() as other,
        Gateway(broken, other, pace=HASTY) as gateway,
    ):
        broken.always = fault
        answers = [await gateway.ask(prompt=f"Where is {n}?") for n in range(16)]
    failed = [answer.json()["code"] for answer in answers if answer.status_code != 200]
    if fault in BEGUN:  # until a probe has seen it too, which opens the circuit
        assert set(failed) <= {"upstream_error"}
        assert len(failed) < 16
    else:
        assert failed == []


async def test_a_busy_server_passes_on_when_to_come_again():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.always = "unavailable"
        response = await gateway.ask()
        assert response.headers["retry-after"] == "3"
        server.always = "rate_limited"
        assert (await gateway.ask()).headers["retry-after"] == "7"
        server.always = "used_up"
        assert (await gateway.ask()).headers["retry-after"] == "7200"


def test_nobody_is_sent_away_for_longer_than_a_day():
    """As by an upstream that says when it will be back in years."""
    assert error_headers(UpstreamBusy("busy", 1e9)) == {"Retry-After": "86400"}
    assert error_headers(UpstreamBusy("busy", 86_399.5)) == {"Retry-After": "86400"}


async def test_a_burst_of_503_is_ridden_out_by_waiting_as_long_as_the_server_asks():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail(*["unavailable_by_date"] * 2)
        assert (await gateway.ask()).status_code == 200


async def test_a_server_that_hangs_is_noticed_and_comes_back_by_itself():
    """Its /v1/models answers all the time, as vLLM's /health does: only tokens count."""
    async with FaultyUpstream() as server, Gateway(server, pace=HASTY) as gateway:
        server.always = "hang"
        assert (await gateway.ask()).status_code == 503
        ready = await gateway.client.get("/readyz")
        assert ready.status_code == 503
        assert (await gateway.ask()).status_code == 503  # at once: the circuit is open
        server.always = None
        await gateway.until_ready()
        assert (await gateway.ask()).status_code == 200


async def test_calls_under_way_at_a_server_that_hangs_go_to_another():
    async with (
        FaultyUpstream() as one,
        FaultyUpstream() as two,
        Gateway(one, two, pace=HASTY) as gateway,
    ):
        one.calls.clear()
        one.always = "hang"
        responses = await asyncio.gather(*(gateway.ask(prompt=f"{n}?") for n in range(16)))
        assert [response.status_code for response in responses] == [200] * 16
        asked = [call for call in one.calls if "?" in str(call.body)]
        assert asked
        await until(lambda: all(call.closed for call in asked))


async def test_a_server_that_dies_and_starts_again_is_used_again():
    async with FaultyUpstream() as server, Gateway(server, pace=HASTY) as gateway:
        await server.stop()
        response = await gateway.ask()
        assert (response.status_code, response.json()["code"]) == (503, "engine_unavailable")
        assert "cannot be reached" in response.json()["detail"]
        await server.start_again()
        await gateway.until_ready()
        assert (await gateway.ask()).status_code == 200


async def test_a_failing_sample_costs_evidence_and_never_the_answer():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail(None)
        server.always = "abort"
        response = await gateway.ask(explain=True)
    assert response.status_code == 200
    assert response.json()["uncertainty"]["samples"] == 0
    sampling = response.json()["stages"][-1]
    assert sampling["outcome"] == "unavailable"
    assert "finish_reason 'abort'" in sampling["reason"]


@pytest.mark.parametrize("fault", ["hang", "slow_headers", "drip"])
async def test_the_deadline_ends_a_call_and_closes_its_connection(fault):
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.calls.clear()
        server.always = fault
        response = await gateway.ask(deadline_ms=1000)
        assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
        await until(lambda: server.calls[0].closed)


async def test_a_drip_that_never_ends_is_ended_by_the_time_limit():
    limits = Bounds(seconds=1)
    async with FaultyUpstream() as server, Gateway(server, bounds=limits) as gateway:
        server.always = "drip"
        response = await gateway.ask()
    assert response.json()["code"] == "upstream_error"
    assert "nothing whole in 1 s" in response.json()["detail"]


def test_the_docs_state_the_outcome_of_every_fault():
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d{3})(?: `(\w+)`)?", DOCS.read_text(), re.MULTILINE)
    stated = {name: (int(status), code) for name, status, code in rows}
    outcomes = {name: (status, code) for name, (status, code, _) in ERRORS.items()}
    outcomes |= dict.fromkeys((*NO_EVIDENCE, *HARMLESS), (200, ""))
    assert stated == outcomes
