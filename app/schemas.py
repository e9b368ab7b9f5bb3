"""What goes over the wire: the request and the response of ``POST /generate``.

Strict on the way in (unknown fields and wrong types are errors), complete on the way out: evidence
that is missing is null. Knows nothing of how an outcome is made.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ucbd.app.feed import StreamMode
from ucbd.cascade.outcome import Action, Decision, StageOutcome

MAX_STOPS = 16
MAX_MESSAGES = 1024
MAX_EVIDENCE = 256
ABSURD_TOKENS = 1_000_000  # far above any context; the settings hold the real limit
NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str


class GenerateRequest(BaseModel):
    """A question, and how to answer it."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [{"prompt": "Where does Gita Lauck come from?", "max_tokens": 32}]
        },
    )

    prompt: NonEmpty | None = Field(
        None, description="The question: one user message. Either this or `messages`."
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None = (
        Field(None, description="A conversation; its last turn is the user's.")
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=ABSURD_TOKENS,
        description="Longest answer, in tokens; the default is "
        "the gateway's `default_max_tokens`, or what still fits the model's context.",
    )
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description="Of the main answer; 0 is greedy."
    )
    top_p: float = Field(1.0, gt=0, le=1, allow_inf_nan=False, description="Of the main answer.")
    stop: Annotated[list[NonEmpty], Field(max_length=MAX_STOPS)] | NonEmpty | None = Field(
        None, description=f"Up to {MAX_STOPS} strings that end an answer; not part of it."
    )
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="Makes samples repeatable; each gets its own from it."
    )
    samples: int | None = Field(
        None, ge=0, description="Most samples this request may cost; 0 forbids them."
    )
    clusterer: str | None = Field(
        None, description="Which clusterer groups the samples.", examples=["jaccard"]
    )
    evidence: list[str] | None = Field(
        None,
        max_length=MAX_EVIDENCE,
        description="Documents that the answer is held against (the stage `grounding`).",
    )
    policy: str | None = Field(None, description="Name of the policy that decides.")
    explain: bool = Field(False, description="Run every stage, also after the decision is made.")
    deadline_ms: int | None = Field(
        None, ge=1, le=3_600_000, description="Time for the whole request, in milliseconds."
    )
    stream: bool = Field(
        False, description="Server-sent events: `token` {text, entropy}, then `result` or `error`."
    )
    stream_mode: StreamMode = Field(
        "tokens",
        description="Of a stream: `tokens` as they come, or `commit`: no text before the decision.",
    )


class Reason(BaseModel):
    """Why the answer is not simply answered."""

    boundary: str = Field(description="The stage that fired, or `combined`, or `deadline`.")
    message: str


class Calibration(BaseModel):
    """What the policy has certified of answers decided like this one."""

    id: str = Field(description="The profile's.")
    risk_upper: float = Field(
        description="At most this share of what is answered is wrong: shown at the profile's "
        "confidence on labelled traffic like it. Not the probability that this answer is wrong."
    )


class TokenEntropy(BaseModel):
    """Entropy of the model's own next-token distribution over the main answer, in nats.

    Higher = less certain. When `exact`, over the full vocabulary and `lower = mean = upper`; else
    `lower` and `upper` bound the mean and the rest is of per-token midpoints.
    """

    mean: float | None
    max: float | None
    std: float | None
    high_share: float | None = Field(description="Share of tokens above 1 nat.")
    lower: float
    upper: float | None
    exact: bool
    unit: Literal["nats"] = "nats"
    tokens: int = Field(description="Generated tokens measured here, end of text included.")
    distribution: Literal["raw", "constrained"] = Field(
        description="`constrained`: a grammar had forbidden tokens before it was measured."
    )


class SampleCluster(BaseModel):
    """Samples that say the same."""

    size: int
    text: str = Field(description="The commonest wording.")


class Uncertainty(BaseModel):
    """All the evidence about the answer. Null is missing, never zero."""

    token_entropy: TokenEntropy | None
    token_entropy_missing: str | None = Field(
        None, description="Why there is no token entropy, when there is none."
    )
    reasoning_entropy: TokenEntropy | None = Field(
        None, description="Of the reasoning before the answer, apart; null without any."
    )
    cluster_count: int | None = Field(description="Distinct meanings among the samples.")
    answer_support: float | None = Field(
        description="Share of samples that say what the answer says."
    )
    samples: int = Field(description="Non-empty samples drawn.")
    samples_planned: int
    clusterer: str = Field(description="The clusterer, with its parameters once it was used.")
    homogenized: bool | None = Field(
        description="True: all samples say the same. Not certainty: sampling cannot rank here."
    )
    semantic_entropy: float | None = Field(description="Of the cluster sizes, in nats.")
    clusters: list[SampleCluster]


