"""What the arithmetic of one request takes, in microseconds: the issue's sizes, and larger ones.

    .venv/bin/python -m tests.performance.arithmetic

The parts take turns, so that a busy moment of the machine meets all of them; the last line is one
JSON object. Texts and log-probabilities are seeded. No text is read twice, so that nothing that a
clusterer remembers of one helps it.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.entropy import discrete_semantic_entropy, summarise
from ucbd.cascade.scores import weighted_semantic_entropy
from ucbd.models.top_k import entropy_bounds

AIMS = {"jaccard": 150, "semantic entropies": 100, "bounds 200 x 20": 300}
"""Microseconds at most (issue 8, point 5)."""

QUESTION = "What is known of the harbour at Lorne?"
_CLUSTERS = (4, 3, 2, 1)


def answers(seed: int, count: int, words: int) -> list[str]:
    """Answers that share four fifths of their words in the same order, as samples do."""
    dice = random.Random(seed)
    letters = "abcdeghiklmnoprstuvw"
    known = ["".join(dice.choices(letters, k=dice.randint(2, 9))) for _ in range(400)]
    said = dice.choices(known, k=words)
    return [
        " ".join(word if dice.random() < 0.8 else dice.choice(known) for word in said) + "."
        for _ in range(count)
    ]


def logprobs(tokens: int, top: int) -> list[list[float]]:
    """The largest log-probabilities of distributions over a thousand tokens."""
    logits = np.random.default_rng(0).normal(0, 3, (tokens, 1000))
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return (-np.sort(-logits, axis=1)[:, :top]).tolist()


def clustered(clusterer: Clusterer, texts: Sequence[str]) -> None:
    """Run a clusterer that never waits."""
    try:
        clusterer.cluster(texts[0], texts[1:], question=QUESTION).send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise RuntimeError(f"{clusterer} waited for something")


def parts() -> dict[str, Callable[[int], Any]]:
    """Each part of the arithmetic; it is given the number of the round."""
    likelihoods, labels = [-0.1 * n for n in range(10)], [n % 4 for n in range(10)]
    short, long = logprobs(16, 20), logprobs(200, 20)
    measured = entropy_bounds(long, 20, 128_000)
    guarded = Guarded(Combined())
    return {
        "jaccard": lambda n: clustered(Jaccard(), answers_of[n]),
        "combined, guarded": lambda n: clustered(guarded, answers_of[n]),
        "semantic entropies": lambda _: (
            discrete_semantic_entropy(_CLUSTERS),
            weighted_semantic_entropy(likelihoods, labels),
        ),
        "bounds 16 x 20": lambda _: entropy_bounds(short, 20, 128_000),
        "bounds 200 x 20": lambda _: entropy_bounds(long, 20, 128_000),
        "summary of 200": lambda _: summarise(measured),
    }


answers_of: dict[int, list[str]] = {}


def measure(rounds: int, samples: int, words: int) -> dict[str, list[float]]:
    """Microseconds of each part in each round."""
    found: dict[str, list[float]] = {}
    work = parts()
    gc.disable()
    for turn in range(-2, rounds):
        answers_of[turn] = answers(turn, samples + 1, words)
        for name, part in work.items():
            start = time.perf_counter()
            part(turn)
            taken = 1e6 * (time.perf_counter() - start)
            if turn >= 0:
                found.setdefault(name, []).append(taken)
        del answers_of[turn]
    gc.enable()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--words", type=int, default=60)
    given = parser.parse_args()
    found = measure(given.rounds, given.samples, given.words)
    print(f"{'microseconds':<22}{'p10':>8}{'p50':>8}{'p90':>8}{'aim':>8}")
    table = {}
    for name, taken in found.items():
        cuts = statistics.quantiles(taken, n=10, method="inclusive")
        table[name] = {"p10": round(cuts[0]), "p50": round(cuts[4]), "p90": round(cuts[8])}
        print(f"{name:<22}" + "".join(f"{v:>8}" for v in table[name].values()), AIMS.get(name, ""))
    print(json.dumps({"samples": given.samples, "words": given.words, "us": table}))


if __name__ == "__main__":
    main()
