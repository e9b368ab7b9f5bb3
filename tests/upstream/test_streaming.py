"""Answers that an upstream streams: parts as they come, and every broken end."""

import asyncio
import json

import pytest

from tests.unit.waiting import until
from tests.upstream.faulty import FAULTS, STREAM_FAULTS, FaultyUpstream, Says
from tests.upstream.gateway import Gateway
from tests.upstream.test_faults import HASTY, RETRIED
from ucbd.models.generation import GenerationOptions, Piece
from ucbd.models.upstream.engine import UpstreamEngine
from ucbd.models.upstream.shapes import NoAnswer
from ucbd.models.upstream.stream import events

Event = tuple[str, dict]

# Fault, befalling a streamed answer: how our stream ends, its code, and words of its detail.
BROKEN = {
    "stream_error": ("upstream_error", "failed (500): EngineDeadError"),
    "stream_abort": ("upstream_error", "finish_reason 'abort'"),
    "stream_no_end": ("upstream_error", "without a finish_reason"),
    "stream_cut": ("upstream_error", "hung up in the middle of its answer"),
    "stream_reset": ("upstream_error", "hung up in the middle of its answer"),
    "stream_half_json": ("upstream_error", "what cannot be read"),
    "stream_endless_line": ("upstream_error", "bytes of events"),
    "slow_second_chunk": ("engine_unavailable", "produced no token within 1 s"),
}


async def streamed(gateway: Gateway, **request) -> tuple[int, list[Event]]:
    """Status and events of one streamed request."""
    response = await gateway.ask(stream=True, **request)
    if response.headers["content-type"].startswith("application"):
        return response.status_code, [("refused", response.json())]
    found = []
    for block in response.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return response.status_code, found


async def test_an_answer_comes_in_the_parts_that_the_server_sends():
    says = Says(("In the north",), pace=0.05)
    async with FaultyUpstream(says) as server, Gateway(server) as gateway:
        server.calls.clear()
        status, told = await streamed(gateway, explain=True)
    assert status == 200
    assert [name for name, _ in told[:-1]] == ["token"] * (len(told) - 1)
    assert len(told) >= 3  # what came between two reads of the client goes out together
    assert "".join(part["text"] for _, part in told[:-1]) == "In the north"
    name, result = told[-1]
    assert (name, result["answer"]) == ("result", "In the north")
    assert result["usage"]["prompt_tokens"] == 5
    assert server.calls[0].body["stream"] is True
    assert all("stream" not in call.body for call in server.calls[1:])  # samples are not streamed


async def test_the_parts_carry_the_same_entropies_as_the_whole():
    async with FaultyUpstream(Says(("In the north",))) as server, Gateway(server) as gateway:
        whole = (await gateway.ask()).json()["uncertainty"]["token_entropy"]
        _, told = await streamed(gateway)
    parts = [value for _, part in told[:-1] for value in part["entropies"]]
    assert parts == pytest.approx([whole["mean"]] * 3)
    assert told[-1][1]["uncertainty"]["token_entropy"] == whole


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_stream_that_breaks_ends_in_an_error_event_and_is_not_begun_again(fault):
    async with FaultyUpstream() as server, Gateway(server, pace=HASTY) as gateway:
        server.calls.clear()
        server.fail(fault)
        server.always = "hang" if fault == "slow_second_chunk" else None
        status, told = await streamed(gateway)
        asked = [call for call in server.calls if "Where" in str(call.body)]
        assert await gateway.errors() == {told[-1][1]["code"]: 1}
    code, words = BROKEN[fault]
    assert status == 200
    assert told[0] == ("token", told[0][1])
    assert told[0][1]["text"] == "yes"
    assert told[-1][0] == "error"
    assert words in told[-1][1]["detail"]
    assert told[-1][1]["code"] == code
    assert len(asked) == 1


@pytest.mark.parametrize(("fault", "done"), [(None, True), ("stream_abort", False)])
async def test_openais_stream_is_done_only_when_the_upstreams_was(fault, done):
    """An abort and [DONE] of the upstream's are no [DONE] of ours."""
    asked = {"model": "scripted", "messages": [{"role": "user", "content": "x"}], "stream": True}
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail(fault)
        text = (await gateway.client.post("/v1/chat/completions", json=asked)).text
    assert ("[DONE]" in text) is done
    assert ('"error"' in text) is not done


async def test_log_probabilities_that_are_none_are_no_evidence_in_a_stream_either():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail("stream_nan")
        _, told = await streamed(gateway, samples=0)
    assert all(part["entropies"] == [] and part["entropy"] is None for _, part in told[:-1])
    assert told[-1][1]["answer"] == "yesyes"
    assert told[-1][1]["uncertainty"]["token_entropy"] is None
    assert told[-1][1]["decision"] == "abstain"


@pytest.mark.parametrize("fault", sorted(RETRIED | {"stream_error_first"}))
async def test_a_stream_that_fails_before_its_first_part_is_tried_again(fault):
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail(fault)
        status, told = await streamed(gateway)
    assert (status, told[-1][0]) == (200, "result")
    assert told[-1][1]["answer"] == "yes it is"


async def test_a_server_that_does_not_stream_is_told_of_whole():
    """It answers in JSON though asked for events."""
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.fail("no_usage")
        _, told = await streamed(gateway)
    assert told[-1][1]["answer"] == "yes it is"


async def test_a_client_that_leaves_a_stream_closes_it_at_the_server():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.always = "slow_second_chunk"
        server.calls.clear()
        heard: list[Piece] = []
        prompt = await gateway.engine.encode("Where?")
        asking = asyncio.ensure_future(
            gateway.engine.generate(
                prompt, GenerationOptions(8), entropies=True, listen=heard.append
            )
        )
        await until(lambda: bool(heard))
        asking.cancel()
        await until(lambda: server.calls[0].closed)
    assert [piece.text for piece in heard] == ["yes"]


async def test_reasoning_is_streamed_apart_and_never_as_text():
    async with FaultyUpstream(Says(reasoning="hm")) as server:
        gateway = Gateway(server)
        engine = await UpstreamEngine.start(gateway.upstreams)
        heard: list[Piece] = []
        answer = await engine.generate(
            await engine.encode("x"), GenerationOptions(8), entropies=True, listen=heard.append
        )
        await engine.close()
    assert "".join(piece.text for piece in heard) == answer.text == "yes it is"


async def pieces(*parts: bytes):
    for part in parts:
        yield part


async def test_events_are_found_however_the_bytes_are_cut():
    whole = (
        b': hello\r\ndata: {"a": 1}\r\n\r\nevent: x\ndata:{"b": 2}\n\ndata: [DONE]\n\ndata: no\n\n'
    )
    for size in (1, 2, 7, 1000):
        cut = [whole[i : i + size] for i in range(0, len(whole), size)]
        assert [data async for data in events(pieces(*cut), 1000)] == [b'{"a": 1}', b'{"b": 2}']


async def test_more_events_than_allowed_are_no_answer():
    with pytest.raises(NoAnswer, match="more than 10 bytes"):
        assert [data async for data in events(pieces(b"data: 1\n\n", b"data: 2\n\n"), 10)]


def test_the_two_lists_of_faults_share_no_name():
    assert not set(FAULTS) & set(STREAM_FAULTS)
    assert {*BROKEN, "stream_error_first", "stream_nan"} == set(STREAM_FAULTS)
