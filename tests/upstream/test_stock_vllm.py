"""Two real `vllm serve`, one with the package ucbd-vllm: exact entropy there, bounds elsewhere."""

import asyncio
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.upstream.vllm_servers import MODEL, PLUGIN, VllmServer, installed_plugin, vllm_server
from ucbd.models.errors import UpstreamFailed
from ucbd.models.exact_entropy import ROUTE
from ucbd.models.generation import Generation, GenerationOptions, Message, Piece, TokenEntropies
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.engine import UpstreamEngine, Upstreams
from ucbd.models.upstream.health import Pace
from ucbd.models.upstream.introduction import introduce
from ucbd.models.upstream.measure import tops
from ucbd.models.upstream.plugin import EntropyRoute

pytestmark = pytest.mark.slow
PATIENT = Pace(introduction=120, probe=60, patience=60)
QUESTION = "Where does Gita Lauck come from?"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VllmServer, VllmServer]]:
    """The one with the plugin, and one as it comes; both behind the key ``hush``."""
    folder = tmp_path_factory.mktemp("vllm")
    key = ("--api-key", "hush")
    with (
        vllm_server(
            folder,
            *PLUGIN,
            *key,
            VLLM_PLUGINS="ucbd",
            PYTHONPATH=str(installed_plugin(folder)),
        ) as exact,
        vllm_server(folder, *key) as plain,
    ):
        exact.wait()
        plain.wait()
        yield exact, plain


def upstreams(*servers: VllmServer, vocab_size: int | None = None) -> Upstreams:
    urls = tuple(server.url for server in servers)
    return Upstreams(urls, MODEL, key="hush", pace=PATIENT, vocab_size=vocab_size)


async def test_the_plugin_turns_bounds_into_exact_entropies(servers):
    engine = await UpstreamEngine.start(upstreams(servers[0]))
    assert (engine.info.entropy, engine.info.entropy_note) == ("exact", None)
    answer = await engine.generate(
        await engine.encode(QUESTION), GenerationOptions(32), entropies=True
    )
    await engine.close()
    assert isinstance(answer.entropies, TokenEntropies)
    assert answer.entropies.exact
    assert len(answer.entropies.lower) == answer.tokens


async def test_without_it_the_same_answer_has_bounds_around_them(servers):
    exact = await UpstreamEngine.start(upstreams(servers[0]))
    vocabulary = exact.info.vocab_size
    plain = await UpstreamEngine.start(upstreams(servers[1], vocab_size=vocabulary))
    assert plain.info.entropy == "bounds"
    assert plain.info.entropy_note == "the server runs without the package ucbd-vllm"
    asked = [
        await engine.generate(await engine.encode(QUESTION), GenerationOptions(32), entropies=True)
        for engine in (exact, plain)
    ]
    await exact.close()
    await plain.close()
    assert asked[0].text == asked[1].text
    assert asked[0].tokens == asked[1].tokens == len(asked[1].entropies.lower)
    for low, value, high in zip(
        asked[1].entropies.lower, asked[0].entropies.lower, asked[1].entropies.upper, strict=True
    ):
        assert low - 1e-3 <= value <= high + 1e-3


async def test_the_values_are_those_of_the_full_log_probabilities_of_the_same_requests(servers):
    """Sampled at T = 1 and greedy, forty at once."""
    client = UpstreamClient(servers[0].url, key="hush")
    route = EntropyRoute(client)
    facts = await introduce(client, route, MODEL, None)

    async def worst(n: int) -> float:
        asked = (Message("user", f"{QUESTION} {n}"),)
        options = GenerationOptions(12, temperature=float(n % 2), seed=n)
        request, call = route.marked(facts.call(asked, options, -1))
        reply = await client.ask(call)
        kept = await route.entropies(request, reply)
        full = [
            -math.fsum(math.exp(v) * v for _, v in tops(token) if v > -9000)
            for token in reply.logprobs
        ]
        return max(abs(a - b) for a, b in zip(kept.lower, full, strict=True))

    differences = await asyncio.gather(*(worst(n) for n in range(40)))
    await client.close()
    print(f"\n{len(differences)} requests: at most {max(differences):.2e} nats")
    assert max(differences) < 1e-3


async def test_a_streamed_answer_tells_the_same_exact_entropies_as_it_comes(servers):
    """Some tokens behind the text; in the end all of them, and those of the whole answer."""
    engine = await UpstreamEngine.start(upstreams(servers[0]))
    prompt = await engine.encode(QUESTION)
    heard: list[Piece] = []
    streamed = await engine.generate(
        prompt, GenerationOptions(32), entropies=True, listen=heard.append
    )
    whole = await engine.generate(prompt, GenerationOptions(32), entropies=True)
    await engine.close()
    assert "".join(piece.text for piece in heard) == streamed.text == whole.text
    assert len(heard) > 2
    told = [value for piece in heard for value in piece.entropies]
    assert told == pytest.approx(streamed.entropies.lower, abs=1e-9)
    assert told == pytest.approx(whole.entropies.lower, abs=1e-2)  # another batch, other logits


