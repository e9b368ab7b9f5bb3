"""The starter policy flags as many of the answers it was made from as it was asked to."""

import math

import pytest

from ucbd.app.boundaries import made_boundaries
from ucbd.app.settings import Settings
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.diagnosis.starter import NoStarterPolicy, starter
from ucbd.cascade.evaluation.recorded import decided
from ucbd.cascade.evaluation.records import Record
from ucbd.cascade.evaluation.score import ScoredRecord, score
from ucbd.cascade.policy import Policy

CLUSTERERS = {"jaccard": Jaccard()}
BOUNDARIES = made_boundaries(Settings(), CLUSTERERS, None)
WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "jetty"]


async def record(place: int, *, entropies: bool = True, samples: int = 10) -> ScoredRecord:
    """Question ``place`` of a hundred: its tokens are less certain the later it stands.

    Of the later half the answer is one of several that the samples give.
    """
    kinds = 1 + (place - 50) // 10 if place >= 50 else 1
    answer = {"text": WORDS[0], "tokens": 1}
    if entropies:
        answer["token_entropies"] = [0.01 * place]
    made = Record.model_validate(
        {
            "id": str(place),
            "prompt": "What is it called?",
            "answer": answer,
            "samples": [{"text": WORDS[i % kinds]} for i in range(samples)],
        }
    )
    return await score(made, CLUSTERERS, "jaccard")


async def flagged(records: list[ScoredRecord], policy: dict[str, object]) -> float:
    """By the cascade, of the plain records."""
    read = Policy.model_validate(policy)
    plain = [Record.model_validate_json(one.written()) for one in records]
    found = [await decided(one, read, BOUNDARIES, "jaccard") for one in plain]
    return sum((one.model_extra or {})["decision"] != "answer" for one in found) / len(found)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
async def test_it_flags_the_share_that_was_asked_for(rate: float):
    records = [await record(place) for place in range(100)]
    made = await starter(records, BOUNDARIES, "jaccard", rate, "m", 10)
    assert made.flagged == pytest.approx(await flagged(records, made.policy))
    assert rate - 0.03 <= made.flagged <= rate


async def test_the_surest_half_is_answered_without_samples():
    records = [await record(place) for place in range(100)]
    made = await starter(records, BOUNDARIES, "jaccard", 0.1, "m", 10)
    fluency = made.policy["stages"][0]
    # the median entropy is .495 nats, which is an uncertainty of 1 − e^−.495
    assert fluency["accept"] == pytest.approx(1 - math.exp(-0.495), abs=1e-6)


async def test_without_entropies_there_is_none():
    """Nothing would rank the answers of one cluster, and the cascade would flag them all."""
    records = [await record(place, entropies=False) for place in range(100)]
    with pytest.raises(NoStarterPolicy, match="no log-probabilities"):
        await starter(records, BOUNDARIES, "jaccard", 0.2, "m", 10)


async def test_without_samples_there_is_none():
    with pytest.raises(NoStarterPolicy, match="two usable samples"):
        await starter([await record(0, samples=0)], BOUNDARIES, "jaccard", 0.1, "m", 10)
