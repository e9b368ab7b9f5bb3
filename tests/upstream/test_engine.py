"""Several servers as one engine: introductions, which server is asked, what is sent to it."""

import asyncio
import math
from dataclasses import replace

import pytest

from tests.unit.waiting import until
from tests.upstream.faulty import FaultyUpstream, Says
from tests.upstream.gateway import PACE, Gateway
from ucbd.models.errors import EngineStartFailed, UpstreamUnreachable
from ucbd.models.generation import (
    GenerationOptions,
    Message,
    Missing,
    TokenEntropies,
)
from ucbd.models.upstream.engine import UpstreamEngine, Upstreams
from ucbd.models.upstream.measure import generation, thought_tokens
from ucbd.models.upstream.shapes import Token, Top
from ucbd.models.upstream.wire import Reply

TOP = (math.log(0.6), math.log(0.2), math.log(0.1))


class Engine:
    """An engine over servers, closed in the end."""

    def __init__(self, *servers: FaultyUpstream, model: str = "scripted", **options) -> None:
        urls = tuple(server.url for server in servers)
        self.upstreams = Upstreams(urls, model, **{"pace": PACE} | options)

    async def __aenter__(self) -> UpstreamEngine:
        self.engine = await UpstreamEngine.start(self.upstreams)
        return self.engine

    async def __aexit__(self, *error: object) -> None:
        await self.engine.close()


async def test_an_introduction_finds_what_the_server_gives():
    async with FaultyUpstream(Says(top=(-0.1,) * 20)) as server, Engine(server) as engine:
        assert engine.info.context_length == 4096
        assert engine.info.vocab_size is None
        assert engine.info.grammars
        assert engine.info.entropy == "bounds"
        assert engine.info.entropy_note == "the server runs without the package ucbd-vllm"
        answer = await engine.generate(
            await engine.encode("where"), GenerationOptions(8), entropies=True
        )
    assert answer.entropies.top_k == 20


@pytest.mark.parametrize(("most", "top_k"), [(5, 3), (2, None)])
async def test_a_server_that_gives_fewer_log_probabilities_is_asked_for_fewer(most, top_k):
    """It refuses 20, takes 5 and has 3; or refuses 5 too, and is asked for none."""
    async with FaultyUpstream(Says(most_top_logprobs=most)) as server, Engine(server) as engine:
        answer = await engine.generate(
            await engine.encode("where"), GenerationOptions(8), entropies=True
        )
    if top_k is None:
        assert answer.entropies == Missing("the server gives no log-probabilities")
        assert "logprobs" not in server.calls[-1].body
    else:
        assert answer.entropies.top_k == top_k
        assert server.calls[-1].body["top_logprobs"] == top_k


async def test_bounds_are_those_of_the_method_with_and_without_a_vocabulary():
    """method.md section 3: 0.6, 0.2, 0.1 of 1000 tokens."""
    for size, upper in ((1000, pytest.approx((1.779375,) * 3)), (None, None)):
        async with FaultyUpstream(Says(top=TOP)) as server, Engine(server, vocab_size=size) as e:
            answer = await e.generate(await e.encode("x"), GenerationOptions(8), entropies=True)
        assert answer.entropies.lower == pytest.approx((1.088900,) * 3)
        assert answer.entropies.upper == upper
        assert answer.entropies.exact is False


@pytest.mark.parametrize("owner", ["vllm", "somebody"])
async def test_filters_are_switched_off_by_name_only_where_the_server_is_a_vllm(owner):
    async with FaultyUpstream(Says(owner=owner)) as server, Engine(server) as engine:
        await engine.generate(await engine.encode("x"), GenerationOptions(8), entropies=False)
    sent = server.calls[-1].body
    off = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
    assert {name: sent.get(name) for name in off} == (
        off if owner == "vllm" else dict.fromkeys(off)
    )


