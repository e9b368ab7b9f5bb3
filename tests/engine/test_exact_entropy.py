"""Exact entropies of the real engine against vLLM's own full log-probabilities."""

import asyncio
import random

import pytest
from prometheus_client import REGISTRY

from tests.engine.conftest import KV_BLOCKS
from ucbd.models.generation import EncodedPrompt, GenerationOptions, TokenEntropies

pytestmark = pytest.mark.slow
REQUESTS = 300
TOLERANCE_NATS = 1e-3


def mixed_request(n: int) -> tuple[EncodedPrompt, GenerationOptions]:
    """Prompts of many lengths, many of them shared; greedy, sampled, filtered, seeded, stopped."""
    chance = random.Random(n)
    length = chance.choice((1, 2, 31, 32, 33, 90))
    prompt = EncodedPrompt((7 + n % 5,) * length)
    options = GenerationOptions(
        max_tokens=chance.choice((1, 2, 9, 30)),
        temperature=chance.choice((0.0, 0.3, 1.0, 1.0)),
        top_p=chance.choice((1.0, 0.7)),
        stop=chance.choice(((), ("a",), ("the", "o"))),
        seed=chance.choice((None, n)),
    )
    return prompt, options


def preemptions() -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        if metric.name == "vllm:num_preemptions"
        for sample in metric.samples
        if sample.name == "vllm:num_preemptions_total"
    )


async def test_entropies_equal_the_full_log_probabilities_over_hundreds_of_mixed_requests(engine):
    """Together in one batch, with parallel samples of one prompt, preemptions and aborts."""
    before = preemptions()
    work = [
        asyncio.create_task(engine.differences(*mixed_request(n // 3 if n % 2 else n)))
        for n in range(REQUESTS)
    ]
    aborted = work[5::25]
    await asyncio.sleep(0.3)
    for task in aborted:
        task.cancel()
    results = await asyncio.gather(*work, return_exceptions=True)
    finished = [result for result in results if isinstance(result, list)]
    differences = [difference for result in finished for difference in result]
    print(
        f"\n{len(finished)} requests, {len(differences)} tokens, "
        f"{sum(isinstance(r, asyncio.CancelledError) for r in results)} aborted, "
        f"{preemptions() - before:.0f} preemptions: "
        f"at most {max(differences):.2e} nats, on average {sum(differences) / len(differences):.2e}"
    )
    assert len(finished) >= 280
    assert not [r for r in results if not isinstance(r, list | asyncio.CancelledError)]
    assert max(differences) <= TOLERANCE_NATS


async def test_entropies_survive_preemption(engine):
    """More text than the key-value cache holds: vLLM throws requests out and runs them again."""
    before = preemptions()
    prompts = [EncodedPrompt((40 + n,) * 60) for n in range(12)]
    options = GenerationOptions(max_tokens=150, temperature=1.0, seed=1)
    assert KV_BLOCKS < 12 * 210 / 32
    results = await asyncio.gather(*(engine.differences(prompt, options) for prompt in prompts))
    assert preemptions() > before
    assert max(difference for result in results for difference in result) <= TOLERANCE_NATS


async def test_every_parallel_sample_has_its_own_entropies(engine):
    prompt = EncodedPrompt((9, 8, 7))
    samples = await asyncio.gather(
        *(
            engine.generate(prompt, GenerationOptions(12, 1.0, seed=seed), entropies=True)
            for seed in range(10)
        )
    )
    for sample in samples:
        assert isinstance(sample.entropies, TokenEntropies)
        assert sample.entropies.exact
        assert len(sample.entropies.lower) == sample.tokens
    # The first token's distribution is the prompt's, the same for all up to batching noise; what
    # follows is each sample's own.
    firsts = [sample.entropies.lower[0] for sample in samples]
    assert max(firsts) - min(firsts) < 1e-3
    assert len({sample.entropies.lower[-1] for sample in samples}) > 5


async def test_aborted_requests_leave_nothing_behind(engine):
    """What they had is dropped with the next collection."""
    work = [
        asyncio.create_task(
            engine.generate(
                EncodedPrompt((5, n)), GenerationOptions(400, 1.0, seed=n), entropies=True
            )
        )
        for n in range(4)
    ]
    async with asyncio.timeout(120):
        while not await engine.kept_entropies():
            pass
    aborted = [task.cancel() for task in work]
    assert any(aborted)
    await asyncio.gather(*work, return_exceptions=True)
    await engine.generate(EncodedPrompt((5,)), GenerationOptions(1), entropies=True)
    await engine.generate(EncodedPrompt((5,)), GenerationOptions(1), entropies=True)
    assert await engine.kept_entropies() == 0


async def test_entropies_that_nobody_asked_for_are_not_kept(engine):
    await engine.generate(EncodedPrompt((5,)), GenerationOptions(4), entropies=False)
    assert await engine.kept_entropies() == 0
