"""The shapes of the JSON that OpenAI-compatible servers send, as far as it is read.

Unknown fields are ignored. What cannot be read raises ``NoAnswer``. What comes by the hundred in an
answer cannot refer to itself, which spares the garbage collector a look (``gc=False``).
"""

import json
from typing import TypeVar

import msgspec


class NoAnswer(Exception):
    """Status 200 and no answer: says what was there instead."""


class Top(msgspec.Struct, gc=False):
    """One of the likeliest tokens of a place."""

    token: str = ""
    logprob: float | None = None


class Token(msgspec.Struct, gc=False):
    """A generated token, its log-probability and the likeliest of its place; None is no number."""

    token: str = ""
    logprob: float | None = None
    top_logprobs: list[Top] | None = None


class ChatLogprobs(msgspec.Struct):
    """The tokens of a chat's answer."""

    content: list[Token] | None = None


class TextLogprobs(msgspec.Struct):
    """The tokens of a completion, in lists side by side."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float | None] | None] | None = None


class ChatText(msgspec.Struct):
    """What a chat says; vLLM and others name the reasoning differently."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ChatChoice(msgspec.Struct):
    """A whole answer has a message, a part of one a delta."""

    message: ChatText | None = None
    delta: ChatText | None = None
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None


class TextChoice(msgspec.Struct):
    """A completion, or a part of one."""

    text: str = ""
    finish_reason: str | None = None
    logprobs: TextLogprobs | None = None


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class TokenDetails(msgspec.Struct):
    """Of the generated tokens."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """The server's count of tokens."""

    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: TokenDetails | None = None


class Chat(msgspec.Struct):
    """A chat completion, or a chunk of one."""

    choices: list[ChatChoice]
    usage: Usage | None = None


class Text(msgspec.Struct):
    """A completion, or a chunk of one."""

    choices: list[TextChoice]
    usage: Usage | None = None


class Model(msgspec.Struct):
    """A line of the list of models."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class Models(msgspec.Struct):
    """The list of models."""

    data: list[Model]


class ErrorBody(msgspec.Struct):
    """OpenAI's error."""

    message: str | None = None
    code: int | str | None = None
    param: str | None = None


class Error(msgspec.Struct):
    """A body that is an error: OpenAI's, vLLM's former one, FastAPI's."""

    error: ErrorBody | str | None = None
    object: str | None = None
    message: str | None = None
    code: int | str | None = None
    detail: str | None = None


Shape = TypeVar("Shape")


def read(body: bytes, shape: type[Shape]) -> Shape:
    """The body as that shape. Raises ``NoAnswer``."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise NoAnswer(f"what cannot be read: {error}") from error
    # Python's servers write NaN and Infinity, which are no JSON.
    try:
        return msgspec.convert(json.loads(body), shape)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise NoAnswer(f"what cannot be read: {error}") from error
