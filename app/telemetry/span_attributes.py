"""What spans say: the semantic conventions' names (gen_ai) as far as they go, ``ucbd.*`` beyond.

Never a text of anybody's: no prompt, answer, evidence, stop sequence, reason or error message,
which may quote them. Knows no OpenTelemetry.
"""

from collections.abc import Mapping
from typing import Any

from ucbd.cascade.outcome import Outcome, Stage
from ucbd.models.generation import Generation, GenerationOptions, Missing

Value = str | bool | int | float | None
"""Of an attribute; None is left out."""


def operation(*, raw: bool) -> str:
    """The name of what is asked: the continuation of a text, or an answer in a conversation."""
    return "text_completion" if raw else "chat"


def of_options(options: GenerationOptions, *, stream: bool) -> dict[str, Value]:
    """How one answer is drawn."""
    return {
        "gen_ai.request.max_tokens": options.max_tokens,
        "gen_ai.request.temperature": options.temperature,
        "gen_ai.request.top_p": options.top_p,
        "gen_ai.request.seed": options.seed,
        "gen_ai.request.stream": stream,
        "gen_ai.output.type": "json" if options.json_schema else "text",
    }


def of_generation(generation: Generation) -> dict[str, Any]:
    """What one call cost."""
    return {
        "gen_ai.response.finish_reasons": (generation.finish_reason,),
        "gen_ai.usage.input_tokens": generation.prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": generation.cached_prompt_tokens,
        "gen_ai.usage.output_tokens": generation.tokens,
    }


def of_stage(stage: Stage) -> dict[str, Any]:
    """Without its ``reason``, which may name what the question is about."""
    return present(
        {
            "gen_ai.evaluation.score.label": stage.outcome,
            "gen_ai.evaluation.score.value": stage.score,
            "ucbd.stage.signal": stage.signal,
            "ucbd.stage.uncertainty": stage.uncertainty,
            "ucbd.stage.threshold": stage.threshold,
            "ucbd.stage.cost": stage.cost,
        }
    )


def of_outcome(outcome: Outcome) -> dict[str, Any]:
    """The decision, what it rests on and what it cost; entropy in nats."""
    entropy, samples = outcome.entropy, outcome.samples
    return present(
        {
            "ucbd.decision": outcome.decision,
            "ucbd.boundary": outcome.boundary,
            "ucbd.confidence": outcome.confidence,
            "ucbd.uncertainty": outcome.uncertainty,
            "ucbd.token_entropy": None if isinstance(entropy, Missing) else entropy.mean,
            "ucbd.samples": samples.drawn if samples else 0,
            "ucbd.clusters": len(samples.clusters) if samples else None,
            "ucbd.relative_cost": outcome.spent.relative_cost,
            "ucbd.rung": outcome.rung,
        }
    ) | {"gen_ai.response.finish_reasons": (outcome.served.finish_reason,)}


def present(attributes: Mapping[str, Value]) -> dict[str, Any]:
    """Those attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}
