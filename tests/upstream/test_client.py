"""One server over HTTP: what a call sends, what comes back, and what each fault becomes."""

import asyncio
import math

import pytest

from tests.unit.waiting import until
from tests.upstream.faulty import FAULTS, FaultyUpstream, Says
from ucbd.models.errors import (
    GatewayError,
    InvalidRequest,
    PromptTooLong,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamUnreachable,
)
from ucbd.models.generation import GenerationOptions, Message
from ucbd.models.upstream.client import Bounds, UpstreamClient
from ucbd.models.upstream.errors import from_status, may_retry, seconds
from ucbd.models.upstream.shapes import Token, Top
from ucbd.models.upstream.wire import Call, Reply

TURNS = (Message("user", "where"),)
NEVER = ("hang", "slow_headers", "drip")


def call(**changes) -> Call:
    asked = {"model": "scripted", "prompt": TURNS, "options": GenerationOptions(8)} | changes
    return Call(**asked)


async def outcome(fault: str, **changes) -> Reply | GatewayError:
    """What one call to a server with that fault ends in."""
    async with FaultyUpstream(always=fault) as server:
        seconds = 0.5 if fault in NEVER else 60
        client = UpstreamClient(server.url, bounds=Bounds(seconds=seconds, body_bytes=1_000_000))
        try:
            return await client.ask(call(**changes))
        except GatewayError as error:
            return error
        finally:
            await client.close()


async def test_an_answer_comes_with_its_tokens_and_their_log_probabilities():
    says = Says(("In Lorne",), logprob=-0.5, top=(-0.5, -1.5), reasoning="hm")
    async with FaultyUpstream(says) as server:
        client = UpstreamClient(server.url + "/v1/", key="secret")
        reply = await client.ask(call(top_logprobs=2))
        await client.close()
    top = [Top("a", -0.5), Top("b", -1.5)]
    assert reply == Reply(
        text="In Lorne",
        finish_reason="stop",
        reasoning="hm",
        logprobs=[Token("In", -0.5, top), Token(" Lorne", -0.5, top)],
        tokens=2,
        prompt_tokens=5,
        cached_prompt_tokens=2,
    )
    assert server.calls[0].headers["authorization"] == "Bearer secret"


async def test_a_call_states_everything_that_shapes_the_distribution():
    options = GenerationOptions(7, temperature=1.0, top_p=1.0, stop=("\n",), seed=3)
    async with FaultyUpstream() as server:
        client = UpstreamClient(server.url)
        await client.ask(call(options=options, extra={"top_k": -1}))
        await client.ask(call(prompt="Once upon", top_logprobs=5))
        await client.close()
    assert server.calls[0].path == "/v1/chat/completions"
    assert server.calls[0].body == {
        "model": "scripted",
        "messages": [{"role": "user", "content": "where"}],
        "max_tokens": 7,
        "temperature": 1.0,
        "top_p": 1.0,
        "stop": ["\n"],
        "seed": 3,
        "top_k": -1,
    }
    assert server.calls[1].path == "/v1/completions"
    assert server.calls[1].body["prompt"] == "Once upon"
    assert server.calls[1].body["logprobs"] == 5


async def test_a_text_is_continued_with_its_log_probabilities_too():
    async with FaultyUpstream(Says(("a time",))) as server:
        client = UpstreamClient(server.url)
        reply = await client.ask(call(prompt="Once upon", top_logprobs=2))
        await client.close()
    assert reply.text == "a time"
    assert [token.token for token in reply.logprobs] == ["a", "time"]
    assert reply.logprobs[0].top_logprobs == [Top("a", -0.001), Top("b", -8.0), Top("c", -9.0)]


async def test_a_server_tells_what_it_serves():
    async with FaultyUpstream(Says(models=("one", "two"), context=64)) as server:
        client = UpstreamClient(server.url)
        served = await client.models()
        await client.close()
    assert [(m.id, m.owner, m.context_length) for m in served] == [
        ("one", "vllm", 64),
        ("two", "vllm", 64),
    ]


