"""The loops and the client, over HTTP to small servers that misbehave as they are told."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from itertools import count, islice

import aiohttp
import pytest
from aiohttp import web

from loadtest.arrivals import arrivals, even, steady
from loadtest.client import Client
from loadtest.drive import closed_loop, open_loop
from loadtest.mix import Ask
from loadtest.tally import Tally

ANSWER = json.dumps(
    {
        "decision": "answer",
        "degraded": None,
        "usage": {"relative_cost": 1.0},
        "stages": [{"name": "fluency", "outcome": "accepted", "seconds": 0.001}],
    }
)
ASK = Ask("plain", b"{}", stream=False)


@asynccontextmanager
async def client(handler, seconds: float = 60.0, clock=time.perf_counter):
    app = web.Application()
    app.router.add_post("/generate", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Client(session, f"http://127.0.0.1:{port}", timeout=seconds, clock=clock)
    await runner.cleanup()


def asks():
    while True:
        yield ASK


async def asked_once(handler, seconds: float = 60.0):
    async with client(handler, seconds) as one:
        return await one.ask(ASK, one.now())


async def test_an_open_loop_keeps_sending_while_the_server_is_stuck_and_counts_the_waiting():
    """50 requests at 100/s to a server that takes 20 ms for each, one after the other: the last
    is due at 0.49 s and cannot end before 1 s. A client that waits its turn would see 20 ms."""
    one_at_a_time = asyncio.Lock()

    async def slow(request):
        async with one_at_a_time:
            await asyncio.sleep(0.02)
        return web.Response(text=ANSWER, content_type="application/json")

    tally = Tally()
    async with client(slow) as one:
        one.begin()
        await open_loop(one, asks(), arrivals(steady(100, 0.5), even()), tally.add)
    assert tally.answered == 50
    assert max(tally.latency) >= 0.5
    assert sorted(tally.due) == pytest.approx([place / 100 for place in range(50)])


async def test_what_is_due_while_too_many_are_open_is_told_and_not_delayed():
    release = asyncio.Event()

    async def held(request):
        await release.wait()
        return web.Response(text=ANSWER, content_type="application/json")

    tally = Tally()

    def tell(seen):
        tally.add(seen)
        if tally.outcomes["client_full"] == 7:
            release.set()

    async with client(held) as one:
        one.begin()
        await open_loop(one, asks(), arrivals(steady(100, 0.1), even()), tell, most=3)
    assert dict(tally.outcomes) == {"client_full": 7, "answered": 3}


async def test_a_closed_loop_has_never_more_than_its_number_under_way():
    now, most, full = 0, 0, asyncio.Event()

    async def counting(request):
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 4:
            full.set()
        await full.wait()
        await asyncio.sleep(0.005)
        now -= 1
        return web.Response(text=ANSWER, content_type="application/json")

    tally = Tally()
    async with client(counting) as one:
        one.begin()
        await closed_loop(one, asks(), tally.add, concurrency=4, requests=30)
    assert (tally.answered, most) == (30, 4)


async def test_a_closed_loop_ends_when_its_requests_do():
    async def quick(request):
        return web.Response(text=ANSWER, content_type="application/json")

    tally = Tally()
    async with client(quick) as one:
        one.begin()
        await closed_loop(one, islice(asks(), 1), tally.add, concurrency=1, requests=1)
    assert tally.asked == 1


def streaming(*events: bytes):
    async def streamed(request):
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    return streamed


TOKEN = b'event: token\ndata: {"text": "a"}\n\n'
RESULT = b"event: result\ndata: %s\n\n" % ANSWER.encode()
PROBLEM = b'event: error\ndata: {"code": "engine_unavailable", "status": 503}\n\n'


async def test_a_streams_first_token_is_timed_and_not_its_second():
    ticks = count()  # a clock that moves on when it is read
    async with client(streaming(TOKEN, TOKEN, RESULT), clock=lambda: next(ticks)) as one:
        seen = await one.ask(ASK, due=0)
    assert (seen.outcome, seen.decision) == ("answered", "answer")
    assert (seen.sent, seen.first_token, seen.done) == (1, 2, 3)


async def test_a_stream_without_text_has_no_first_token():
    assert (await asked_once(streaming(RESULT))).first_token is None


async def test_an_error_in_a_stream_is_the_requests_outcome():
    seen = await asked_once(streaming(TOKEN, PROBLEM))
    assert (seen.outcome, seen.decision) == ("engine_unavailable", None)


async def test_a_stream_that_ends_without_a_result_is_no_answer():
    assert (await asked_once(streaming(TOKEN))).outcome == "not_ours"


async def refusing(request):
    return web.json_response({"code": "overloaded", "status": 503}, status=503)


async def a_page(request):
    return web.Response(text="<html>502 Bad Gateway</html>", content_type="text/html", status=502)


async def breaking(request):
    request.transport.abort()
    return web.Response()


async def silent(request):
    await asyncio.sleep(30)
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (refusing, "overloaded"),
        (a_page, "not_ours"),
        (breaking, "connection"),
        (silent, "timeout"),
    ],
)
async def test_what_goes_wrong_is_an_outcome_and_never_an_exception(handler, outcome):
    assert (
        await asked_once(handler, seconds=0.5 if outcome == "timeout" else 60)
    ).outcome == outcome


async def test_a_port_where_nobody_listens_is_a_connection_that_failed():
    async with aiohttp.ClientSession() as session:
        one = Client(session, "http://127.0.0.1:9", timeout=60)
        assert (await one.ask(ASK, 0.0)).outcome == "connection"
