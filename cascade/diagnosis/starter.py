"""A first policy without labels: thresholds at quantiles, for a share of requests to be flagged.

Flags the answers that are least certain *for this model*, as many as were asked for, and says
nothing of how many of them are wrong: that takes labels (`ucbd calibrate`). Tried on the very
answers it was made from, through the cascade itself. Knows policies, not how a stage measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ucbd.cascade.case import Boundary
from ucbd.cascade.evaluation.recorded import decided
from ucbd.cascade.evaluation.records import Record
from ucbd.cascade.evaluation.score import ScoredRecord, token_entropy
from ucbd.cascade.policy import Policy
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Missing

_ROUNDS = 12  # halvings of the quantile: finer than a thousandth


class NoStarterPolicy(GatewayError):
    """Records that no threshold can be set from, and why."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A policy as a file holds it, and the share of the answers it was made from that it flags."""

    policy: dict[str, Any]
    flagged: float


async def starter(
    records: Sequence[ScoredRecord],
    boundaries: Mapping[str, Boundary],
    clusterer: str,
    flag_rate: float,
    model: str,
    samples: int,
) -> Starter:
    """The policy that flags as near to ``flag_rate`` of these answers as it can without exceeding.

    ``samples`` is the N that they were drawn with. Both thresholds stand at the same quantile of
    their scores. The surest half of the answers, by token entropy, is answered without samples.
    Some answers are flagged by any threshold (empty ones, and those that all samples contradict),
    so that ``flagged`` may exceed a small rate. Raises ``NoStarterPolicy`` without both scores.
    """
    entropies, signal = _entropies(records)
    dispersions = [
        value
        for record in records
        if (value := record.scores.get(f"semantic_entropy:{clusterer}")) is not None
    ]
    if not dispersions:
        raise NoStarterPolicy("no starter policy: no question has two usable samples")
    if not entropies:
        raise NoStarterPolicy(
            "no starter policy: the server gives no log-probabilities, and without token entropies "
            "nothing ranks the answers on which all samples agree"
        )

    def at(quantile: float) -> dict[str, Any]:
        about = _about(model, flag_rate, signal)
        found = _policy(entropies, dispersions, quantile, about)
        return found | {"clusterer": clusterer, "samples": samples}

    low, high = 0.0, 1.0  # flags too many, flags few enough
    best = Starter(at(high), await _flagged(records, boundaries, clusterer, at(high)))
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        share = await _flagged(records, boundaries, clusterer, at(middle))
        if share > flag_rate:
            low = middle
        else:
            high, best = middle, Starter(at(middle), share)
    return best


def _policy(
    entropies: Sequence[float],
    dispersions: Sequence[float],
    quantile: float,
    about: str,
) -> dict[str, Any]:
    accept = -float(np.expm1(-np.quantile(entropies, 0.5)))
    fire = float(np.quantile(entropies, quantile))
    return {
        "schema": 1,
        "description": about,
        "stages": [
            {"stage": "fluency", "fire": fire, "accept": round(accept, 6)},
            {"stage": "sampling", "fire": float(np.quantile(dispersions, quantile))},
        ],
        "threshold": 1.0,
    }


def _entropies(records: Sequence[ScoredRecord]) -> tuple[list[float], str | None]:
    found = [token_entropy(record) for record in records]
    known = [one for one in found if not isinstance(one, Missing)]
    return [one.score for one in known], known[0].signal if known else None


def _about(model: str, flag_rate: float, signal: str | None) -> str:
    return (
        f"UNCALIBRATED starter policy for {model}: thresholds at quantiles of {signal} and of "
        f"semantic entropy over the answers of a diagnosis, to flag about {flag_rate:.0%} of such "
        "questions. Made without labels: it claims no error rate."
    )


async def _flagged(
    records: Sequence[ScoredRecord],
    boundaries: Mapping[str, Boundary],
    clusterer: str,
    content: dict[str, Any],
) -> float:
    """The share of these answers that the cascade would not simply answer."""
    policy = Policy.model_validate(content)
    flagged, n = 0, 0
    for record in records:
        if record.answer is not None:
            judged = await decided(_plain(record), policy, boundaries, clusterer)
            flagged += (judged.model_extra or {})["decision"] != "answer"
            n += 1
    return flagged / n if n else 0.0


def _plain(record: ScoredRecord) -> Record:
    return Record.model_validate(
        record.model_dump(exclude_unset=True, exclude={"scores", "clusters"})
    )
