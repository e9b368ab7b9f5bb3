"""A record's scores by hand, what is absent, and the recordings of real models."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.clustering.nli import Nli
from ucbd.cascade.evaluation.records import Answer, Record, Sample, read_records
from ucbd.cascade.evaluation.report import report
from ucbd.cascade.evaluation.score import SIGNALS, Clusters, ScoredRecord, score
from ucbd.models.nli import Judgement

CLUSTERERS = {"jaccard": Jaccard(), "exact": Exact()}
RECORDINGS = Path(__file__).parents[3] / "shared" / "data"


def record(**keys: Any) -> Record:
    return Record.model_validate({"id": "q", "prompt": "Where was she born?", **keys})


def samples(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


async def scored(*, default: str = "jaccard", keep_reasoning: bool = False, **keys: Any):
    return await score(record(**keys), CLUSTERERS, default, keep_reasoning=keep_reasoning)


async def test_every_signal_by_hand():
    found = await scored(
        answer={"text": "In Tarn.", "token_entropies": [0.5, 1.5, 1.0], "tokens": 4, "p_true": 0.7},
        samples=samples("In Tarn.", "in tarn.", "In Tarn.", "In Dole."),
        scores={"cascade": 0.4},
    )
    # by jaccard {in tarn.} of three and {in dole.}; by exact 2, 1, 1
    two = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    three = -(0.5 * math.log(0.5) + 0.5 * math.log(0.25))
    assert found.scores == pytest.approx(
        {
            "mean_token_entropy": 1.0,
            "max_token_entropy": 1.5,
            "std_token_entropy": math.sqrt(1 / 6),
            "semantic_entropy": two,
            "semantic_entropy:jaccard": two,
            "semantic_entropy:exact": three,
            "disagreement": 0.25,
            "p_true": 0.3,
            "answer_length": 4,
            "cascade": 0.4,
        }
    )
    assert found.clusters["jaccard"] == Clusters(
        count=2, labels=[0, 0, 0, 1], clusterer="jaccard(threshold=0.4)"
    )
    assert found.clusters["exact"].labels == [0, 1, 0, 2]


async def test_the_bare_signals_are_those_of_the_default_clusterer():
    keys = {
        "answer": {"text": "In Tarn."},
        "samples": samples("In Tarn.", "in tarn.", "In Tarn.", "In Dole."),
    }
    found = await scored(default="exact", **keys)
    assert found.scores["semantic_entropy"] == found.scores["semantic_entropy:exact"]
    assert found.scores["disagreement"] == 0.5
    found = await scored(default="another", **keys)
    assert found.scores["semantic_entropy"] is None
    assert found.scores["disagreement"] is None


async def test_what_a_record_does_not_allow_is_none_and_never_zero():
    found = await scored()
    assert found.scores == dict.fromkeys(
        [*SIGNALS, "semantic_entropy:jaccard", "semantic_entropy:exact"]
    )
    assert found.clusters == {}


async def test_samples_without_an_answer_have_clusters_and_no_disagreement():
    found = await scored(samples=samples("In Tarn.", "In Dole."))
    assert found.clusters["jaccard"].count == 2
    assert found.scores["semantic_entropy"] == pytest.approx(math.log(2))
    assert found.scores["disagreement"] is None


async def test_below_two_usable_samples_there_is_no_agreement():
    found = await scored(answer={"text": "In Tarn."}, samples=samples("In Tarn.", " ", ""))
    assert found.clusters["jaccard"].labels == [0]
    assert found.scores["semantic_entropy"] is None
    assert found.scores["disagreement"] is None
    found = await scored(answer={"text": "In Tarn."}, samples=samples("", ""))
    assert found.clusters["jaccard"].count == 0
    assert report([found], "jaccard")["homogenization"]["jaccard"]["scr"] is None


async def test_unanimous_samples_that_the_answer_is_not_among_disagree_with_it():
    found = await scored(answer={"text": "In Dole."}, samples=samples("In Tarn.", "In Tarn."))
    assert found.scores["disagreement"] == 1
    assert found.scores["semantic_entropy"] == 0


async def test_reasoning_is_stripped_before_clustering_unless_it_is_to_be_kept():
    keys = {
        "answer": {"text": "<think>a b c</think>In Tarn."},
        "samples": samples("<think>hm so</think>In Tarn.", "<think>well now then</think>In Tarn."),
    }
    found = await scored(default="exact", **keys)
    assert found.clusters["exact"].count == 1
    assert found.scores["disagreement"] == 0
    assert found.scores["answer_length"] == 2
    kept = await scored(default="exact", keep_reasoning=True, **keys)
    assert kept.clusters["exact"].count == 2
    assert kept.clusters["exact"].reasoning
    assert kept.scores["answer_length"] == 4


async def test_a_sample_that_is_only_reasoning_is_no_sample():
    found = await scored(samples=samples("<think>for ever", "In Tarn.", "In Tarn."))
    assert found.clusters["exact"].labels == [0, 0]


async def test_length_is_in_tokens_however_they_are_told_else_in_words():
    async def length(**answer: Any) -> float | None:
        return (await scored(answer={"text": "She was born.", **answer})).scores["answer_length"]

    assert await length(tokens=9, token_entropies=[1.0]) == 9
    assert await length(token_entropies=[1.0, 2.0]) == 2
    assert await length(token_logprobs=[-0.1] * 5) == 5
    assert await length() == 3


async def test_top_log_probabilities_give_the_middle_of_their_bounds():
    # (0.6, 0.2, 0.1) of 1,000 words: between 1.088900 and 1.779375 (method.md section 3)
    answer = {"text": "x", "top_logprobs": [[math.log(p) for p in (0.6, 0.2, 0.1)]]}
    found = await scored(answer=answer, vocab_size=1000)
    assert found.scores["mean_token_entropy"] == pytest.approx((1.0889 + 1.779375) / 2, abs=1e-5)
    # Without the vocabulary there is no upper bound: a lower bound is another signal.
    found = await scored(answer=answer)
    assert found.scores["mean_token_entropy"] is None
    assert found.scores["mean_token_entropy(lower)"] == pytest.approx(1.0889, abs=1e-5)


async def test_scores_that_a_record_brings_are_made_anew_but_for_the_cascades():
    found = await scored(
        answer={"text": "In Tarn.", "token_entropies": [1.0]},
        scores={"cascade": 0.2, "mean_token_entropy": 99.0, "semantic_entropy:stale": 3.0},
    )
    assert found.scores["cascade"] == 0.2
    assert found.scores["mean_token_entropy"] == 1.0
    assert "semantic_entropy:stale" not in found.scores


async def test_what_else_a_record_says_is_carried_through():
    found = await scored(kind="fact", stages=[{"name": "fluency", "cost": 0.0}], mine={"a": [1]})
    written = found.model_dump(mode="json")
    assert written["mine"] == {"a": [1]}
    assert written["kind"] == "fact"


async def test_a_scored_record_is_a_record_and_scores_the_same_again():
    found = await scored(
        answer={"text": "In Tarn.", "token_entropies": [0.5, 1.5]},
        samples=samples("In Tarn.", "In Dole."),
        scores={"cascade": 0.4},
        correct=None,
    )
    again = await score(Record.model_validate(found.model_dump(mode="json")), CLUSTERERS, "jaccard")
    assert again.scores == found.scores
    assert again.clusters == found.clusters
    assert (await score(found, CLUSTERERS, "jaccard")).scores == found.scores
    assert isinstance(again, ScoredRecord)


def recording(name: str) -> list[Record]:
    path = RECORDINGS / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"the recording {path} is not here")
    return list(read_records(path))


async def test_the_published_auroc_of_a_real_model_comes_out():
    """DigitLion/ucbd-experiment: Qwen3-14B on TruthfulQA, 401 labelled answers, 196 wrong."""
    records = recording("truthfulqa-qwen3-14b")
    found = report([await score(one, {}, "jaccard") for one in records], "jaccard")
    assert (found["n"], found["n_unlabelled"]) == (401, 389)
    assert found["accuracy"] == pytest.approx(205 / 401)
    areas = {name: found["signals"][name]["auroc"] for name in SIGNALS}
    assert areas["mean_token_entropy"] == pytest.approx(0.5196, abs=5e-5)
    assert areas["max_token_entropy"] == pytest.approx(0.499, abs=5e-4)
    assert areas["std_token_entropy"] == pytest.approx(0.520, abs=5e-4)
    assert areas["semantic_entropy"] is None


async def test_fewer_samples_make_more_single_clusters_on_a_real_model():
    """UQ-NLG's LLaMA-13B on TriviaQA; method.md section 7 has 24.8, 14.4, 5.4 and 1.4 %.

    Ours is 25.0 % at N = 3: one question's three samples are "Greek", "" and "Greek", which is one
    cluster of two usable samples here.
    """
    records = recording("triviaqa-llama13b-20samples")
    single = {}
    for n in (3, 5, 10, 20):
        cut = [r.model_copy(update={"samples": r.samples[:n]}) for r in records]
        found = report([await score(r, CLUSTERERS, "jaccard") for r in cut], "jaccard")
        rates = found["homogenization"]["jaccard"]
        assert rates["n"] == 500
        single[n] = rates["single"]
    assert single == {3: 125, 5: 72, 10: 27, 20: 7}


async def test_log_probabilities_that_were_recorded_become_scores():
    """ln 1/2 and ln 1/8: perplexity 4. Samples of one token, .6 and .2 likely, in two clusters."""
    record = Record(
        id="1",
        prompt="Where?",
        answer=Answer(text="Tarn it is", token_logprobs=[math.log(0.5), math.log(0.125)]),
        samples=[
            Sample(text="Tarn", token_logprobs=[math.log(0.6)]),
            Sample(text="Holm", token_logprobs=[math.log(0.2)]),
        ],
    )
    found = (await score(record, {"exact": Exact()}, "exact")).scores
    assert found["perplexity"] == pytest.approx(4)
    assert found["negative_log_probability"] == pytest.approx(math.log(4))
    assert found["least_likely_token"] == pytest.approx(0.875)
    assert found["predictive_entropy"] == pytest.approx(-(math.log(0.6) + math.log(0.2)) / 2)
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found["weighted_semantic_entropy:exact"] == pytest.approx(expected)


async def test_a_sample_without_log_probabilities_leaves_no_score_of_all_of_them():
    samples = [Sample(text="Tarn", token_logprobs=[-1.0]), Sample(text="Holm")]
    record = Record(id="1", prompt="Where?", answer=Answer(text="Tarn"), samples=samples)
    found = (await score(record, {"exact": Exact()}, "exact")).scores
    assert (
        not {"perplexity", "predictive_entropy", "weighted_semantic_entropy:exact"} & found.keys()
    )


async def test_the_whole_vocabularys_log_probabilities_give_self_certainty():
    row = [math.log(0.7), math.log(0.2), math.log(0.1)]
    answer = Answer(text="Tarn", top_logprobs=[row])
    whole = Record(id="1", prompt="Where?", answer=answer, vocab_size=3)
    assert (await score(whole, {}, "exact")).scores["self_certainty"] == pytest.approx(-0.324287)
    part = Record(id="1", prompt="Where?", answer=answer, vocab_size=4)
    assert "self_certainty" not in (await score(part, {}, "exact")).scores


async def test_embeddings_give_sindex_and_selfcheck():
    """Two samples at a cosine of .6 in one cluster; the answer is the first of them."""

    class Plane:
        name = "plane"

        async def embed(self, texts):
            at = {"Tarn": (1.0, 0.0), "It is Tarn": (0.6, 0.8)}
            return [np.array(at[text], dtype=np.float32) for text in texts]

    samples = [Sample(text="Tarn"), Sample(text="It is Tarn")]
    record = Record(id="1", prompt="Where?", answer=Answer(text="Tarn"), samples=samples)
    clusterers = {"embedding": Embedding(Plane(), threshold=0.5)}
    found = (await score(record, clusterers, "embedding")).scores
    assert found["sindex"] == pytest.approx(-0.6 * math.log(0.6))
    assert found["selfcheck:embedding"] == pytest.approx(1 - 1.6 / 2)


async def test_an_nli_model_gives_selfcheck_of_samples_against_the_answer():
    """P(entails) over P(entails) + P(contradicts) is .9 and .2; neutrality says nothing."""

    class Told:
        name = "told"

        async def judge(self, pairs):
            told = {"Where? Tarn": (0.9, 0.0, 0.1), "Where? Holm": (0.1, 0.5, 0.4)}
            return [Judgement(*told[premise]) for premise, _ in pairs]

    samples = [Sample(text="Tarn"), Sample(text="Holm")]
    record = Record(id="1", prompt="Where?", answer=Answer(text="Tarn"), samples=samples)
    found = (await score(record, {"nli": Nli(Told())}, "nli")).scores
    assert found["selfcheck:nli"] == pytest.approx(1 - (0.9 + 0.2) / 2)
    alone = record.model_copy(update={"answer": None})
    assert "selfcheck:nli" not in (await score(alone, {"nli": Nli(Told())}, "nli")).scores


async def test_raw_logits_give_logtoku():
    said = Answer(text="Tarn", top_logits=[[8, 2], [8, 2]])
    found = (await score(Record(id="1", prompt="Where?", answer=said), {}, "exact")).scores
    assert found["logtoku"] == pytest.approx(0.166667 * 0.454683, abs=1e-6)


@pytest.mark.parametrize("bad", [[[]], [[-1.0]], [[1.0], []], [["x"]], []])
def test_logits_without_evidence_are_refused_with_the_record(bad):
    with pytest.raises(ValidationError, match="top_logits"):
        Answer(text="Tarn", top_logits=bad)
