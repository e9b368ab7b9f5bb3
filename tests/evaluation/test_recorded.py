"""The cascade on recordings: decisions by hand, costs of what was reached, no answer."""

from typing import Any

import pytest

from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.evaluation.recorded import RecordedEngine, decided, generated_tokens
from ucbd.cascade.evaluation.records import Answer, Record, Sample
from ucbd.cascade.policy import Policy, Rule
from ucbd.models.errors import EngineUnavailable
from ucbd.models.generation import EncodedPrompt, GenerationOptions

POLICY = Policy(
    schema=1,
    description="by hand",
    stages=(
        Rule(stage="fluency", fire=1.0, accept=0.05),
        Rule(stage="sampling", fire=1.0, accept=0.5),
    ),
    threshold=0.5,
    samples=4,
    clusterer="jaccard",
)
BOUNDARIES = {"fluency": Fluency(), "sampling": Sampling({"jaccard": Jaccard()})}
DOUBTFUL = {"text": "In Tarn.", "tokens": 4, "token_entropies": [0.5, 0.5, 0.5, 0.5]}


async def decide(**keys: Any) -> dict[str, Any]:
    record = Record.model_validate({"id": "q", "prompt": "Where was she born?", **keys})
    found = await decided(record, POLICY, BOUNDARIES, "jaccard")
    return found.model_dump(exclude_unset=True)


def samples(*texts: str) -> list[dict[str, object]]:
    return [{"text": text, "tokens": 3} for text in texts]


async def test_a_sure_answer_is_answered_and_its_samples_would_have_cost_nothing():
    sure = {"text": "In Tarn.", "tokens": 4, "token_entropies": [0.01] * 4}
    found = await decide(answer=sure, samples=samples("In Tarn.", "In Dole.", "No.", "Perhaps."))
    assert found["decision"] == "answer"
    assert [(s["name"], s["outcome"], s["cost"]) for s in found["stages"]] == [
        ("fluency", "accepted", 0.0),
        ("sampling", "skipped", 0.0),
    ]


async def test_samples_that_differ_fire_and_cost_their_tokens():
    found = await decide(answer=DOUBTFUL, samples=samples("In Tarn.", "Dole.", "No.", "Perhaps."))
    assert found["decision"] == "abstain"
    sampling = found["stages"][1]
    # four clusters: ln 4 = 1.386 nats; 4 samples of 3 tokens for an answer of 4
    assert (sampling["outcome"], sampling["cost"]) == ("fired", 3.0)
    assert sampling["score"] == pytest.approx(1.3863, abs=1e-4)


async def test_the_cascades_score_is_the_combined_uncertainty_of_what_could_rank():
    several = samples("In Tarn.", "In Tarn.", "In Tarn.", "Dole.")
    found = await decide(answer=DOUBTFUL, samples=several)
    fluency = (await decide(answer=DOUBTFUL))["scores"]["cascade"]
    # support is 3 of 4, so sampling's uncertainty is .25; the two weigh the same
    assert found["scores"]["cascade"] == pytest.approx((fluency + 0.25) / 2)


async def test_one_cluster_leaves_the_score_to_the_tokens():
    agreeing = await decide(answer=DOUBTFUL, samples=samples(*["In Tarn."] * 4))
    alone = await decide(answer=DOUBTFUL)
    assert agreeing["stages"][1]["outcome"] == "uninformative"
    assert agreeing["scores"] == alone["scores"]


async def test_no_more_samples_are_used_than_the_policy_draws():
    found = await decide(answer=DOUBTFUL, samples=samples(*["In Tarn."] * 4, "Dole.", "No."))
    assert found["stages"][1]["outcome"] == "uninformative"


async def test_without_samples_sampling_is_skipped_and_says_why():
    stage = (await decide(answer=DOUBTFUL))["stages"][1]
    assert (stage["outcome"], stage["reason"]) == ("skipped", "forbidden")


async def test_without_an_answer_nothing_is_decided_and_an_old_decision_is_dropped():
    found = await decide(decision="answer", scores={"cascade": 0.1})
    assert (found["decision"], found["stages"], found["scores"]) == (None, None, {"cascade": None})


async def test_entropies_that_were_not_recorded_are_no_evidence():
    found = await decide(answer={"text": "In Tarn."})
    assert found["decision"] == "abstain"
    assert found["scores"]["cascade"] is None
    assert found["stages"][0]["outcome"] == "unavailable"


async def test_everything_else_in_the_record_stays():
    found = await decide(answer=DOUBTFUL, correct=None, kind="fact", group="g")
    assert (found["correct"], found["kind"], found["group"]) == (None, "fact", "g")


async def test_a_recording_without_samples_or_next_tokens_says_so():
    record = Record(id="q", prompt="?", answer=Answer(text="x"))
    engine = RecordedEngine(record, Answer(text="x"))
    with pytest.raises(EngineUnavailable, match="no samples"):
        await engine.generate(EncodedPrompt(()), GenerationOptions(1), entropies=False)
    with pytest.raises(EngineUnavailable, match=r"no P\(True\)"):
        await engine.next_token(EncodedPrompt(()), 20)


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        (Answer(text="a b c", tokens=7, token_entropies=[0.1]), 7),
        (Answer(text="a b c", token_entropies=[0.1, 0.2]), 2),
        (Answer(text="a b c", top_logprobs=[[-0.1]]), 1),
        (Sample(text="a b c", token_logprobs=[-0.1, -0.2, -0.3, -0.4]), 4),
        (Sample(text="a b c"), None),
    ],
)
def test_tokens_are_counted_however_the_record_tells(said: Answer | Sample, tokens: int | None):
    assert generated_tokens(said) == tokens
