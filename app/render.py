"""An outcome as the body of ``POST /generate``, and as the block ``ucbd`` of ``/v1``.

Copies values into the wire's shape, which is ``GenerateResponse``'s, field by field in its order; a
test holds what comes out against it. Decides and computes nothing.
"""

from typing import Any

from ucbd.cascade.entropy import EntropySummary, summarise
from ucbd.cascade.outcome import Bound, Outcome, Stage
from ucbd.models.generation import Missing

Json = dict[str, Any]


def render(request_id: str, model: str, created: int, outcome: Outcome) -> Json:
    """The response to one answered request; ``created`` is Unix time in seconds."""
    head = {"id": request_id, "model": model, "created": created, "answer": outcome.text}
    return head | judgement(outcome)


def judgement(outcome: Outcome) -> Json:
    """All that it says besides the answer."""
    verdict, bound, spent = outcome.verdict, outcome.bound, outcome.spent
    reason = verdict.boundary and {"boundary": verdict.boundary, "message": verdict.message}
    return {
        "withheld": outcome.withheld,
        "decision": outcome.decision,
        "reason": reason,
        "suggested_action": verdict.action,
        "confidence": outcome.confidence,
        "calibration": _calibration(bound),
        "calibration_missing": bound.reason if isinstance(bound, Missing) else None,
        "degraded": None if outcome.rung == "all" else outcome.rung,
        "uncertainty": _uncertainty(outcome),
        "stages": [_stage(stage) for stage in outcome.stages],
        "escalation": _escalation(outcome),
        "usage": {
            "prompt_tokens": outcome.prompt_tokens,
            "cached_prompt_tokens": outcome.generation.cached_prompt_tokens,
            "completion_tokens": spent.main_tokens + spent.larger_tokens,
            "larger_tokens": spent.larger_tokens,
            "sampled_tokens": spent.sampled_tokens,
            "engine_calls": spent.engine_calls,
            "relative_cost": spent.relative_cost,
        },
    }


def _calibration(bound: Bound | Missing) -> Json | None:
    if isinstance(bound, Missing):
        return None
    return {"id": bound.id, "risk_upper": bound.risk_upper}


def _stage(stage: Stage) -> Json:
    return {
        "name": stage.name,
        "score": stage.score,
        "threshold": stage.threshold,
        "outcome": stage.outcome,
        "reason": stage.reason,
        "seconds": round(stage.seconds, 6),
        "cost": stage.cost,
    }


def _escalation(outcome: Outcome) -> Json | None:
    asked = outcome.escalation
    if asked is None:
        return None
    return {
        "outcome": "failed" if asked.generation is None else "answered",
        "model": asked.model,
        "reason": asked.reason,
        "seconds": round(asked.seconds, 6),
    }


def _uncertainty(outcome: Outcome) -> Json:
    entropy, samples, reasoning = outcome.entropy, outcome.samples, outcome.generation.reasoning
    clusters = samples.clusters if samples else ()
    return {
        "token_entropy": _token_entropy(entropy),
        "token_entropy_missing": entropy.reason if isinstance(entropy, Missing) else None,
        "reasoning_entropy": _token_entropy(summarise(reasoning)) if reasoning else None,
        "cluster_count": len(clusters) if samples else None,
        "answer_support": samples and samples.answer_support,
        "samples": samples.drawn if samples else 0,
        "samples_planned": outcome.samples_planned,
        "clusterer": samples.clusterer if samples else outcome.clusterer,
        "homogenized": samples and samples.homogenized,
        "semantic_entropy": samples and samples.semantic_entropy,
        "clusters": [{"size": cluster.size, "text": cluster.text} for cluster in clusters],
    }


def _token_entropy(entropy: EntropySummary | Missing) -> Json | None:
    if isinstance(entropy, Missing):
        return None
    return {
        "mean": entropy.mean,
        "max": entropy.max,
        "std": entropy.std,
        "high_share": entropy.high_share,
        "lower": entropy.lower,
        "upper": entropy.upper,
        "exact": entropy.exact,
        "unit": "nats",
        "tokens": entropy.tokens,
        "distribution": "constrained" if entropy.constrained else "raw",
    }
