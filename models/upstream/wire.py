"""The JSON of OpenAI-compatible servers: a call as bytes, an answer's bytes as a ``Reply``.

``NaN``, ``Infinity`` and null among log-probabilities are kept, so that who measures sees them;
what is no answer raises ``NoAnswer``. Knows no connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from ucbd.models.generation import (
    FinishReason,
    GenerationOptions,
    Headers,
    Message,
)
from ucbd.models.upstream.shapes import (
    Chat,
    Error,
    Models,
    NoAnswer,
    Text,
    TextLogprobs,
    Token,
    Top,
    Usage,
    read,
)


class Call(msgspec.Struct, frozen=True):
    """One answer wanted: of a conversation (chat) or as the continuation of a text (completions).

    ``top_logprobs`` asks for the K largest log-probabilities of each token beside its own; None
    asks for none at all. ``extra`` are fields that only some servers know; ``headers`` are HTTP's.
    """

    model: str
    prompt: str | Sequence[Message]
    options: GenerationOptions
    top_logprobs: int | None = None
    extra: Mapping[str, Any] = {}
    headers: Headers = ()

    @property
    def path(self) -> str:
        """Where the call goes."""
        return "/v1/completions" if isinstance(self.prompt, str) else "/v1/chat/completions"


class Reply(msgspec.Struct, frozen=True):
    """One finished answer. ``reasoning`` is what the server keeps apart from ``text``.

    ``logprobs`` is None when there are none, and else as the server wrote them.
    ``tokens`` counts generated tokens by the server's usage, reasoning included, else by its
    log-probabilities; 0 when neither tells.
    ``reasoning_tokens`` is the server's own count, None when it has none.
    """

    text: str
    finish_reason: FinishReason
    reasoning: str | None
    logprobs: Sequence[Token] | None
    tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A line of ``/v1/models``; ``context_length`` only where the server tells (vLLM does)."""

    id: str
    owner: str | None
    context_length: int | None


class Counts(msgspec.Struct, frozen=True):
    """Tokens of a call; None where the server does not tell."""

    prompt: int
    generated: int | None
    cached: int
    reasoning: int | None


NO_COUNTS = Counts(0, None, 0, None)


class Part(msgspec.Struct, frozen=True):
    """An answer, or a part of one as it comes; ``counts`` are of the whole answer so far."""

    text: str
    reasoning: str | None
    finish_reason: str | None
    logprobs: Sequence[Token] | None
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """A server's error body: its words, the parameter it names, and its number when it is one."""

    message: str
    param: str | None
    status: int | None


def encode(call: Call, *, stream: bool = False) -> bytes:
    """The body of a call. Everything that shapes the distribution is stated, nothing left over."""
    options = call.options
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
    }
    if isinstance(call.prompt, str):
        body["prompt"] = call.prompt
        if call.top_logprobs is not None:
            body["logprobs"] = call.top_logprobs
    else:
        body["messages"] = [{"role": m.role, "content": m.content} for m in call.prompt]
        if call.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": call.top_logprobs}
    if options.stop:
        body["stop"] = options.stop
    if options.seed is not None:
        body["seed"] = options.seed
    if options.json_schema is not None:
        schema = {"name": "answer", "schema": msgspec.Raw(options.json_schema.encode())}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body | dict(call.extra))


def decode(call: Call, body: bytes) -> Reply:
    """The answer to a call. Raises ``NoAnswer``."""
    part = decode_part(call, body)
    if part.finish_reason is None and not part.text:
        raise NoAnswer("no choices, or an empty one")
    return _reply(part)