FAILED: dict[str, tuple[type[GatewayError], bool, str]] = {
    "hang": (UpstreamFailed, False, "nothing whole in 0.5 s"),
    "slow_headers": (UpstreamFailed, False, "nothing whole in 0.5 s"),
    "drip": (UpstreamFailed, False, "nothing whole in 0.5 s"),
    "half_json": (UpstreamFailed, False, "what cannot be read"),
    "cut_body": (UpstreamFailed, False, "hung up in the middle of its answer"),
    "wrong_content_type": (UpstreamFailed, False, "in 'text/html' instead of JSON"),
    "huge_body": (UpstreamFailed, False, "more than 1,000,000 bytes"),
    "empty_choices": (UpstreamFailed, False, "no choices"),
    "ok_with_error": (UpstreamFailed, True, "failed (500): CUDA out of memory"),
    "ok_with_old_error": (UpstreamFailed, True, "failed (500): EngineDeadError"),
    "abort": (UpstreamFailed, False, "finish_reason 'abort'"),
    "no_finish_reason": (UpstreamFailed, False, "an answer without a finish_reason"),
    "negative_tokens": (UpstreamFailed, False, "a usage with negative tokens"),
    "reset": (UpstreamUnreachable, True, "hung up before it answered"),
    "hang_up": (UpstreamUnreachable, True, "hung up before it answered"),
    "not_http": (UpstreamFailed, False, "does not speak HTTP"),
    "redirect": (UpstreamFailed, False, "answered 307: Temporary Redirect"),
    "bad_request": (InvalidRequest, False, "temperature is wrong"),
    "too_long": (PromptTooLong, False, "maximum context length is 64 tokens"),
    "unauthorized": (UpstreamFailed, False, "refuses the gateway's key (401)"),
    "unknown_model": (UpstreamFailed, False, "answered 404: The model `x` does not exist."),
    "rate_limited": (UpstreamBusy, True, "is busy (429): slow down"),
    "used_up": (UpstreamBusy, True, "is busy (429): the day's quota"),
    "internal": (UpstreamFailed, True, "failed (500): EngineDeadError"),
    "bad_gateway": (UpstreamFailed, True, "failed (502): no backend"),
    "unavailable": (UpstreamBusy, True, "is busy (503): the queue is full"),
    "unavailable_by_date": (UpstreamBusy, True, "is busy (503)"),
    "overloaded": (UpstreamBusy, True, "is busy (529): overloaded"),
}
NO_EVIDENCE = {"nan_logprobs", "null_logprobs", "positive_logprobs", "tiny_logprobs"}
NO_EVIDENCE |= {"no_logprobs", "no_usage"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_has_its_error(fault):
    found = await outcome(fault)
    if fault in NO_EVIDENCE:
        assert isinstance(found, Reply)
        return
    kind, again, words = FAILED[fault]
    assert type(found) is kind
    assert may_retry(found) is again
    assert words in str(found)
    assert "sk-1234" not in str(found)  # a server may repeat the key; nobody else does


async def test_a_refused_parameter_is_named():
    found = await outcome("bad_request")
    assert isinstance(found, InvalidRequest)
    assert found.field == "temperature"


@pytest.mark.parametrize(
    ("fault", "wait"), [("unavailable", 3.0), ("rate_limited", 7.0), ("unavailable_by_date", 0.0)]
)
async def test_a_busy_server_says_when_to_come_again(fault, wait):
    found = await outcome(fault)
    assert isinstance(found, UpstreamBusy)
    assert found.retry_after == wait


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("nan_logprobs", math.isnan),
        ("null_logprobs", lambda value: value is None),
        ("positive_logprobs", lambda value: value == 0.7),
        ("tiny_logprobs", lambda value: value == -9999),
    ],
)
async def test_log_probabilities_that_are_none_are_seen_by_who_measures(fault, seen):
    found = await outcome(fault, top_logprobs=3)
    assert isinstance(found, Reply)
    assert seen(found.logprobs[0].top_logprobs[0].logprob)
    assert found.text == "yes it is"


async def test_tokens_are_counted_by_log_probabilities_where_no_usage_is():
    found = await outcome("no_usage", top_logprobs=1)
    assert isinstance(found, Reply)
    assert (found.tokens, found.prompt_tokens) == (3, 0)
    found = await outcome("no_usage")
    assert isinstance(found, Reply)
    assert found.tokens == 0


async def test_nobody_at_the_address_is_said_so():
    async with FaultyUpstream() as server:
        url = server.url
    client = UpstreamClient(url)
    with pytest.raises(UpstreamUnreachable, match="cannot be reached"):
        await client.ask(call())
    await client.close()


async def test_an_unknown_host_is_said_so():
    client = UpstreamClient("http://nowhere.invalid")
    with pytest.raises(UpstreamUnreachable, match=r"nowhere\.invalid cannot be reached"):
        await client.ask(call())
    await client.close()


async def test_a_cancelled_call_hangs_up_on_the_server():
    async with FaultyUpstream(always="hang") as server:
        client = UpstreamClient(server.url)
        asking = asyncio.ensure_future(client.ask(call()))
        await until(lambda: len(server.calls) == 1)
        asking.cancel()
        await until(lambda: server.calls[0].closed)
        await until(lambda: server.running == 0)
        await client.close()


async def test_connections_are_kept_and_closed():
    async with FaultyUpstream() as server:
        client = UpstreamClient(server.url)
        await client.ask(call())
        await client.ask(call())
        assert server.running == 1
        await client.close()
        await until(lambda: server.running == 0)


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("7200", 7200.0),
        ("1e9", 1e9),
        ("Thu, 01 Jan 2026 02:00:00 GMT", 7200.0),
        ("Thu, 01 Jan 2026 01:30:00 +0100", 1800.0),
        ("Thursday, 01-Jan-26 00:00:07 GMT", 7.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Thu, 01 Jan 2026 00:00:09", 9.0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("soon", None),
        ("Thu, 99 Jan 2026 25:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_or_not_at_all(told, wait):
    """At midnight, as 2026 begins."""
    assert seconds(told, now=1767225600.0) == wait


@pytest.mark.parametrize("code", [300, 418, 599, 999])
def test_a_status_nobody_expects_is_still_an_upstream_failure(code):
    assert isinstance(from_status("http://x", code, ""), UpstreamFailed)


def test_a_long_message_is_cut_and_stays_on_one_line():
    found = str(from_status("http://x", 500, "a\nb " * 1000))
    assert "\n" not in found
    assert len(found) < 400
