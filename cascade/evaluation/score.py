"""One record's scores: every signal that its answer and samples allow, and the samples' clusters.

Works from recorded text and numbers; asks no engine. Higher means less certain in every score. What
cannot be computed is None, never 0. Knows nothing of right and wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, Field

from ucbd.cascade import scores
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.nli import Nli, asked
from ucbd.cascade.entropy import EntropySummary, discrete_semantic_entropy, summarise
from ucbd.cascade.evaluation.recorded import CASCADE, generated_tokens, recorded_entropies
from ucbd.cascade.evaluation.records import Record
from ucbd.cascade.reasoning import final_answer
from ucbd.models.embedder import Embedder
from ucbd.models.generation import Missing
from ucbd.models.nli import NliModel

SEMANTIC_ENTROPY = "semantic_entropy"
SIGNALS = (
    "mean_token_entropy",
    "max_token_entropy",
    "std_token_entropy",
    SEMANTIC_ENTROPY,
    "disagreement",
    "p_true",
    "answer_length",
    CASCADE,
)
"""What every scored record names, beside a ``semantic_entropy:NAME`` per clusterer."""


class Clusters(BaseModel):
    """A record's samples by one clusterer.

    ``labels`` has one entry per usable sample (those with a final answer), in their order, numbered
    from 0 by first appearance; ``count`` is how many labels there are. ``clusterer`` names it with
    its parameters; ``reasoning`` tells whether reasoning text was clustered too.
    """

    count: int = Field(ge=0)
    labels: list[int]
    clusterer: str | None = None
    reasoning: bool = False

    @property
    def semantic_entropy(self) -> float | None:
        """Discrete, in nats, 0 … ln N; None below 2 samples: one cannot disagree with itself."""
        if len(self.labels) < 2:
            return None
        return discrete_semantic_entropy([self.labels.count(label) for label in set(self.labels)])


class ScoredRecord(Record):
    """A record with its scores by signal, and its samples' clusters by clusterer."""

    scores: dict[str, float | None] = Field(default_factory=dict)
    clusters: dict[str, Clusters] = Field(default_factory=dict)


async def score(
    record: Record,
    clusterers: Mapping[str, Clusterer],
    default: str,
    *,
    keep_reasoning: bool = False,
) -> ScoredRecord:
    """The record with every score of ``SIGNALS`` and of ``clusterers``.

    Scores and clusters that the record brings are made anew from its texts, but for
    ``scores.cascade``, which only the cascade can know. ``disagreement`` and the bare
    ``semantic_entropy`` are by the clusterer named ``default``; without it they are None. Reasoning
    text is stripped before clustering unless ``keep_reasoning``.

    Raises:
        ModelUnusable: a clusterer's model failed.
    """
    texts = _usable([sample.text for sample in record.samples or ()], keep_reasoning)
    answer = _final(record.answer.text, keep_reasoning) if record.answer else ""
    clusters: dict[str, Clusters] = {}
    disagreement = None
    if record.samples is not None:
        for name, clusterer in clusterers.items():
            if not texts:
                clusters[name] = _described((), clusterer, keep_reasoning)
                continue
            clustering = await clusterer.cluster(answer, texts, question=record.prompt)
            clusters[name] = _described(clustering.labels, clusterer, keep_reasoning)
            if name == default and record.answer and len(texts) > 1:
                disagreement = _disagreement(clustering.labels, clustering.answer)
    found: dict[str, float | None] = dict.fromkeys(SIGNALS)
    found |= _from_answer(record, answer)
    for name in clusterers:
        found[f"{SEMANTIC_ENTROPY}:{name}"] = (
            clusters[name].semantic_entropy if name in clusters else None
        )
    found |= _from_likelihoods(record, clusters, keep_reasoning)
    embedding = clusterers.get(Embedding.name)
    if isinstance(embedding, Embedding) and len(texts) > 1:
        labels = clusters[Embedding.name].labels
        found |= await _from_embeddings(embedding.embedder, answer, texts, labels)
    nli = clusterers.get(Nli.name)
    if isinstance(nli, Nli) and answer and len(texts) > 1:
        found["selfcheck:nli"] = await _selfcheck_nli(nli.model, record.prompt, answer, texts)
    found[SEMANTIC_ENTROPY] = found.get(f"{SEMANTIC_ENTROPY}:{default}")
    found["disagreement"] = disagreement
    found[CASCADE] = _brought(record)
    return ScoredRecord.model_validate(
        record.model_dump(exclude_unset=True) | {"scores": found, "clusters": clusters}
    )


def token_entropy(record: Record) -> EntropySummary | Missing:
    """Token entropy of the recorded answer: its own values, else bounds from top log-probabilities.

    In nats (method.md section 3, B1).
    """
    if record.answer is None:
        return Missing("the record has no answer")
    found = recorded_entropies(record.answer, record.vocab_size)
    return found if isinstance(found, Missing) else summarise(found)


