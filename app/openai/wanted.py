"""OpenAI's requests as what they ask for.

Raises ``Invalid`` for what no single field can tell. Knows the wire and no service.
"""

from ucbd.app.errors import Invalid, UnknownModel, refused
from ucbd.app.openai.grammars import FIELD, bounded
from ucbd.app.openai.schemas import ChatRequest, CommonRequest, CompletionRequest, Steering, Turn
from ucbd.app.question import Wanted
from ucbd.models.generation import Message, Role

_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}
_ANY_OBJECT = '{"type":"object"}'


def chat_wanted(request: ChatRequest, model: str) -> Wanted:
    """What a chat request to ``model`` asks for."""
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise refused(Invalid, "max_tokens", "give max_tokens or max_completion_tokens, got both")
    if request.top_logprobs is not None and not request.logprobs:
        raise refused(Invalid, "top_logprobs", "needs logprobs: true")
    return _wanted(
        request,
        model,
        prompt=tuple(_message(turn, number) for number, turn in enumerate(request.messages)),
        raw=False,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        logprobs=request.top_logprobs or 0 if request.logprobs else None,
        json_schema=_schema(request),
    )


def completion_wanted(request: CompletionRequest, model: str) -> Wanted:
    """What a completion of a text by ``model`` asks for."""
    return _wanted(
        request,
        model,
        prompt=request.prompt if isinstance(request.prompt, str) else request.prompt[0],
        raw=True,
        max_tokens=request.max_tokens,
        logprobs=request.logprobs,
        json_schema=None,
    )


def _wanted(
    request: CommonRequest,
    model: str,
    *,
    prompt: str | tuple[Message, ...],
    raw: bool,
    max_tokens: int | None,
    logprobs: int | None,
    json_schema: str | None,
) -> Wanted:
    if request.model != model:
        raise refused(UnknownModel, "model", f"{request.model!r} is not served, {model!r} is")
    if request.stream_options is not None and not request.stream:
        raise refused(Invalid, "stream_options", "needs stream: true")
    choices, temperature = request.n or 1, request.temperature or 0.0
    if choices > 1 and not temperature:
        message = f"greedy choices would all be the same: n = {choices} needs a temperature above 0"
        raise refused(Invalid, "n", message)
    steering = request.ucbd or Steering()
    return Wanted(
        prompt=prompt,
        raw=raw,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seed=request.seed,
        logprobs=logprobs,
        json_schema=json_schema,
        choices=choices,
        samples=steering.samples,
        clusterer=steering.clusterer,
        evidence=tuple(steering.evidence or ()),
        policy=steering.policy,
        explain=steering.explain,
        deadline_ms=steering.deadline_ms,
        stream=bool(request.stream),
        stream_mode=steering.stream_mode,
    )


def _message(turn: Turn, number: int) -> Message:
    """A turn as text. An answer that was withheld comes back without content."""
    content = turn.content
    if content is None and turn.role == "assistant":
        content = turn.refusal or ""
    if content is None:
        raise refused(Invalid, f"messages.{number}.content", "must be text, got null")
    text = content if isinstance(content, str) else "\n".join(part.text for part in content)
    return Message(_ROLES[turn.role], text)


def _schema(request: ChatRequest) -> str | None:
    """The JSON Schema, as JSON, that the answer is held to."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return _ANY_OBJECT
    if wanted.json_schema is None:
        raise refused(Invalid, FIELD, "must hold the schema, got none")
    return bounded(wanted.json_schema.schema_)
