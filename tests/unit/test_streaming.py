"""Streams of ``/generate``: tokens, then one result or one error; one counter however they end."""

import asyncio
import json

import pytest

from tests.unit.streams import Exchanged, events
from tests.unit.test_generate import CERTAIN, Gateway
from tests.unit.waiting import until
from ucbd.app import exchange
from ucbd.app.feed import Feed
from ucbd.cascade.running import RunningEntropy
from ucbd.models.errors import EngineFailed, EngineUnavailable
from ucbd.models.generation import Piece
from ucbd.models.scripted import Script

THREE = Script("Tarn it is", (0.1, 0.2, 0.6))
ANSWERED = '{boundary="none",decision="answer",model="scripted"}'


def refusing(tmp_path, **changes) -> None:
    policy = {"schema": 1, "description": "", "stages": [{"stage": "fluency", "fire": 1}]}
    (tmp_path / "careful.json").write_text(json.dumps(policy | {"threshold": 0.9} | changes))


async def streamed(gateway: Gateway, **request) -> list[tuple[str, dict]]:
    response = await gateway.ask(stream=True, **request)
    assert response.status_code == 200
    return events(response.content)


async def test_tokens_come_with_a_running_entropy_and_the_body_last():
    async with Gateway(THREE) as gateway:
        found = await streamed(gateway)
        plain = (await gateway.ask()).json()
        counted = await gateway.counters("ucbd_requests_total")
    assert [name for name, _ in found] == ["token", "token", "token", "result"]
    # each entropy is known one word late, the last two with the last word: .1, (.1 + .2 + .6)/3
    assert [(data["text"], data["entropies"]) for _, data in found[:-1]] == [
        ("Tarn", []),
        (" it", [0.1]),
        (" is", [0.2, 0.6]),
    ]
    assert [data["entropy"] for _, data in found[:-1]] == [None, 0.1, pytest.approx(0.3)]
    assert [data["tokens"] for _, data in found[:-1]] == [1, 1, 1]
    result = found[-1][1]
    for body in (result, plain):
        del body["id"], body["created"]
        for stage in body["stages"]:
            del stage["seconds"]
    assert result == plain
    assert sum(counted.values()) == 2


async def test_tokens_without_text_are_counted_with_the_next_part():
    """Of an answer whose first character is made of three tokens."""
    feed = Feed()
    tell = feed.listener(0)
    for piece in (Piece("", 1), Piece("", 1), Piece("é", 1), Piece("a", 1)):
        tell(piece)
    feed.close()
    (parts,) = [parts async for parts in feed]
    assert [(part.text, part.tokens) for part in parts] == [("é", 3), ("a", 1)]


async def test_a_stream_is_not_to_be_buffered_or_kept_by_a_proxy():
    async with Gateway() as gateway:
        headers = (await gateway.ask(stream=True)).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"].startswith("gen-")


async def test_text_is_sent_before_the_decision_and_before_the_rest_of_the_text():
    script = Script("Tarn it is", (0.3,), ("Dole",), pace=30)
    async with Gateway(script) as gateway:
        asked = Exchanged(gateway.app, "/generate", {"prompt": "where", "stream": True})
        await until(lambda: b"Tarn" in asked.body)
        assert [name for name, _ in asked.events] == ["token"]
        asked.leave()
        await asked.serving


async def test_the_cluster_count_is_in_the_result_where_sampling_was_needed():
    samples = tuple(f"word{i} other{i}" for i in range(10))
    async with Gateway(Script("Tarn it is", (0.3,), samples)) as gateway:
        found = await streamed(gateway, explain=True)
    assert found[-1][1]["uncertainty"]["cluster_count"] == 10


async def test_commit_sends_no_text_before_the_decision():
    script = Script("Tarn it is", (0.3,), ("Dole",), sample_delay=30)
    async with Gateway(script) as gateway:
        request = {"prompt": "where", "stream": True, "stream_mode": "commit", "explain": True}
        asked = Exchanged(gateway.app, "/generate", request)
        await until(lambda: gateway.engine.running == 10)
        assert asked.messages == []
        asked.leave()
        await asked.serving
    async with Gateway(THREE) as gateway:
        found = await streamed(gateway, stream_mode="commit")
    assert [name for name, _ in found] == ["token", "result"]
    assert found[0][1]["text"] == found[1][1]["answer"] == "Tarn it is"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"withhold": True}, None),
        ({"refusal": "Ask a librarian."}, "Ask a librarian."),
    ],
)
async def test_what_a_policy_withholds_is_in_no_event(tmp_path, change, shown):
    refusing(tmp_path, **change)
    async with Gateway(Script("a secret guess", (2.0,)), policies=tmp_path) as gateway:
        response = await gateway.ask(stream=True, policy="careful")
        plain = (await gateway.ask(policy="careful")).json()
    found = events(response.content)
    assert b"secret" not in response.content
    assert [data["text"] for name, data in found if name == "token"] == ([shown] if shown else [])
    for body in (found[-1][1], plain):
        assert (body["decision"], body["answer"], body["withheld"]) == ("abstain", shown, True)


async def test_what_such_a_policy_answers_is_shown_once_it_is_decided(tmp_path):
    refusing(tmp_path, refusal="No.")
    async with Gateway(Script("Tarn it is", CERTAIN), policies=tmp_path) as gateway:
        found = await streamed(gateway, policy="careful")
    assert [name for name, _ in found] == ["token", "result"]
    assert (found[0][1]["text"], found[1][1]["answer"]) == ("Tarn it is", "Tarn it is")
    assert found[1][1]["withheld"] is False


