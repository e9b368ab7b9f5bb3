"""An outcome as a record of the store, and a labelled record as a line of a record file.

Copies values from one shape into another; draws and decides nothing. Text is among them only where
``with_text`` says so; reasons of stages may quote it, so they go with it.
"""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from ucbd.cascade.case import Question
from ucbd.cascade.entropy import MOST_NATS
from ucbd.cascade.evaluation.ask import Further
from ucbd.cascade.evaluation.recorded import CASCADE
from ucbd.cascade.evaluation.score import SEMANTIC_ENTROPY, SIGNALS
from ucbd.cascade.outcome import Outcome
from ucbd.models.engine import ModelInfo
from ucbd.models.generation import Missing
from ucbd.models.store.rows import Certificate, Completion, Labelled, RequestRecord

TEXT_LIMIT = 32_768
"""Characters of question, answer and evidence together; what is longer is kept without text."""


def record_of(
    request_id: str,
    outcome: Outcome,
    question: Question,
    *,
    policy: str,
    info: ModelInfo,
    asked_at: float,
    drawn: bool,
    with_text: bool,
) -> RequestRecord:
    """What is kept of one answered request; ``asked_at`` in seconds since 1970."""
    return RequestRecord(
        id=request_id,
        asked_at=asked_at,
        model=info.id,
        model_revision=info.revision,
        policy=policy,
        decision=outcome.decision,
        boundary=outcome.boundary,
        uncertainty=_finite(outcome.uncertainty),
        confidence=_finite(outcome.confidence),
        rung=outcome.rung,
        certificate=_certificate(outcome),
        served_by=_larger(outcome),
        audit=drawn,
        scores=scores(outcome),
        stages=_stages(outcome, with_text),
        text=_text(outcome, question, info) if with_text else None,
    )


def completion_of(request_id: str, further: Further) -> Completion:
    """What is kept of what a drawn answer was completed with."""
    said = [{"text": sample.text, "tokens": sample.tokens} for sample in further.samples]
    drawn = {"n": len(said), "temperature": 1.0, "top_p": 1.0}
    return Completion(
        request_id, {"samples": said, "sampling": drawn, "p_true": _finite(further.p_true)}
    )


def scores(outcome: Outcome) -> dict[str, float | None]:
    """By the names of evaluation's signals, higher = less certain; None is not known.

    Of samples only when all that were planned are there: of fewer it is another measure.
    """
    found: dict[str, float | None] = dict.fromkeys(SIGNALS)
    found["answer_length"] = float(outcome.generation.tokens)
    found[CASCADE] = outcome.uncertainty
    entropy, samples = outcome.entropy, outcome.samples
    if not isinstance(entropy, Missing):
        found["mean_token_entropy"] = entropy.mean
        found["max_token_entropy"] = entropy.max
        found["std_token_entropy"] = entropy.std
        if entropy.mean is None:
            found["mean_token_entropy(lower)"] = entropy.lower
    if samples is not None and samples.complete:
        found[SEMANTIC_ENTROPY] = samples.semantic_entropy
        found[f"{SEMANTIC_ENTROPY}:{outcome.clusterer}"] = samples.semantic_entropy
        found["disagreement"] = 1 - samples.answer_support
    for stage in outcome.stages:
        if stage.name == "self_assessment":
            found["p_true"] = stage.score
    return {name: _finite(score) for name, score in found.items()}


def line_of(labelled: Labelled) -> dict[str, Any]:
    """A labelled record as a line of a record file (contract, "Records").

    ``scores``, ``stages`` and ``decision`` are those of the time. Of text there is what was kept,
    and samples where the answer was completed.
    """
    record, label = labelled.record, labelled.label
    certificate = record.certificate
    known = {
        "id": record.id,
        "prompt": "",
        **_said(labelled),
        "correct": label.correct,
        "asked_at": _rfc3339(record.asked_at),
        "model": record.model,
        "model_revision": record.model_revision,
        "policy": record.policy,
        "decision": record.decision,
        "boundary": record.boundary,
        "confidence": record.confidence,
        "calibration": certificate and asdict(certificate),
        "rung": record.rung,
        "scores": dict(record.scores),
        "stages": list(record.stages),
        "label_source": label.source,
        "labelled_at": _rfc3339(label.at),
    }
    said = {"labelled_by": label.by, "note": label.note}
    return known | {key: value for key, value in said.items() if value is not None}


def _said(labelled: Labelled) -> dict[str, Any]:
    text, completion = dict(labelled.record.text or {}), labelled.completion
    if not text or completion is None:
        return text
    further = dict(completion.further)
    if (believed := further.pop("p_true")) is not None:
        text["answer"] = {**text["answer"], "p_true": believed}
    return text | further


def _stages(outcome: Outcome, with_text: bool) -> list[dict[str, Any]]:
    """As in the response."""
    found = []
    for stage in outcome.stages:
        one = structs.asdict(stage)
        for name in ("score", "uncertainty", "cost"):
            one[name] = _finite(one[name])
        one["seconds"] = round(stage.seconds, 6)
        one["reason"] = stage.reason if with_text else None
        found.append(one)
    return found


def _text(outcome: Outcome, question: Question, info: ModelInfo) -> dict[str, Any] | None:
    given = outcome.generation
    turns = [message.content for message in question.conversation]
    if sum(map(len, (given.text, *question.evidence, *turns))) > TEXT_LIMIT:
        return None
    answer: dict[str, Any] = {"text": given.text, "tokens": given.tokens}
    known = given.entropies
    if not isinstance(known, Missing) and known.exact and all(map(_is_entropy, known.lower)):
        answer["token_entropies"] = list(known.lower)
    text: dict[str, Any] = {"prompt": question.text, "answer": answer}
    if len(question.conversation) > 1:
        text["messages"] = [structs.asdict(message) for message in question.conversation]
    if question.evidence:
        text["evidence"] = list(question.evidence)
    text["vocab_size"] = info.vocab_size
    return (
        text if info.prompt_template is None else text | {"prompt_template": info.prompt_template}
    )


def _larger(outcome: Outcome) -> str | None:
    """The larger tier's model, where the client was given its answer."""
    tier = outcome.escalation
    if tier is None or tier.generation is None:
        return None
    return tier.model or "larger"


def _certificate(outcome: Outcome) -> Certificate | None:
    bound = outcome.bound
    return None if isinstance(bound, Missing) else Certificate(bound.id, bound.risk_upper)


def _is_entropy(nats: float) -> bool:
    """Of a token, as a record takes it; NaN is none."""
    return 0 <= nats <= MOST_NATS


def _finite(value: float | None) -> float | None:
    """A number that is none is no evidence."""
    return value if value is not None and math.isfinite(value) else None


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
