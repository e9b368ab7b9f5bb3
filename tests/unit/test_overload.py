"""Too much at once, over HTTP: what is shed is said, and who is refused is told when to come."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.unit.test_generate import Gateway
from tests.unit.waiting import until
from ucbd.cascade.ladder import DEGRADED
from ucbd.models.scripted import Script


def script(prompt: str) -> Script:
    """Undecided by what is free, so that sampling would run; "held" answers only when let go."""
    return Script("yes it is", (0.2,), ("yes it is",), delay=3600 if "held" in prompt else 0)


@asynccontextmanager
async def holding(gateway, count: int, **request):
    """That many requests under way."""
    before = gateway.engine.running
    held = [asyncio.create_task(gateway.ask(prompt="held", **request)) for _ in range(count)]
    await until(lambda: gateway.engine.running == before + count)
    try:
        yield
    finally:
        for task in held:
            task.cancel()
        await asyncio.wait(held)


def busy_gateway(**settings) -> Gateway:
    """Of another model, which has no pointer: u of 0.2 nats is .18, below .2 by little."""
    return Gateway(script, model="another/model", capacity=8, **settings)


def sampling(body: dict) -> tuple[str, str | None]:
    (stage,) = [stage for stage in body["stages"] if stage["name"] == "sampling"]
    return stage["outcome"], stage["reason"]


async def test_as_load_grows_samples_are_shed_then_all_but_the_free_then_requests():
    """Of 8, each held answer weighs 1; the policy's samples would weigh 2."""
    async with busy_gateway() as gateway:
        async with holding(gateway, 2, samples=0):
            body = (await gateway.ask()).json()
            assert body["degraded"] is None
            assert sampling(body)[0] != "skipped"
        async with holding(gateway, 3, samples=0):
            body = (await gateway.ask(explain=True)).json()
            assert body["degraded"] == "no_sampling"
            assert sampling(body) == ("skipped", DEGRADED)
            assert body["usage"]["engine_calls"] == 1
        async with holding(gateway, 6, samples=0):
            body = (await gateway.ask(explain=True)).json()
            assert body["degraded"] == "fluency"
            reasons = {stage["name"]: stage["reason"] for stage in body["stages"]}
            assert reasons["grounding"] == DEGRADED
            assert reasons["fluency"] is None
        async with holding(gateway, 8, samples=0):
            refused = await gateway.ask()
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await gateway.ask()).json()["degraded"] is None
        assert await gateway.counters("ucbd_degraded_total") == {
            '{model="scripted",rung="no_sampling"}': 1,
            '{model="scripted",rung="fluency"}': 1,
        }


async def test_a_stream_holds_its_room_until_its_last_byte():
    async with busy_gateway() as gateway, holding(gateway, 8, samples=0, stream=True):
        assert (await gateway.ask()).status_code == 503


async def test_what_was_refused_by_its_fields_took_no_room():
    async with busy_gateway() as gateway:
        for _ in range(20):
            assert (await gateway.ask(max_tokens=0)).status_code == 422
            assert (await gateway.ask(policy="none-such")).status_code == 422
        assert (await gateway.ask()).json()["degraded"] is None


async def test_a_body_that_does_not_arrive_in_time_is_a_504_and_frees_its_place():
    async with Gateway(max_in_flight=1, body_seconds=0.05) as gateway:

        async def trickle():
            yield b"{"
            await asyncio.sleep(3600)

        response = await gateway.client.post("/generate", content=trickle())
        assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
        assert "body did not arrive within 0.05 s" in response.json()["detail"]
        assert (await gateway.ask()).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_gateway_that_is_going_takes_in_nobody_and_is_unready(stream):
    async with Gateway() as gateway:
        gateway.app.state.service.admission.close(30)
        refused = await gateway.ask(stream=stream)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) == 30
        assert (await gateway.client.get("/readyz")).status_code == 503
        assert (await gateway.client.get("/healthz")).status_code == 200