async def test_a_failure_before_the_first_byte_is_a_status_and_after_it_an_error_event():
    fault = EngineFailed("aborted by the engine")
    async with Gateway(Script("Tarn it is", fault=fault)) as gateway:
        early = await gateway.ask(stream=True)
    assert (early.status_code, early.json()["code"]) == (500, "internal")
    async with Gateway(Script("Tarn it is", words=2, fault=fault)) as gateway:
        late = await gateway.ask(stream=True)
        errors = await gateway.counters("ucbd_errors_total")
        answers = await gateway.counters("ucbd_requests_total")
    found = events(late.content)
    assert [name for name, _ in found] == ["token", "token", "error"]
    assert found[-1][1] == early.json()
    assert b"DONE" not in late.content
    assert (list(errors.values()), answers) == ([1], {})


async def test_bad_input_is_a_status_in_a_stream_too():
    async with Gateway() as gateway:
        response = await gateway.ask(stream=True, max_tokens=0)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_a_deadline_in_the_middle_of_a_stream_ends_it_with_an_error():
    async with Gateway(Script("Tarn it is", (0.1,), pace=30)) as gateway:
        found = await streamed(gateway, deadline_ms=3000)
        assert [name for name, _ in found] == ["token", "error"]
        assert found[-1][1]["code"] == "deadline_exceeded"
        assert (gateway.engine.running, gateway.engine.aborted) == (0, 1)


@pytest.mark.parametrize("where", ["the answer", "the samples"])
async def test_a_client_that_leaves_in_the_middle_is_counted_once_and_its_work_aborted(where):
    slow = {"pace": 30} if where == "the answer" else {"sample_delay": 30}
    script = Script("Tarn it is", (0.3,), ("Dole",), **slow)
    async with Gateway(script) as gateway:
        request = {"prompt": "where", "stream": True, "explain": True}
        asked = Exchanged(gateway.app, "/generate", request)
        calls = 1 if where == "the answer" else 10
        await until(lambda: b"Tarn" in asked.body and gateway.engine.running == calls)
        asked.leave()
        await asked.serving
        assert (gateway.engine.running, gateway.engine.aborted) == (0, calls)
        errors = await gateway.counters("ucbd_errors_total")
        assert errors == {'{code="client_closed",model="scripted"}': 1}
        assert await gateway.counters("ucbd_requests_total") == {}
        assert await gateway.counters("ucbd_in_flight") == {}
    assert "error" not in [name for name, _ in asked.events]


async def test_a_client_that_reads_no_more_has_left(monkeypatch):
    monkeypatch.setattr(exchange, "_STALLED_SECONDS", 0.1)
    async with Gateway(Script("Tarn it is", (0.3,), pace=30)) as gateway:
        asked = Exchanged(gateway.app, "/generate", {"prompt": "where", "stream": True})
        asked.reading.clear()
        await asked.serving
        assert (gateway.engine.running, gateway.engine.aborted) == (0, 1)
        errors = await gateway.counters("ucbd_errors_total")
        assert errors == {'{code="client_closed",model="scripted"}': 1}


async def test_a_slow_reader_gets_all_of_it_and_holds_up_nobody():
    """The answer ends while the first event is still being sent; the rest goes out together."""
    async with Gateway(THREE) as gateway:
        asked = Exchanged(gateway.app, "/generate", {"prompt": "where", "stream": True})
        asked.reading.clear()
        await until(lambda: len(gateway.engine.calls) == 1 and not gateway.engine.running)
        asked.reading.set()
        await asked.serving
    texts = [data["text"] for name, data in asked.events if name == "token"]
    assert "".join(texts) == "Tarn it is"
    assert asked.events[-1][0] == "result"


async def test_a_request_cancelled_with_the_server_is_counted_once():
    async with Gateway(Script("Tarn it is", (0.3,), pace=30)) as gateway:
        asked = Exchanged(gateway.app, "/generate", {"prompt": "where", "stream": True})
        await until(lambda: b"Tarn" in asked.body)
        asked.serving.cancel()
        await asyncio.wait([asked.serving])
        assert gateway.engine.running == 0
        assert list((await gateway.counters("ucbd_errors_total")).values()) == [1]
        assert await gateway.counters("ucbd_requests_total") == {}


async def test_an_answer_without_text_is_a_stream_of_its_result_alone():
    async with Gateway(Script("", CERTAIN)) as gateway:
        found = await streamed(gateway)
    assert [name for name, _ in found if name != "token"] == ["result"]
    assert found[-1][1]["decision"] == "abstain"


async def test_an_engine_that_is_away_is_a_503_with_retry_after():
    async with Gateway(Script(fault=EngineUnavailable("restarting"))) as gateway:
        response = await gateway.ask(stream=True)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


async def test_the_running_entropy_begins_anew_after_a_reasoning_block():
    running = RunningEntropy()
    assert running.add(Piece("<think>Tarn?", 2)) is None
    assert running.add(Piece("</thi", 1, (2.0, 4.0))) == 3.0  # of the block so far
    assert running.add(Piece("nk>", 1)) is None
    assert running.add(Piece(" In", 1, (9.0, 9.0, 0.5))) == 0.5  # the two 9.0 are the block's
    assert running.add(Piece(" Tarn", 1, (0.25,))) == 0.375


async def test_a_streamed_reasoning_block_ends_with_the_entropy_of_the_answer_alone():
    script = Script("<think>Where? </think> In Tarn", (3.0, 3.0, 0.2, 0.4))
    async with Gateway(script) as gateway:
        found = await streamed(gateway)
    tokens = [data for name, data in found if name == "token"]
    assert [data["entropy"] for data in tokens] == [None, None, None, pytest.approx(0.3)]
    assert found[-1][1]["uncertainty"]["token_entropy"]["mean"] == pytest.approx(0.3)
    assert found[-1][1]["uncertainty"]["reasoning_entropy"]["mean"] == 3.0
