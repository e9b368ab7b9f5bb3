"""vLLM's ``AsyncLLM`` in a bare loop: no HTTP, no entropy, no log-probabilities. The limit.

Reads ``CONCURRENCY SECONDS`` from standard input, keeps so many requests running for so long, and
writes ``{"per_second", "p50_ms"}``; until its input ends.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any


async def press(
    llm: Any, prompts: Iterator[list[int]], params: Any, concurrency: int, seconds: float
) -> dict[str, float]:
    from vllm.inputs import tokens_input

    taken: list[float] = []
    start = time.perf_counter()
    numbers = itertools.count()

    async def ask_again_and_again(who: int) -> None:
        while (began := time.perf_counter()) < start + seconds:
            tokens, name = tokens_input(next(prompts)), f"{start}-{who}-{next(numbers)}"
            async for _ in llm.generate(tokens, params, name):
                pass
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*map(ask_again_and_again, range(concurrency)))
    elapsed = time.perf_counter() - start
    return {"per_second": len(taken) / elapsed, "p50_ms": 1000 * statistics.median(taken)}


async def serve(model: str, questions: list[str], max_tokens: int) -> None:
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    llm = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=model,
            enforce_eager=True,
            block_size=32,
            max_num_seqs=128,
            enable_prefix_caching=True,
            enable_log_requests=False,
        )
    )
    tokenizer = llm.get_tokenizer()
    turns = ([{"role": "user", "content": question}] for question in questions)
    encoded = [
        list(tokenizer.apply_chat_template(t, add_generation_prompt=True, return_dict=False))
        for t in turns
    ]
    params = SamplingParams(
        max_tokens=max_tokens, temperature=0.0, output_kind=RequestOutputKind.FINAL_ONLY
    )
    prompts = itertools.cycle(encoded)
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        concurrency, seconds = line.split()
        found = await press(llm, prompts, params, int(concurrency), float(seconds))
        print(json.dumps(found), flush=True)
    llm.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--questions", required=True, help="a JSON list of texts")
    parser.add_argument("--max-tokens", type=int, default=64)
    given = parser.parse_args()
    asyncio.run(serve(given.model, json.loads(given.questions), given.max_tokens))