async def test_a_server_without_a_chat_template_is_asked_to_continue_the_text():
    async with FaultyUpstream(Says(chat=False)) as server, Engine(server) as engine:
        prompt = await engine.encode((Message("user", "Once"), Message("user", "upon")))
        await engine.generate(prompt, GenerationOptions(8), entropies=True)
    assert server.calls[-1].path == "/v1/completions"
    assert server.calls[-1].body["prompt"] == "Once\nupon"


async def test_messages_go_to_the_server_as_they_are():
    turns = (Message("system", "Be brief."), Message("user", "Where?"))
    async with FaultyUpstream() as server, Engine(server) as engine:
        await engine.generate(await engine.encode(turns), GenerationOptions(8), entropies=False)
    assert server.calls[-1].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
    ]


async def test_a_server_of_another_model_stops_the_start():
    async with FaultyUpstream() as right, FaultyUpstream(Says(models=("a", "b"))) as wrong:
        with pytest.raises(EngineStartFailed, match="serves a, b, and not 'scripted'"):
            await UpstreamEngine.start(Upstreams((right.url, wrong.url), "scripted", pace=PACE))


async def test_a_server_that_lists_no_models_is_taken_at_its_word():
    async with FaultyUpstream(Says(lists=False)) as server, Engine(server) as engine:
        assert engine.info.context_length is None
        assert await engine.alive()


async def test_an_engine_whose_servers_are_all_away_starts_and_waits_for_them():
    async with FaultyUpstream() as server:
        await server.stop()
        async with Engine(server) as engine:
            assert not await engine.alive()
            with pytest.raises(UpstreamUnreachable, match="cannot be reached"):
                engine.info  # noqa: B018 - asking raises
            await server.start_again()
            async with asyncio.timeout(120):
                while not await engine.alive():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert engine.info.id == "scripted"


async def test_all_calls_of_a_request_go_to_one_server():
    """Prefixes are read once. Ten samples each and P(True), of eight questions on three servers."""
    async with (
        FaultyUpstream() as a,
        FaultyUpstream() as b,
        FaultyUpstream() as c,
        Gateway(a, b, c) as gateway,
    ):
        for server in (a, b, c):
            server.calls.clear()
        for n in range(8):
            response = await gateway.ask(prompt=f"Where is number {n}?", explain=True, seed=n)
            assert response.json()["uncertainty"]["samples"] == 10
        homes = [
            {
                server.url
                for server in (a, b, c)
                for call in server.calls
                if f"number {n}?" in str(call.body)
            }
            for n in range(8)
        ]
    assert [len(home) for home in homes] == [1] * 8
    assert len(set().union(*homes)) > 1


async def test_a_router_behind_one_address_is_told_what_begins_alike():
    """One session for all calls of a request and the later turns of its conversation."""
    first = [{"role": "user", "content": "Where is Tarn?"}]
    later = [*first, {"role": "assistant", "content": "North."}, {"role": "user", "content": "Of?"}]
    sessions = []
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        for asked in (first, later, [{"role": "user", "content": "Where is Dole?"}]):
            server.calls.clear()
            body = {"messages": asked, "explain": True, "stream": asked is later}
            await gateway.client.post("/generate", json=body)
            assert len(server.calls) == 11
            (session,) = {call.headers["x-session-id"] for call in server.calls}
            sessions.append(session)
    assert sessions[0] == sessions[1] != sessions[2]
    assert all(len(session) == 16 and "Tarn" not in session for session in sessions)


async def test_samples_are_drawn_at_temperature_one_each_with_its_own_seed():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.calls.clear()
        await gateway.ask(explain=True, seed=7, stop=["\n"])
        main, *samples = (call.body for call in server.calls)
    assert (main["temperature"], main["seed"], main["top_logprobs"]) == (0.0, 7, 3)
    assert len(samples) == 10
    for sample in samples:
        assert (sample["temperature"], sample["top_p"], sample["stop"]) == (1.0, 1.0, ["\n"])
        assert (sample["top_k"], sample["min_p"]) == (-1, 0.0)
        assert "logprobs" not in sample
    assert len({sample["seed"] for sample in samples}) == 10


