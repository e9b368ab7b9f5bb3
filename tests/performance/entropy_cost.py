"""What exact entropies cost the engine: sent by the worker, or asked for, beside none.

    .venv/bin/python -m tests.performance.entropy_cost

The embedded model in this process, without HTTP, one question at a time and 32 at once, in turns.
Ratios are of answers a second, with entropies ÷ without. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import time

from loadtest.against_engine import MODEL, QUESTIONS
from loadtest.pairs import ratio, round_count
from ucbd.models.generation import EncodedPrompt, GenerationOptions
from ucbd.models.vllm_engine import VllmEngine
from ucbd.models.vllm_start import EngineSettings

WAYS = ("none", "sent", "asked")


async def rate(
    engine: VllmEngine, prompts: list[EncodedPrompt], way: str, at_once: int, count: int
) -> float:
    """Answers a second."""
    collector = engine._entropies
    if way == "asked":
        collector.close()  # the worker keeps what nobody takes
    elif not collector._lines:
        await collector.connect()
    left = iter(range(count))

    async def ask() -> None:
        for turn in left:
            prompt = prompts[turn % len(prompts)]
            told = await engine.generate(prompt, GenerationOptions(64), entropies=way != "none")
            assert way == "none" or told.entropies.exact

    start = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(at_once)))
    return count / (time.perf_counter() - start)


async def measure(rounds: int) -> dict[str, dict[str, object]]:
    """By how many are asked at once: the ratios of either way."""
    engine = await VllmEngine.start(EngineSettings(str(MODEL), "reference-dpo", dtype="float32"))
    questions = [json.loads(line)["prompt"] for line in QUESTIONS.read_text().splitlines()[:40]]
    prompts = [await engine.encode(question) for question in questions]
    result = {}
    for at_once, count in ((1, 100), (32, 800)):
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(rounds + 1):
            for way in WAYS:
                seen = await rate(engine, prompts, way, at_once, count)
                if turn:
                    found[way].append(seen)
        result[f"at {at_once}"] = {way: ratio(found[way], found["none"]) for way in WAYS[1:]}
    await engine.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=round_count, default=15)
    print(json.dumps(asyncio.run(measure(parser.parse_args().rounds))))


if __name__ == "__main__":
    main()
