"""Labelled answers of a made-up model whose every probability is known."""

from collections.abc import Sequence

import numpy as np

from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.freshness import Freshness
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.calibration.calibrate import calibrated
from ucbd.cascade.calibration.lifecycle import Wanted
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.evaluation.recorded import outcome_of
from ucbd.cascade.evaluation.records import Record, label
from ucbd.cascade.ladder import Rung
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy

BOUNDARIES = {
    "freshness": Freshness([]),
    "fluency": Fluency(),
    "sampling": Sampling({"jaccard": Jaccard()}),
}
BASE = Policy(
    schema=1,
    description="made up",
    stages=[{"stage": "fluency"}, {"stage": "sampling"}],
    threshold=0.5,
    samples=5,
    stop_error=0.05,
    clusterer="jaccard",
)
OTHERS = ("Dole", "Holm", "Ask", "Vik", "Lund")


def records(n: int, seed: int, alike: float = 0.4, spread: float = 1.0) -> list[Record]:
    """``n`` questions of difficulties d, uniform on [0, 1]; an answer is wrong with probability
    ``d ** 2``.

    Its two tokens have entropies around ``spread · d`` nats, and each of its five samples says
    something else with probability d, but for the share ``alike`` of questions on which all say
    what it says, right or wrong.
    """
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        d = rng.random()
        entropies = rng.gamma(4, spread * (d + 0.02) / 4, size=2)
        said = ["Tarn"] * 5
        if rng.random() > alike:
            said = [str(rng.choice(OTHERS)) if rng.random() < d else "Tarn" for _ in range(5)]
        found.append(
            Record.model_validate(
                {
                    "id": f"q{i}",
                    "prompt": f"Where was number {i} born?",
                    "answer": {"text": "Tarn", "tokens": 2, "token_entropies": entropies.tolist()},
                    "samples": [{"text": text, "tokens": 2} for text in said],
                    "correct": bool(rng.random() > d**2),
                    "model": "made-up",
                    "model_revision": "1",
                    "sampling": {"n": 5, "temperature": 1.0},
                    "group": "even" if i % 2 == 0 else "odd",
                }
            )
        )
    return found


async def run(
    some: Sequence[Record], policy: Policy, rung: Rung = "all", explain: bool = False
) -> list[Outcome]:
    """The cascade on records."""
    found = [
        await outcome_of(record, policy, BOUNDARIES, "jaccard", explain=explain, rung=rung)
        for record in some
    ]
    return [outcome for outcome in found if outcome is not None]


async def profile(
    some: Sequence[Record], alpha: float = 0.2, base: Policy = BASE, **wanted: object
) -> Policy:
    """A profile from records."""
    return await calibrated(some, base, run, Wanted(alpha, 0.05, **wanted))


def share_wrong(some: Sequence[Record], outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Coverage, and the share of wrong answers among the answered."""
    answered = [r for r, o in zip(some, outcomes, strict=True) if o.decision == "answer"]
    wrong = sum(label(record) is False for record in answered)
    return len(answered) / len(some), wrong / max(1, len(answered))