async def test_two_servers_answer_as_one_and_each_says_what_its_entropies_are(servers):
    engine = await UpstreamEngine.start(upstreams(*servers))
    assert engine.info.entropy == "bounds"
    prompts = [await engine.encode(f"Which pet does Elin Vell have? {n}") for n in range(12)]
    answers = await asyncio.gather(
        *(engine.generate(prompt, GenerationOptions(16), entropies=True) for prompt in prompts)
    )
    await engine.close()
    assert {prompt.home for prompt in prompts} == {server.url for server in servers}
    for prompt, answer in zip(prompts, answers, strict=True):
        assert answer.entropies.exact == (prompt.home == servers[0].url)


async def test_the_values_are_handed_out_to_nobody_without_the_key(servers):
    client = UpstreamClient(servers[0].url)
    with pytest.raises(UpstreamFailed, match="refuses the gateway's key"):
        await client.read("POST", ROUTE, bytes, b'{"collect": ["x"]}')
    await client.close()


def test_probe_says_which_server_is_exact_and_how_to_make_the_other_so(servers):
    command = [str(Path(sys.executable).with_name("ucbd")), "probe"]
    environment = {**os.environ, "UCBD_UPSTREAM_API_KEY": "hush"}
    said = [
        subprocess.run(
            [*command, server.url], env=environment, capture_output=True, text=True, timeout=300
        ).stdout
        for server in servers
    ]
    assert "token entropy: exact" in said[0]
    assert "vocabulary: 2048" in said[0]
    assert "token entropy: bounds, because the server runs without" in said[1]
    assert f"VLLM_PLUGINS=ucbd vllm serve {MODEL} --logits-processors" in said[1]


async def test_a_call_given_up_is_aborted_in_the_server(servers):
    """By vLLM's own counters: nothing runs on, and not all that was asked for is finished.

    The texts have 1,000 characters for certain, a schema says so, and of one we hear the beginning.
    A server that tells it late may be done with all by then: we ask again.
    """
    engine = await UpstreamEngine.start(upstreams(servers[0]))
    prompt = await engine.encode(QUESTION)
    schema = '{"type": "string", "minLength": 1000, "maxLength": 1000}'
    options = GenerationOptions(900, temperature=2.0, json_schema=schema)

    async def given_up() -> int:
        """How many calls were, of sixteen."""
        begun = asyncio.Event()
        heard = [lambda piece: begun.set(), *[None] * 15]
        running = [
            asyncio.ensure_future(engine.generate(prompt, options, entropies=True, listen=listen))
            for listen in heard
        ]
        async with asyncio.timeout(120):
            await begun.wait()
        for call in running:
            call.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        return sum(isinstance(one, asyncio.CancelledError) for one in ended)

    async with httpx.AsyncClient() as client:

        async def count(name: str) -> float:
            text = (await client.get(f"{servers[0].url}/metrics", timeout=60)).text
            return sum(
                float(line.rsplit(" ", 1)[1])
                for line in text.splitlines()
                if line.startswith(f"vllm:{name}{{")
            )

        async def finished_by_sixteen_given_up() -> float:
            finished = await count("request_success_total")
            assert await given_up() > 0
            async with asyncio.timeout(120):
                while await count("num_requests_running"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            return await count("request_success_total") - finished

        finished = [16.0]
        while finished[-1] == 16 and len(finished) < 10:
            finished.append(await finished_by_sixteen_given_up())
        assert finished[-1] < 16, finished
    await engine.close()


async def test_a_server_killed_under_load_costs_no_answer_while_another_lives(servers):
    """The last test here: SIGKILL to the whole process group of the second server."""
    engine = await UpstreamEngine.start(upstreams(*servers))
    plain = servers[1]

    async def ask(n: int) -> Generation:
        prompt = await engine.encode(f"Which pet does Elin Vell have? {n}")
        return await engine.generate(prompt, GenerationOptions(24), entropies=True)

    working = [asyncio.ensure_future(ask(n)) for n in range(48)]
    await asyncio.sleep(0.05)
    os.killpg(plain.process.pid, signal.SIGKILL)
    working += [asyncio.ensure_future(ask(n)) for n in range(48, 96)]
    answers = await asyncio.gather(*working, return_exceptions=True)
    lost = [str(answer) for answer in answers if not isinstance(answer, Generation)]
    # A call is not made again once its answer has begun, as one may have at that moment.
    assert [error for error in lost if "in the middle of its answer" not in error] == []
    assert len(lost) <= 2
    # The verdict on the dead one may come after the last answer: as long as the kernel still takes
    # its memory apart, its port takes connections, the probe's among them.
    async with asyncio.timeout(PATIENT.probe + 60):
        while {(await engine.encode(f"{n}")).home for n in range(12)} != {servers[0].url}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await engine.close()
