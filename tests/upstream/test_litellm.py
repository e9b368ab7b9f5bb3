"""LiteLLM's proxy in front of the gateway and behind it: what comes through, and what is lost."""

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.e2e.conftest import Served
from tests.process.conftest import scripted
from tests.process.test_drain import in_flight, until
from tests.upstream.faulty import FaultyUpstream, Says
from tests.upstream.gateway import Gateway
from tests.upstream.litellm_proxy import KEY, MODEL, Proxy, proxy

pytestmark = pytest.mark.verify
SERVED = "reference-dpo"  # the name of the scripted gateway's model
LOST = "entropy=3 where"  # a prompt whose answer is not certain


@pytest.fixture(scope="module")
def in_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Served]]:
    """A proxy in front of a gateway."""
    folder = tmp_path_factory.mktemp("front")
    with (
        scripted(folder / "log", capacity=40) as gateway,
        proxy(folder, f"{gateway.url}/v1", SERVED) as found,
    ):
        yield found, gateway


@pytest.fixture(scope="module")
async def behind(tmp_path_factory: pytest.TempPathFactory):
    """A proxy behind a gateway, and the server behind that."""
    folder = tmp_path_factory.mktemp("behind")
    async with FaultyUpstream(Says(owner="openai")) as server:
        with proxy(folder, f"{server.url}/v1", "scripted") as found:
            async with Gateway(found, key=KEY) as gateway:
                yield gateway, server


async def ask(found: Proxy, prompt: str = "where", **wanted):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]} | wanted
    return await found.client.chat.completions.create(**asked)


async def test_in_front_whole_answers_keep_the_judgement_and_requests_steer_it(in_front):
    found, _ = in_front
    answer = await ask(found, LOST)
    assert answer.choices[0].message.content == "Tarn it is"
    assert answer.ucbd["decision"] == "abstain"
    assert answer.ucbd["uncertainty"]["samples"] == 0
    assert answer.usage.completion_tokens == 3
    steered = await ask(found, extra_body={"ucbd": {"explain": True, "samples": 4}})
    assert steered.ucbd["uncertainty"]["samples"] == 4
    assert steered.ucbd["usage"]["engine_calls"] == 5


async def test_in_front_streams_are_whole_but_lose_the_judgement(in_front):
    found, _ = in_front
    stream = await ask(found, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Tarn it is"
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [3]
    assert not any(hasattr(chunk, "ucbd") for chunk in chunks)


async def test_in_front_refusals_keep_their_status_and_their_words(in_front):
    found, _ = in_front
    with pytest.raises(openai.BadRequestError, match="greedy choices would all be the same"):
        await ask(found, n=2)
    with pytest.raises(openai.InternalServerError, match="the script says unavailable") as caught:
        await ask(found, "fault=unavailable where")
    assert caught.value.status_code == 503


async def test_in_front_a_client_that_leaves_is_heard_of(in_front):
    found, gateway = in_front
    asking = asyncio.create_task(ask(found, "delay=600 where", stream=True))
    await asyncio.to_thread(until, lambda: in_flight(gateway) == 1)
    asking.cancel()
    await asyncio.to_thread(until, lambda: in_flight(gateway) == 0)


async def test_behind_answers_have_bounds_and_their_samples(behind):
    gateway, server = behind
    server.calls.clear()
    body = (await gateway.ask(explain=True, seed=3)).json()
    assert body["answer"] == "yes it is"
    entropy = body["uncertainty"]["token_entropy"]
    assert entropy["exact"] is False
    assert entropy["lower"] < entropy["upper"]
    assert body["uncertainty"]["samples"] == 10
    assert {call.body["temperature"] for call in server.calls[1:]} == {1.0}
    assert len({call.body["seed"] for call in server.calls}) == 11


async def test_behind_streams_come_through(behind):
    gateway, _ = behind
    text = (await gateway.ask(stream=True)).text
    assert text.rstrip().splitlines()[-2] == "event: result"
    assert "yes" in text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("bad_request", 422, "invalid_request"),
        ("rate_limited", 503, "overloaded"),
        ("internal", 503, "engine_unavailable"),
    ],
)
async def test_behind_failures_keep_their_meaning(behind, fault, status, code):
    gateway, server = behind
    server.always = fault
    response = await gateway.ask(samples=0)
    server.always = None
    await gateway.until_ready()
    assert (response.status_code, response.json()["code"]) == (status, code)