def _from_answer(record: Record, text: str) -> dict[str, float | None]:
    """The signals that need no sample; ``text`` is the final answer."""
    if record.answer is None:
        return {}
    summary = token_entropy(record)
    found: dict[str, float | None] = {"answer_length": _length(record, text)}
    if not isinstance(summary, Missing):
        found["mean_token_entropy"] = summary.mean
        found["max_token_entropy"] = summary.max
        found["std_token_entropy"] = summary.std
        if summary.mean is None:
            # Without a vocabulary size there is only a lower bound: another signal, another name.
            found["mean_token_entropy(lower)"] = summary.lower
    if record.answer.p_true is not None:
        found["p_true"] = 1 - record.answer.p_true
    return found


def _from_likelihoods(
    record: Record, clusters: Mapping[str, Clusters], keep_reasoning: bool
) -> dict[str, float | None]:
    """The signals of log-probabilities and logits, for those that the record holds."""
    found: dict[str, float | None] = {}
    if record.answer and (logprobs := record.answer.token_logprobs):
        found["perplexity"] = scores.perplexity(logprobs)
        found["negative_log_probability"] = scores.mean_negative_log_probability(logprobs)
        found["least_likely_token"] = scores.least_likely_token(logprobs)
    rows = record.answer.top_logprobs if record.answer else None
    if rows and all(len(row) == record.vocab_size for row in rows):
        found["self_certainty"] = scores.self_certainty(rows)
    if record.answer and record.answer.top_logits:
        found["logtoku"] = scores.logtoku(record.answer.top_logits)
    usable = [s for s in record.samples or () if _final(s.text, keep_reasoning)]
    drawn = [sample.token_logprobs for sample in usable if sample.token_logprobs]
    if len(drawn) < 2 or len(drawn) < len(usable):
        return found
    found["predictive_entropy"] = scores.predictive_entropy(drawn)
    means = [-scores.mean_negative_log_probability(one) for one in drawn]
    for name, clustered in clusters.items():
        weighted = scores.weighted_semantic_entropy(means, clustered.labels)
        found[f"weighted_{SEMANTIC_ENTROPY}:{name}"] = weighted
    return found


async def _from_embeddings(
    embedder: Embedder, answer: str, texts: Sequence[str], labels: Sequence[int]
) -> dict[str, float | None]:
    """The signals of cosines between samples, and between the answer and them."""
    unique = list(dict.fromkeys((answer, *texts)))
    vectors = dict(zip(unique, await embedder.embed(unique), strict=True))
    matrix = np.stack([vectors[text] for text in texts])
    found: dict[str, float | None] = {"sindex": scores.sindex(matrix @ matrix.T, labels)}
    if answer:
        found["selfcheck:embedding"] = scores.selfcheck(
            [float(c) for c in matrix @ vectors[answer]]
        )
    return found


async def _selfcheck_nli(
    model: NliModel, question: str, answer: str, texts: Sequence[str]
) -> float | None:
    """SelfCheck's NLI form; pairs that the clusterer has asked are not asked again."""
    judged = await model.judge([(asked(question, text), asked(question, answer)) for text in texts])
    agreement = [
        one.entailment / (one.entailment + one.contradiction)
        for one in judged
        if one.entailment + one.contradiction > 0
    ]
    return scores.selfcheck(agreement) if agreement else None


def _length(record: Record, text: str) -> float | None:
    """Generated tokens, however the record tells; words of the final answer when it does not."""
    answer = record.answer
    if answer is None:
        return None
    tokens = generated_tokens(answer)
    return float(len(text.split()) if tokens is None else tokens)


def _disagreement(labels: Sequence[int], own: int | None) -> float:
    """1 − answer_support: the share of samples outside the answer's own cluster, 0 … 1."""
    return 1 - labels.count(own) / len(labels) if own is not None else 1.0


def _usable(texts: Sequence[str], keep_reasoning: bool) -> list[str]:
    return [text for raw in texts if (text := _final(raw, keep_reasoning))]


def _final(text: str, keep_reasoning: bool) -> str:
    return text.strip() if keep_reasoning else final_answer(text)


def _described(labels: Sequence[int], clusterer: Clusterer, keep_reasoning: bool) -> Clusters:
    return Clusters(
        count=len(set(labels)),
        labels=list(labels),
        clusterer=str(clusterer),
        reasoning=keep_reasoning,
    )


def _brought(record: Record) -> float | None:
    """The cascade's own score, when whoever ran it wrote it down."""
    brought = (record.model_extra or {}).get("scores") or getattr(record, "scores", None) or {}
    value = brought.get(CASCADE) if isinstance(brought, Mapping) else None
    return float(value) if isinstance(value, int | float) else None