async def test_a_conversation_stays_where_its_earlier_turns_were_read():
    first = Message("user", "Where is Tarn?")
    later = (first, Message("assistant", "In Lorne."), Message("user", "And Holm?"))
    async with FaultyUpstream() as a, FaultyUpstream() as b, Engine(a, b) as engine:
        homes = {(await engine.encode(turns)).home for turns in ("Where is Tarn?", (first,), later)}
        spread = {(await engine.encode(f"Where is {n}?")).home for n in range(64)}
    assert len(homes) == 1
    assert spread == {a.url, b.url}


async def test_a_crowded_server_is_passed_over():
    async with FaultyUpstream() as a, FaultyUpstream() as b, Engine(a, b) as engine:
        server = {a.url: a, b.url: b}[(await engine.encode("x")).home]
        server.always = "hang"
        prompt = await engine.encode("x")
        calls = [
            asyncio.ensure_future(engine.generate(prompt, GenerationOptions(8), entropies=False))
            for _ in range(33)
        ]
        await until(lambda: len(server.calls) >= 33)
        assert (await engine.encode("x")).home != server.url
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_the_likeliest_next_tokens_come_by_their_text_and_no_token_is_made_up():
    says = Says(next_token={"True": -0.5, "False": -1.5, "x": float("nan")})
    async with FaultyUpstream(says) as server, Engine(server) as engine:
        found = await engine.next_token(await engine.encode("true?"), 20)
    assert found == {"True": -0.5, "False": -1.5}


async def test_reasoning_that_the_server_keeps_apart_is_no_part_of_the_answer():
    """Its tokens are in the log-probabilities too, before the answer's."""
    texts = ("<think>", "is", " it", "</think>", "\n", "It", " is")
    logprobs = [Token(text, -0.1, [Top("x", -0.1)]) for text in texts]
    reply = Reply("It is", "stop", "is it", logprobs, 7, 5, 0)
    assert thought_tokens(reply) == 5
    values = tuple(map(float, range(7)))
    split = generation(reply, TokenEntropies(values, values, exact=True))
    assert split.reasoning.lower == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert split.entropies.lower == (5.0, 6.0)
    assert split.text == "It is"


async def test_log_probabilities_and_a_schema_are_asked_for_as_a_request_wants_them():
    """Three likeliest come back for the bounds, of which the request wanted two."""
    options = GenerationOptions(8, logprobs=2, json_schema='{"type": "string"}')
    async with FaultyUpstream(Says(top=TOP)) as server, Engine(server) as engine:
        prompt = await engine.encode("x")
        measured = await engine.generate(prompt, options, entropies=True)
        plain = await engine.generate(prompt, options, entropies=False)
    assert measured.entropies.constrained
    assert [len(token.top) for token in measured.logprobs] == [2, 2, 2]
    assert server.calls[-2].body["top_logprobs"] == 3
    assert server.calls[-1].body["top_logprobs"] == 2
    assert plain.logprobs == measured.logprobs
    assert server.calls[-1].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "string"}},
    }


async def test_a_raw_text_is_continued_and_not_asked_as_a_message():
    async with FaultyUpstream() as server, Engine(server) as engine:
        await engine.generate(
            await engine.encode("Once", raw=True), GenerationOptions(8), entropies=False
        )
    assert server.calls[-1].path == "/v1/completions"
    assert server.calls[-1].body["prompt"] == "Once"


async def test_a_server_that_comes_back_is_introduced_again():
    """Restarted with five log-probabilities instead of three, and a smaller context."""
    pace = replace(PACE, ride_out=0.05)
    async with FaultyUpstream() as server, Engine(server, pace=pace) as engine:
        prompt = await engine.encode("x")
        await server.stop()
        with pytest.raises(UpstreamUnreachable):
            await engine.generate(prompt, GenerationOptions(8), entropies=True)
        server.says = Says(top=(-0.1,) * 5, context=512)
        await server.start_again()
        async with asyncio.timeout(120):
            while not await engine.alive():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert engine.info.context_length == 512
        answer = await engine.generate(
            await engine.encode("x"), GenerationOptions(8), entropies=True
        )
    assert answer.entropies.top_k == 5
