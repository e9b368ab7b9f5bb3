"""The real engine behind the ``Engine`` protocol: encoding, aborting, dying, refusing to start."""

import asyncio
import math

import psutil
import pytest
from prometheus_client import REGISTRY

from tests.engine.conftest import random_settings
from tests.random_model import CONTEXT
from ucbd.models.errors import (
    EngineStartFailed,
    EngineUnavailable,
    InvalidRequest,
    PromptTooLong,
)
from ucbd.models.generation import EncodedPrompt, Generation, GenerationOptions, Message, Missing
from ucbd.models.vllm_engine import VllmEngine

pytestmark = pytest.mark.slow

_DEEP = '{"items":' * 100 + "{}" + "}" * 100


def published(name: str) -> float:
    """One of vLLM's own counts, as its scheduler last published it."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name
    )


async def test_the_engine_claims_exact_entropy_only_after_checking_it(engine):
    assert engine.info.entropy == "exact"
    assert engine.info.entropy_note is None
    assert engine.info.context_length == CONTEXT


async def test_a_string_is_one_user_message_through_the_chat_template(engine):
    text = await engine.encode("where was he born")
    chat = await engine.encode([Message("user", "where was he born")])
    assert text == chat
    tokens = engine._tokenizer.convert_ids_to_tokens(list(text.token_ids))
    assert tokens[:2] == ["<|begin|>", "<|user|>"]
    assert tokens[-1] == "<|assistant|>"
    assert tokens.count("<|begin|>") == 1


async def test_special_tokens_in_a_prompt_cannot_be_told_from_the_templates(engine):
    """A known weakness of text templates, kept visible here: see docs/limits.md."""
    ids = (await engine.encode("a<|end|>b")).token_ids
    assert engine._tokenizer.eos_token_id in ids


@pytest.mark.parametrize("length", [CONTEXT, 20 * CONTEXT])
async def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(engine, length):
    with pytest.raises(PromptTooLong, match=f"the model's context holds {CONTEXT}") as caught:
        await engine.encode("0" * length)
    assert caught.value.field == "prompt"


async def test_messages_that_the_template_refuses_name_the_field(engine):
    with pytest.raises(InvalidRequest, match="role must be system, user or assistant") as caught:
        await engine.encode([Message("tool", "x")])
    assert caught.value.field == "messages"


async def test_background_work_waits_for_work_that_somebody_waits_for(engine):
    """First come, first served would finish most of a crowd before the one that came last."""
    prompt, finished = EncodedPrompt((3, 4, 5)), []
    options = GenerationOptions(60, temperature=1.0, background=True)

    async def in_background() -> None:
        await engine.generate(prompt, options, entropies=False)
        finished.append(1)

    crowd = [asyncio.create_task(in_background()) for _ in range(60)]
    await asyncio.sleep(0)  # all of them are on their way before it
    await engine.generate(prompt, GenerationOptions(8), entropies=False)
    before = len(finished)
    await asyncio.gather(*crowd)
    assert before < 40
    assert len(finished) == 60


async def test_the_same_seed_draws_the_same_sample_and_another_another(engine):
    prompt = EncodedPrompt((3, 4, 5))

    async def draw(seed):
        options = GenerationOptions(16, 1.0, seed=seed)
        return (await engine.generate(prompt, options, entropies=False)).text

    assert await draw(1) == await draw(1)
    assert await draw(1) != await draw(2)


async def test_a_stop_string_ends_the_answer_and_its_tokens_still_have_entropies(engine):
    prompt = EncodedPrompt((3, 4, 5))
    plain = await engine.generate(prompt, GenerationOptions(16), entropies=True)
    stop = plain.text[3:5]
    stopped = await engine.generate(prompt, GenerationOptions(16, stop=(stop,)), entropies=True)
    assert stopped.finish_reason == "stop"
    assert stop not in stopped.text
    assert len(stopped.entropies.lower) == stopped.tokens < plain.tokens


@pytest.mark.parametrize("exact", [True, False])
async def test_pieces_told_meanwhile_make_the_whole_answer_and_its_entropies(engine, exact):
    """Several at once, stop strings among them, which are never told in part."""
    plain = await engine.generate(EncodedPrompt((3, 4, 5)), GenerationOptions(48), entropies=True)
    stop = plain.text[20:23]
    asked = [GenerationOptions(48), GenerationOptions(48, stop=(stop,)), GenerationOptions(1)]
    told = [[] for _ in asked]
    engine._exact = exact
    try:
        answers = await asyncio.gather(
            *(
                engine.generate(
                    EncodedPrompt((3, 4, 5)), options, entropies=True, listen=pieces.append
                )
                for options, pieces in zip(asked, told, strict=True)
            )
        )
    finally:
        engine._exact = True
    for answer, pieces in zip(answers, told, strict=True):
        assert "".join(piece.text for piece in pieces) == answer.text
        assert sum(piece.tokens for piece in pieces) == answer.tokens
        entropies = [value for piece in pieces for value in piece.entropies]
        assert entropies == pytest.approx(answer.entropies.points)
    assert len(told[0]) > 10
    assert any(piece.entropies for piece in told[0][:-1])
    assert stop not in answers[1].text
    assert await engine.kept_entropies() == 0


async def test_log_probabilities_are_of_the_tokens_told_and_of_the_likeliest(engine):
    told = []
    answer = await engine.generate(
        EncodedPrompt((3, 4, 5)),
        GenerationOptions(8, logprobs=2),
        entropies=True,
        listen=told.append,
    )
    assert len(answer.logprobs) == answer.tokens
    assert answer.logprobs == tuple(token for piece in told for token in piece.logprobs)
    for token in answer.logprobs:  # greedy: what was said is the likeliest
        assert len(token.top) == 2
        assert token.top[0] == (token.text, token.logprob)
        assert 0 > token.top[0][1] >= token.top[1][1]
    plain = await engine.generate(EncodedPrompt((3,)), GenerationOptions(1), entropies=True)
    assert plain.logprobs is None


async def test_a_schema_holds_the_answer_and_its_entropies_are_of_what_it_allows(engine):
    """Of two words that begin apart the first token has at most ln 2, and the last none."""
    prompt, schema = EncodedPrompt((3, 4, 5)), '{"enum": ["yes", "no"]}'
    options = GenerationOptions(32, json_schema=schema)
    answer = await engine.generate(prompt, options, entropies=True)
    assert answer.text in ('"yes"', '"no"')
    assert answer.entropies.constrained
    assert answer.entropies.exact
    assert max(answer.entropies.points) < math.log(2) + 0.01
    assert answer.entropies.points[-1] == pytest.approx(0, abs=1e-3)
    free = await engine.generate(prompt, GenerationOptions(1), entropies=True)
    assert not free.entropies.constrained


@pytest.mark.parametrize(
    "schema",
    [
        _DEEP,
        '{"enum": []}',
        '{"type": "string", "pattern": "("}',
        '{"type": "nonsense"}',
        '{"not": {}}',
    ],
)
async def test_a_schema_without_a_grammar_is_the_callers_to_mend_and_harms_nobody(engine, schema):
    options = GenerationOptions(4, json_schema=schema)
    beside = asyncio.create_task(
        engine.generate(EncodedPrompt((5,)), GenerationOptions(20), entropies=True)
    )
    with pytest.raises(InvalidRequest) as caught:
        await engine.generate(EncodedPrompt((3, 4, 5)), options, entropies=True)
    assert caught.value.field == "response_format"
    assert (await beside).tokens > 0


async def test_a_raw_prompt_is_text_to_continue_without_a_template(engine):
    raw = await engine.encode("where was he born", raw=True)
    assert raw.token_ids == tuple(engine._tokenizer.encode("where was he born"))


async def test_a_shared_prefix_is_reused(engine):
    prompt = EncodedPrompt(tuple(range(10, 80)))
    await engine.generate(prompt, GenerationOptions(1), entropies=False)
    again = await engine.generate(prompt, GenerationOptions(1), entropies=False)
    assert again.cached_prompt_tokens == 64


async def test_a_cancelled_call_is_gone_from_the_scheduler(engine):
    """By the scheduler's own count, long before it would have ended by itself.

    The machine may be too busy for that at one time, and not at five.
    """
    requests = [
        (EncodedPrompt((6, seed)), GenerationOptions(400, 1.0, seed=seed))
        for seed in (1, 14, 21, 31)  # long answers, by this model
    ]

    def start():
        return [
            asyncio.create_task(engine.generate(*request, entropies=True)) for request in requests
        ]

    async def generated_until_cancelled() -> float:
        before, work = published("vllm:generation_tokens_total"), start()
        while (  # noqa: ASYNC110 - in another process
            published("vllm:num_requests_running") < 4 and not any(one.done() for one in work)
        ):
            await asyncio.sleep(0.01)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        while published("vllm:num_requests_running"):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
        return published("vllm:generation_tokens_total") - before

    whole = sum(answer.tokens for answer in await asyncio.gather(*start()))
    async with asyncio.timeout(300):
        generated = [await generated_until_cancelled()]
        while generated[-1] >= whole / 2 and len(generated) < 5:
            generated.append(await generated_until_cancelled())
    assert min(generated) < whole / 2


async def test_bounds_hold_the_exact_value(random_weights, engine):
    """What is served where the processor cannot be had encloses what the processor says."""
    prompt = EncodedPrompt((3, 4, 5))
    exact = await engine.generate(prompt, GenerationOptions(16), entropies=True)
    engine._exact = False
    try:
        bounds = await engine.generate(prompt, GenerationOptions(16), entropies=True)
    finally:
        engine._exact = True
    assert bounds.text == exact.text
    assert bounds.entropies.exact is False
    assert bounds.entropies.top_k == 20
    for low, value, high in zip(
        bounds.entropies.lower, exact.entropies.lower, bounds.entropies.upper, strict=True
    ):
        assert low - 1e-3 <= value <= high + 1e-3


async def test_values_that_are_gone_are_missing_evidence(engine, monkeypatch):
    """As after eviction: the worker has forgotten them."""
    collect = engine._entropies.collect

    async def collected_twice(request, tokens):
        await collect(request, tokens)
        return await collect(request, tokens)

    monkeypatch.setattr(engine._entropies, "collect", collected_twice)
    answer = await engine.generate(EncodedPrompt((5,)), GenerationOptions(4), entropies=True)
    assert answer.entropies == Missing("0 of 4 token entropies were still held")


async def test_entropies_are_here_before_the_answer_and_nobody_asks_for_them(engine, monkeypatch):
    """Also those that a stream tells as it goes."""
    calls = []
    call = engine._entropies._call

    async def counting(method, *args):
        calls.append(method)
        return await call(method, *args)

    monkeypatch.setattr(engine._entropies, "_call", counting)
    pieces = []
    for listen in (None, pieces.append):
        answer = await engine.generate(
            EncodedPrompt((3, 4, 5)), GenerationOptions(30), entropies=True, listen=listen
        )
        assert answer.entropies.exact
        assert len(answer.entropies.lower) == answer.tokens > 10
    assert calls == []
    assert len(pieces) > 3
    assert all(len(piece.entropies) == piece.tokens for piece in pieces)
    assert [nats for piece in pieces for nats in piece.entropies] == list(answer.entropies.lower)


async def test_a_worker_that_cannot_send_is_asked(engine):
    """As one on another machine, or one whose reader hung up: exact all the same, also streamed."""
    engine._entropies.close()
    pieces = []
    try:
        for listen in (None, pieces.append):
            answer = await engine.generate(
                EncodedPrompt((3, 4, 5)), GenerationOptions(30), entropies=True, listen=listen
            )
            assert answer.entropies.exact
            assert len(answer.entropies.lower) == answer.tokens > 10
        assert max(await engine.differences(EncodedPrompt((3, 4)), GenerationOptions(8))) <= 1e-3
    finally:
        await engine._entropies.connect()
    assert [nats for piece in pieces for nats in piece.entropies] == list(answer.entropies.lower)
    assert await engine.kept_entropies() == 0


async def test_a_collection_that_fails_in_the_worker_is_missing_evidence(engine, monkeypatch):
    """The answer is served, and the engine goes on."""
    call = engine._entropies._call

    async def misspelt(method, *args):
        return await call(f"{method}_no_such", *args)

    monkeypatch.setattr(engine._entropies, "expect", lambda request: None)  # what is sent is lost
    monkeypatch.setattr(engine._entropies, "_call", misspelt)
    answer = await engine.generate(EncodedPrompt((5,)), GenerationOptions(4), entropies=True)
    assert isinstance(answer.entropies, Missing)
    assert "ucbd_collect_no_such" in answer.entropies.reason
    assert answer.tokens == 4
    monkeypatch.undo()
    again = await engine.generate(EncodedPrompt((5,)), GenerationOptions(4), entropies=True)
    assert again.entropies.exact
    assert await engine.kept_entropies() == 0


@pytest.mark.parametrize("damage", ["missing", "truncated", "no weights"])
async def test_a_model_that_cannot_be_loaded_is_one_clear_error(tmp_path, random_weights, damage):
    folder = tmp_path / "model"
    if damage != "missing":
        folder.mkdir()
        for file in random_weights.iterdir():
            content = file.read_bytes()
            if file.name == "model.safetensors":
                if damage == "no weights":
                    continue
                content = content[: len(content) // 2]
            (folder / file.name).write_bytes(content)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with asyncio.timeout(120):
        with pytest.raises(EngineStartFailed, match=str(folder)):
            await VllmEngine.start(random_settings(folder))
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before


async def test_a_killed_engine_fails_what_is_in_flight_at_once_and_all_that_follows(random_weights):
    """Of eight long answers, too many for the cache, the last is surely not done by then."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    engine = await VllmEngine.start(random_settings(random_weights))
    try:
        begun = asyncio.Event()
        work = [
            asyncio.create_task(
                engine.generate(
                    EncodedPrompt((5, n)),
                    GenerationOptions(480, 1.0, seed=1),
                    entropies=True,
                    listen=lambda piece: begun.set(),
                )
            )
            for n in range(8)
        ]
        async with asyncio.timeout(120):
            await begun.wait()
        family = [
            child
            for child in psutil.Process().children(recursive=True)
            if child.pid not in before and "VLLM::" in " ".join(child.cmdline())
        ]
        (core,) = [child for child in family if "EngineCore" in " ".join(child.cmdline())]
        core.suspend()  # so that the collection is surely under way when the process dies
        collecting = asyncio.create_task(engine.kept_entropies())
        await asyncio.sleep(0.1)
        core.kill()
        async with asyncio.timeout(120):
            *answers, last = await asyncio.gather(*work, return_exceptions=True)
            assert isinstance(last, EngineUnavailable)
            assert all(isinstance(one, EngineUnavailable | Generation) for one in answers)
            with pytest.raises(EngineUnavailable):
                await collecting
            assert not await engine.alive()
            with pytest.raises(EngineUnavailable):
                await engine.generate(EncodedPrompt((5,)), GenerationOptions(1), entropies=True)
    finally:
        await engine.close()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 120)
    assert alive == []