class StageReport(BaseModel):
    """One stage of the policy, in order, also when it was skipped."""

    name: str
    score: float | None = Field(description="In the stage's unit (nats); higher = less certain.")
    threshold: float | None = Field(description="The stage fires above this score.")
    outcome: StageOutcome
    reason: str | None
    seconds: float
    cost: float | None = Field(description="Tokens generated for it ÷ tokens of the main answer.")


class EscalationReport(BaseModel):
    """What became of asking the larger tier: when it answered, `answer` is its model's."""

    outcome: Literal["answered", "failed"]
    model: str | None
    reason: str | None = Field(description="Why it gave no answer.")
    seconds: float


class Usage(BaseModel):
    """What the request cost; prompt and completion of the larger tier are in the sums."""

    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    larger_tokens: int = Field(0, description="Of the completion, the larger tier's.")
    sampled_tokens: int
    engine_calls: int
    relative_cost: float | None = Field(
        description="All generated tokens ÷ those of the main answer; 1 = no more than the answer."
    )


_ANSWERED: dict[str, Any] = {
    "id": "gen-543e334f75cb4063b6ff50a0cdb17eaf",
    "model": "reference-dpo",
    "created": 1795491172,
    "answer": "In Lorne.",
    "withheld": False,
    "decision": "answer",
    "reason": None,
    "suggested_action": None,
    "confidence": None,
    "calibration": None,
    "calibration_missing": "the policy is not calibrated",
    "degraded": None,
    "uncertainty": {
        "token_entropy": {
            "mean": 0.066,
            "max": 0.173,
            "std": 0.072,
            "high_share": 0.0,
            "lower": 0.066,
            "upper": 0.066,
            "exact": True,
            "unit": "nats",
            "tokens": 4,
            "distribution": "raw",
        },
        "token_entropy_missing": None,
        "reasoning_entropy": None,
        "cluster_count": None,
        "answer_support": None,
        "samples": 0,
        "samples_planned": 0,
        "clusterer": "combined",
        "homogenized": None,
        "semantic_entropy": None,
        "clusters": [],
    },
    "stages": [
        {
            "name": "freshness",
            "score": 0.0,
            "threshold": 0.5,
            "outcome": "uninformative",
            "reason": "the question asks for no time after 2023-12-31",
            "seconds": 0.00003,
            "cost": 0.0,
        },
        {
            "name": "fluency",
            "score": 0.066,
            "threshold": 0.8,
            "outcome": "accepted",
            "reason": None,
            "seconds": 0.000233,
            "cost": 0.0,
        },
        {
            "name": "sampling",
            "score": None,
            "threshold": 1.6,
            "outcome": "skipped",
            "reason": "decided",
            "seconds": 0.000015,
            "cost": 0.0,
        },
    ],
    "usage": {
        "prompt_tokens": 10,
        "cached_prompt_tokens": 0,
        "completion_tokens": 4,
        "sampled_tokens": 0,
        "engine_calls": 1,
        "relative_cost": 1.0,
    },
}
"""A real response, its figures rounded: what ``/docs`` shows."""


class GenerateResponse(BaseModel):
    """The answer, the decision about it, and the evidence it rests on."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWERED]})

    id: str
    model: str
    created: int = Field(description="Unix time, seconds.")
    answer: str | None = Field(
        description="Withheld by the policy, its refusal, or null where it has none."
    )
    withheld: bool = Field(description="The model's text is not shown.")
    decision: Decision
    reason: Reason | None
    suggested_action: Action | None
    confidence: float | None = Field(
        description="Calibrated probability that the answer is right; null without a profile."
    )
    calibration: Calibration | None
    calibration_missing: str | None = Field(description="Why there is no `calibration`.")
    degraded: Literal["no_sampling", "fluency"] | None = Field(
        description="What was left of the cascade when load made the gateway shed stages: all but "
        "`sampling`, or only what is free. Null: nothing was shed."
    )
    uncertainty: Uncertainty
    stages: list[StageReport]
    escalation: EscalationReport | None = Field(
        None, description="The larger tier, where it was asked; the evidence is of the first model."
    )
    usage: Usage
