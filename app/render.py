"""An outcome as the body of ``POST /generate``.

Copies values into the wire's shape; decides and computes nothing.
"""

import time

from ucbd.app.schemas import (
    GenerateResponse,
    Reason,
    SampleCluster,
    StageReport,
    TokenEntropy,
    Uncertainty,
    Usage,
)
from ucbd.cascade.entropy import EntropySummary, summarise
from ucbd.cascade.outcome import Outcome
from ucbd.models.generation import Missing


def render(request_id: str, model: str, outcome: Outcome) -> GenerateResponse:
    """The response to one answered request."""
    verdict = outcome.verdict
    return GenerateResponse(
        id=request_id,
        model=model,
        created=int(time.time()),
        answer=None if outcome.withheld else outcome.generation.text,
        decision=outcome.decision,
        reason=verdict.boundary and Reason(boundary=verdict.boundary, message=verdict.message),
        suggested_action=verdict.action,
        confidence=None,
        calibration=None,
        uncertainty=_uncertainty(outcome),
        stages=[
            StageReport(
                name=stage.name,
                score=stage.score,
                threshold=stage.threshold,
                outcome=stage.outcome,
                reason=stage.reason,
                seconds=round(stage.seconds, 6),
                cost=stage.cost,
            )
            for stage in outcome.stages
        ],
        usage=Usage(
            prompt_tokens=outcome.generation.prompt_tokens,
            cached_prompt_tokens=outcome.generation.cached_prompt_tokens,
            completion_tokens=outcome.spent.main_tokens,
            sampled_tokens=outcome.spent.sampled_tokens,
            engine_calls=outcome.spent.engine_calls,
            relative_cost=outcome.spent.relative_cost,
        ),
    )


def _uncertainty(outcome: Outcome) -> Uncertainty:
    entropy, samples = outcome.entropy, outcome.samples
    missing = entropy.reason if isinstance(entropy, Missing) else None
    token_entropy = None if isinstance(entropy, Missing) else _token_entropy(entropy)
    reasoning = outcome.generation.reasoning
    thought = summarise(reasoning) if reasoning else None
    reasoning_entropy = _token_entropy(thought) if isinstance(thought, EntropySummary) else None
    if samples is None:
        return Uncertainty(
            token_entropy=token_entropy,
            token_entropy_missing=missing,
            reasoning_entropy=reasoning_entropy,
            cluster_count=None,
            answer_support=None,
            samples=0,
            samples_planned=outcome.samples_planned,
            clusterer=outcome.clusterer,
            homogenized=None,
            semantic_entropy=None,
            clusters=[],
        )
    return Uncertainty(
        token_entropy=token_entropy,
        token_entropy_missing=missing,
        reasoning_entropy=reasoning_entropy,
        cluster_count=len(samples.clusters),
        answer_support=samples.answer_support,
        samples=samples.drawn,
        samples_planned=outcome.samples_planned,
        clusterer=samples.clusterer,
        homogenized=samples.homogenized,
        semantic_entropy=samples.semantic_entropy,
        clusters=[SampleCluster(size=c.size, text=c.text) for c in samples.clusters],
    )


def _token_entropy(entropy: EntropySummary) -> TokenEntropy:
    return TokenEntropy(
        mean=entropy.mean,
        max=entropy.max,
        std=entropy.std,
        high_share=entropy.high_share,
        lower=entropy.lower,
        upper=entropy.upper,
        exact=entropy.exact,
        tokens=entropy.tokens,
    )
