"""What exact entropy costs where logits are large: a vocabulary of 128,256, weights made up.

    .venv/bin/python -m tests.performance.large_vocabulary --hidden 1024 --layers 4

vLLM takes a configuration and no weights (``load_format="dummy"``). The same requests in turns:
with nothing, with the processor's entropies, collected as the gateway does, and with 20
log-probabilities. The shape of an 8B model, ``--hidden 4096 --layers 32``, needs a GPU. The last
line is one JSON object.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ucbd.models.exact_entropy import ENTROPY_ID, PROCESSOR, WORKER_EXTENSION
from ucbd.models.vllm_collect import EntropyCollector

VOCABULARY = 128_256
WAYS = ("nothing", "entropy", "logprobs=20")
_IDS = itertools.count()


def configuration(hidden: int, layers: int) -> dict[str, Any]:
    """Llama 3's, at that width and depth."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": 7 * hidden // 2,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 128,
        "num_key_value_heads": max(1, hidden // 512),
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "torch_dtype": "bfloat16",
        "bos_token_id": 128000,
        "eos_token_id": 128001,
    }


def started(folder: Path) -> Any:
    """The engine, as the gateway starts it."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=str(folder),
            load_format="dummy",
            skip_tokenizer_init=True,
            enforce_eager=True,
            block_size=32,
            max_model_len=512,
            max_num_seqs=64,
            logits_processors=[PROCESSOR],
            worker_extension_cls=WORKER_EXTENSION,
        )
    )


async def answer(llm: Any, way: str, tokens: int, collector: EntropyCollector) -> int:
    """Generate so many tokens; returns how many there are entropies of."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    name = str(next(_IDS))
    collector.expect(name)
    params = SamplingParams(
        max_tokens=tokens,
        ignore_eos=True,
        temperature=0.0,
        detokenize=False,
        logprobs=20 if way == "logprobs=20" else None,
        extra_args={ENTROPY_ID: name} if way == "entropy" else None,
    )
    prompt = tokens_input([(7 * n + next(_IDS)) % 1000 for n in range(32)])
    async for _ in llm.generate(prompt, params, name):
        pass
    if way != "entropy":
        collector.forget(name)
        return 0
    return len(await collector.collect(name, tokens))


async def rates(folder: Path, rounds: int, at_once: int, tokens: int) -> dict[str, list[float]]:
    """Tokens a second of each way, in each round but the first."""
    llm = started(folder)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    collector = EntropyCollector(llm)
    await collector.connect()
    try:
        for turn in range(rounds + 1):
            for way in WAYS:
                start = time.perf_counter()
                kept = await asyncio.gather(
                    *(answer(llm, way, tokens, collector) for _ in range(at_once))
                )
                taken = time.perf_counter() - start
                if way == "entropy" and min(kept) < tokens:
                    raise SystemExit(f"entropies of {min(kept)} of {tokens} tokens")
                if turn:
                    found[way].append(at_once * tokens / taken)
    finally:
        llm.shutdown()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shape = configuration(given.hidden, given.layers)
        (Path(folder) / "config.json").write_text(json.dumps(shape))
        found = asyncio.run(rates(Path(folder), given.rounds, given.at_once, given.tokens))
    result: dict[str, Any] = {"hidden": given.hidden, "layers": given.layers}
    for way, values in found.items():
        pairs = zip(values, found["nothing"], strict=True)
        ratios = sorted(ours / plain for ours, plain in pairs)
        middle = statistics.median(ratios)
        print(f"{way:<14}{statistics.median(values):>10.1f} tokens/s  {middle:>6.3f} of nothing")
        result[way] = {"median": round(middle, 4), "min": round(ratios[0], 4)}
        result[way]["max"] = round(ratios[-1], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
