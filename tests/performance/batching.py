"""What micro-batching gains: NLI of short pairs and sentence embeddings, 32 callers against one.

    .venv/bin/python -m tests.performance.batching

Every pair and every sentence is new, so that nothing is remembered. In turns: as many as come from
one caller that waits for each, and from 32 at once. The last line is one JSON object.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from ucbd.models.embedder import MiniLM
from ucbd.models.nli import EMBEDDED_NLI, CrossEncoder

CALLERS = 32
_NUMBERS = itertools.count()

Ask = Callable[[], Awaitable[object]]


def asks(nli: CrossEncoder, embedder: MiniLM) -> dict[str, Ask]:
    """One small piece of work of each model, another one each time."""

    def judge() -> Awaitable[object]:
        n = next(_NUMBERS)
        return nli.judge([(f"She was born in Tarn in {n}.", f"She comes from Dole, {n}.")])

    def embed() -> Awaitable[object]:
        return embedder.embed([f"She was born in the town of Tarn in {next(_NUMBERS)}."])

    return {"nli": judge, "embedding": embed}


async def rate(ask: Ask, callers: int, seconds: float) -> float:
    """Answers a second."""
    start = time.perf_counter()
    count = 0

    async def again_and_again() -> None:
        nonlocal count
        while time.perf_counter() < start + seconds:
            await ask()
            count += 1

    await asyncio.gather(*(again_and_again() for _ in range(callers)))
    return count / (time.perf_counter() - start)


async def measure(rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Of each model, (one caller's, 32 callers') answers a second in each round."""
    nli, embedder = CrossEncoder(EMBEDDED_NLI), MiniLM()
    await nli.load()
    await embedder.load()
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds + 1):
        for name, ask in asks(nli, embedder).items():
            pair = (await rate(ask, 1, seconds), await rate(ask, CALLERS, seconds))
            if turn:
                found.setdefault(name, []).append(pair)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1)
    given = parser.parse_args()
    result = {}
    for name, pairs in asyncio.run(measure(given.rounds, given.seconds)).items():
        gains = sorted(many / one for one, many in pairs)
        alone, together = (statistics.median(values) for values in zip(*pairs, strict=True))
        result[name] = {"median": round(statistics.median(gains), 2)}
        result[name] |= {"min": round(gains[0], 2), "max": round(gains[-1], 2)}
        print(f"{name:<12}{alone:>8.0f} /s alone {together:>8.0f} /s by 32 at once", result[name])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
