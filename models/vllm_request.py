"""What vLLM is asked, as its parameters, and what it says, put together.

Knows vLLM's types and no engine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ucbd.models.errors import InvalidRequest
from ucbd.models.exact_entropy import ENTROPY_ID
from ucbd.models.generation import GenerationOptions, TokenLogprob


@dataclass(slots=True)
class Said:
    """What vLLM has said to one request so far, whether it came in one output or in many."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    finish_reason: Any = None
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0

    def add(self, output: Any) -> None:
        """The next output of a request of one completion."""
        completion = output.outputs[0]
        self.text += completion.text
        self.token_ids += completion.token_ids
        self.logprobs += completion.logprobs or ()
        self.finish_reason = completion.finish_reason
        self.prompt_tokens = len(output.prompt_token_ids)
        self.cached_prompt_tokens = output.num_cached_tokens or 0


@lru_cache(maxsize=64)
def check_schema(schema: str) -> None:
    """Raises ``InvalidRequest`` for a JSON schema that vLLM has no grammar for.

    Takes up to a fifth of a second, without holding other threads up: not for an event loop. What
    has passed is remembered, for the samples of the same request.
    """
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import StructuredOutputsParams
    from vllm.v1.structured_output.backend_guidance import validate_guidance_grammar

    grammar = StructuredOutputsParams(json=schema)
    try:
        validate_guidance_grammar(SamplingParams(structured_outputs=grammar))
    except VLLMValidationError as error:
        raise InvalidRequest("response_format", f"refused: {in_one_line(error)}") from error


def token_logprobs(
    token_ids: Sequence[int], logprobs: Any, top: int | None
) -> tuple[TokenLogprob, ...] | None:
    """Each token's own and its ``top`` likeliest, from vLLM's {token: Logprob}; None for None."""
    if top is None:
        return None
    found = []
    for token, place in zip(token_ids, logprobs, strict=True):
        ranked = sorted(place.values(), key=lambda entry: entry.rank)[:top]
        likeliest = tuple((entry.decoded_token, entry.logprob) for entry in ranked)
        found.append(TokenLogprob(place[token].decoded_token, place[token].logprob, likeliest))
    return tuple(found)


def entropy_of(full_logprobs: Any) -> float:
    """Entropy of one token from vLLM's full log-probabilities ({token: Logprob}), in nats."""
    return -math.fsum(
        math.exp(entry.logprob) * entry.logprob
        for entry in full_logprobs.values()
        if entry.logprob > -math.inf
    )


def sampling_params(
    options: GenerationOptions,
    *,
    logprobs: int | None,
    entropy_id: str | None,
    stream: bool = False,
) -> Any:
    """vLLM's parameters, all stated: no filter or penalty may come from a model's own defaults."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    schema = options.json_schema
    return SamplingParams(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        stop=list(options.stop),
        seed=options.seed,
        logprobs=logprobs,
        structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
        extra_args=None if entropy_id is None else {ENTROPY_ID: entropy_id},
        output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
    )


def in_one_line(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
