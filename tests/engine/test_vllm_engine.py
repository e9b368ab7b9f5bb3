"""The real engine behind the ``Engine`` protocol: encoding, aborting, dying, refusing to start."""

import asyncio

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
from ucbd.models.generation import EncodedPrompt, GenerationOptions, Message, Missing
from ucbd.models.vllm_engine import VllmEngine

pytestmark = pytest.mark.slow


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


async def test_a_shared_prefix_is_reused(engine):
    prompt = EncodedPrompt(tuple(range(10, 80)))
    await engine.generate(prompt, GenerationOptions(1), entropies=False)
    again = await engine.generate(prompt, GenerationOptions(1), entropies=False)
    assert again.cached_prompt_tokens == 64


async def test_a_cancelled_call_is_gone_from_the_scheduler(engine):
    """By the scheduler's own count, long before it would have ended by itself."""
    requests = [
        (EncodedPrompt((6, seed)), GenerationOptions(400, 1.0, seed=seed))
        for seed in (1, 14, 21, 31)  # long answers, by this model
    ]

    def start():
        return [
            asyncio.create_task(engine.generate(*request, entropies=True)) for request in requests
        ]

    whole = sum(answer.tokens for answer in await asyncio.gather(*start()))
    before = published("vllm:generation_tokens_total")
    work = start()
    async with asyncio.timeout(30):
        while published("vllm:num_requests_running") < 4:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.01)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        while published("vllm:num_requests_running"):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
    assert published("vllm:generation_tokens_total") - before < whole / 2


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

    async def collected_twice(request):
        await collect(request)
        return await collect(request)

    monkeypatch.setattr(engine._entropies, "collect", collected_twice)
    answer = await engine.generate(EncodedPrompt((5,)), GenerationOptions(4), entropies=True)
    assert answer.entropies == Missing("0 of 4 token entropies were still held")


async def test_a_collection_that_fails_in_the_worker_is_missing_evidence(engine, monkeypatch):
    """The answer is served, and the engine goes on."""
    call = engine._entropies._call

    async def misspelt(method, *args):
        return await call(f"{method}_no_such", *args)

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
    async with asyncio.timeout(10):
        with pytest.raises(EngineStartFailed, match=str(folder)):
            await VllmEngine.start(random_settings(folder))
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before


async def test_a_killed_engine_fails_what_is_in_flight_at_once_and_all_that_follows(random_weights):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    engine = await VllmEngine.start(random_settings(random_weights))
    try:
        work = asyncio.create_task(
            engine.generate(
                EncodedPrompt((5,)), GenerationOptions(500, 1.0, seed=1), entropies=True
            )
        )
        await asyncio.sleep(0.1)
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
        async with asyncio.timeout(5):
            with pytest.raises(EngineUnavailable):
                await work
            with pytest.raises(EngineUnavailable):
                await collecting
            assert not await engine.alive()
            with pytest.raises(EngineUnavailable):
                await engine.generate(EncodedPrompt((5,)), GenerationOptions(1), entropies=True)
    finally:
        await engine.close()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 10)
    assert alive == []
