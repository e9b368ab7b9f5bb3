"""What comes in at ``/v1``: OpenAI's requests, and our block ``ucbd`` in them.

A strict list: what is not served is an error that says why, except where it is null or empty, as
many clients send it. Knows nothing of how an answer is made.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ucbd.app.feed import StreamMode
from ucbd.app.schemas import ABSURD_TOKENS, MAX_EVIDENCE, MAX_MESSAGES, MAX_STOPS, NonEmpty

MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 8

_TOOLS = "tool calls are not served: no answer here would make one"
_PENALTY = "would change the distribution whose entropy is reported"
_ONE_CHOICE = "choices are not drawn to be thrown away: ask for n"


def unserved(why: str) -> BeforeValidator:
    """For a field that is accepted only where it asks for nothing: null, 0, false or empty."""

    def check(value: object) -> None:
        if value not in (None, 0, "", [], {}):
            raise PydanticCustomError("unserved", "{why}", {"why": why})

    return BeforeValidator(check)


def _no_tool(value: object) -> object:
    """For the role of a message and the choice of a tool."""
    if value in ("tool", "function", "required") or isinstance(value, dict):
        raise PydanticCustomError("unserved", "{why}", {"why": _TOOLS})
    return value


Unserved = Annotated[None, unserved("not served here")]
Penalty = Annotated[None, unserved(_PENALTY)]
Tools = Annotated[None, unserved(_TOOLS)]
ToolChoice = Annotated[Literal["none", "auto"] | None, BeforeValidator(_no_tool)]
Stops = Annotated[list[NonEmpty], Field(max_length=MAX_STOPS)] | NonEmpty | None
Tokens = Annotated[int, Field(ge=1, le=ABSURD_TOKENS)] | None


class Strict(BaseModel):
    """Unknown fields and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(Strict):
    """A part of a message; only text is served."""

    type: Literal["text"]
    text: str


class Turn(Strict):
    """One turn of a conversation. An earlier answer of ours may come back as it was.

    ``name`` is ignored: chat templates read role and content.
    """

    role: Annotated[Literal["developer", "system", "user", "assistant"], BeforeValidator(_no_tool)]
    name: str | None = None
    content: str | list[TextPart] | None = None
    refusal: str | None = None
    annotations: Unserved = None
    audio: Unserved = None
    function_call: Tools = None
    tool_calls: Tools = None


class StreamOptions(Strict):
    """What a stream holds besides the answer.

    ``continuous_usage_stats`` is vLLM's, sent by load testers of its: the usage comes once, at the
    end, all the same.
    """

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: Unserved = None


class JsonSchema(Strict):
    """A schema that the answer is held to while it is generated, strictly in any case."""

    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(Strict):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Steering(Strict):
    """Our block of a request: ``extra_body={"ucbd": {…}}`` in OpenAI's client."""

    samples: int | None = Field(None, ge=0)
    policy: str | None = None
    clusterer: str | None = None
    evidence: Annotated[list[str], Field(max_length=MAX_EVIDENCE)] | None = None
    explain: bool = False
    deadline_ms: int | None = Field(None, ge=1, le=3_600_000)
    stream_mode: StreamMode = "tokens"


class CommonRequest(Strict):
    """What both calls take."""

    model: NonEmpty
    max_tokens: Tokens = None
    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="Without one the answer is greedy."
    )
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    n: int | None = Field(
        None,
        ge=1,
        le=MAX_CHOICES,
        description="Choices, of which the first is judged; more than one need a temperature.",
    )
    stop: Stops = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: Literal["auto", "default"] | None = None
    ucbd: Steering | None = None

    frequency_penalty: Penalty = None
    logit_bias: Penalty = None
    presence_penalty: Penalty = None

    # vLLM's own, which clients send to switch a server's defaults off. Here they are off.
    top_k: Literal[-1, 0] | None = None
    min_p: float | None = Field(None, ge=0, le=0)
    repetition_penalty: float | None = Field(None, ge=1, le=1)


class ChatRequest(CommonRequest):
    """``POST /v1/chat/completions``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "reference-dpo",
                    "messages": [{"role": "user", "content": "Where does Gita Lauck come from?"}],
                }
            ]
        }
    )

    messages: Annotated[list[Turn], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Tokens = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None

    function_call: ToolChoice = None
    functions: Tools = None
    modalities: list[Literal["text"]] | None = None
    parallel_tool_calls: bool | None = None
    store: Unserved = None
    tool_choice: ToolChoice = None
    tools: Tools = None


class CompletionRequest(CommonRequest):
    """``POST /v1/completions``: a text to continue, with no chat template around it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "reference-dpo", "prompt": "Gita Lauck"}]}
    )

    prompt: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    best_of: Annotated[Literal[1] | None, Field(description=_ONE_CHOICE)] = None
    echo: Unserved = None
    suffix: Unserved = None