def decode_part(call: Call, body: bytes) -> Part:
    """What one body or one event says. Raises ``NoAnswer``."""
    if isinstance(call.prompt, str):
        text = read(body, Text)
        if not text.choices:
            return Part("", None, None, None, _counts(text.usage))
        said = text.choices[0]
        found = _text_logprobs(said.logprobs)
        return Part(said.text, None, said.finish_reason, found, _counts(text.usage))
    chat = read(body, Chat)
    if not chat.choices:
        return Part("", None, None, None, _counts(chat.usage))
    turn = chat.choices[0]
    words = turn.message or turn.delta
    return Part(
        (words and words.content) or "",
        (words.reasoning_content or words.reasoning) if words else None,
        turn.finish_reason,
        turn.logprobs.content if turn.logprobs else None,
        _counts(chat.usage),
    )


def whole(parts: Sequence[Part]) -> Reply:
    """The parts of an answer as one. Raises ``NoAnswer`` for an answer that was broken off."""
    reasoning = [part.reasoning for part in parts if part.reasoning is not None]
    measured = [part.logprobs for part in parts if part.logprobs is not None]
    return _reply(
        Part(
            text="".join(part.text for part in parts),
            reasoning="".join(reasoning) if reasoning else None,
            finish_reason=next((part.finish_reason for part in parts if part.finish_reason), None),
            logprobs=list(chain.from_iterable(measured)) if measured else None,
            counts=next((part.counts for part in reversed(parts) if part.counts), None),
        )
    )


def _reply(part: Part) -> Reply:
    """All of an answer. Raises ``NoAnswer`` for one that was broken off."""
    counts = part.counts or NO_COUNTS
    generated = len(part.logprobs or ()) if counts.generated is None else counts.generated
    return Reply(
        text=part.text,
        finish_reason=_finished(part.finish_reason),
        reasoning=part.reasoning,
        logprobs=part.logprobs,
        tokens=generated,
        prompt_tokens=counts.prompt,
        cached_prompt_tokens=counts.cached,
        reasoning_tokens=counts.reasoning,
    )


def decode_models(body: bytes) -> tuple[ServedModel, ...]:
    """What a server serves. Raises ``NoAnswer``."""
    return tuple(ServedModel(m.id, m.owned_by, m.max_model_len) for m in read(body, Models).data)


def complaint(body: bytes) -> Complaint | None:
    """The error in a body, in any of the shapes that servers use; None without one."""
    try:
        found = read(body, Error)
    except NoAnswer:
        return None
    if isinstance(found.error, str):
        return Complaint(found.error, None, _status(found.code))
    if found.error is not None:
        inner = found.error
        return Complaint(inner.message or "no reason given", inner.param, _status(inner.code))
    if found.object == "error" or found.detail is not None:
        said = found.message or found.detail or "no reason given"
        return Complaint(said, None, _status(found.code))
    return None


def _finished(reason: str | None) -> FinishReason:
    """How an answer ended. Raises ``NoAnswer`` for one that was broken off."""
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise NoAnswer(f"finish_reason {reason!r}" if reason else "an answer without a finish_reason")


def _text_logprobs(logprobs: TextLogprobs | None) -> list[Token] | None:
    """In the shape of a chat's."""
    if logprobs is None:
        return None
    tops = logprobs.top_logprobs or [None] * len(logprobs.tokens)
    if not len(logprobs.tokens) == len(logprobs.token_logprobs) == len(tops):
        raise NoAnswer("logprobs whose lists differ in length")
    return [
        Token(text, value, [Top(*one) for one in (top or {}).items()])
        for text, value, top in zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=True)
    ]


def _counts(usage: Usage | None) -> Counts | None:
    """The server's own count of tokens. Raises ``NoAnswer`` for one that is none."""
    if usage is None:
        return None
    prompt, generated = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (prompt.cached_tokens if prompt else None) or 0
    reasoning = generated.reasoning_tokens if generated else None
    if min(usage.prompt_tokens, usage.completion_tokens or 0, cached, reasoning or 0) < 0:
        raise NoAnswer("a usage with negative tokens")
    return Counts(usage.prompt_tokens, usage.completion_tokens, cached, reasoning)


def _status(code: int | str | None) -> int | None:
    """A code that is an HTTP status of an error."""
    return code if isinstance(code, int) and 400 <= code < 600 else None
