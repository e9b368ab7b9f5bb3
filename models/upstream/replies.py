"""All that came back from one call, whatever it is worth: answers, refusals, empty ones, reasoning.

An engine wants one good answer or an error; who examines a server wants to know what each answer
was. Reads OpenAI's chat completions; what is none raises ``NoAnswer``. Knows no connection.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ucbd.models.upstream.shapes import NoAnswer

Ended = Literal["stop", "length", "refused"]
_FLOOR = -9999.0  # stands for minus infinity, which JSON cannot say; vLLM's own choice
_ABOVE_ZERO = 1e-3  # a rounding error may lie above 0, a log-probability may not


@dataclass(frozen=True, slots=True)
class Asked:
    """``n`` answers of one user message; with ``logprobs`` also how likely other tokens were."""

    prompt: str
    temperature: float
    max_tokens: int
    n: int = 1
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. ``text`` has no reasoning that the server keeps apart (``reasoned``).

    ``refused`` is the server's own refusal (a filter's, or the field ``refusal``), not a polite
    text. ``top_logprobs`` are of the answer's own tokens, largest first, in nats; None when there
    are none, or none that can be used.
    """

    text: str
    ended: Ended
    reasoned: bool
    top_logprobs: tuple[tuple[float, ...], ...] | None


@dataclass(frozen=True, slots=True)
class Replies:
    """The answers of one call, and the tokens that its server counted (None where it did not)."""

    said: tuple[Said, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    fingerprint: str | None
    gateway: bool


class _Top(msgspec.Struct):
    logprob: float | None = None


class _Token(msgspec.Struct):
    token: str = ""
    top_logprobs: list[_Top] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    ucbd: Any = None


def replies(body: bytes, k: int | None) -> Replies:
    """What a body holds; ``k`` is how many top log-probabilities were asked for.

    Raises ``NoAnswer`` for a body without choices, and for an answer that was broken off.
    """
    found = _read(body)
    if not found.choices:
        raise NoAnswer("no choices")
    usage = found.usage or _Usage()
    return Replies(
        tuple(_said(choice, k) for choice in found.choices),
        _count(usage.prompt_tokens),
        _count(usage.completion_tokens),
        found.system_fingerprint,
        found.ucbd is not None,
    )


def _count(tokens: int | None) -> int | None:
    """Fewer than none is no count."""
    return None if tokens is None or tokens < 0 else tokens


def _said(choice: _Choice, k: int | None) -> Said:
    message = choice.message
    text, thought = _parts(message.content)
    reasoned = bool(thought or message.reasoning_content or message.reasoning)
    refused = bool(message.refusal) or choice.finish_reason == "content_filter"
    if choice.finish_reason in ("abort", "error"):
        raise NoAnswer(f"finish_reason {choice.finish_reason!r}")
    ended: Ended = "length" if choice.finish_reason == "length" else "stop"
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    rows = _rows(tokens, text, apart=reasoned or "</think>" in text.lower(), k=k)
    return Said("" if refused else text, "refused" if refused else ended, reasoned, rows)


def _parts(content: str | list[dict[str, Any]] | None) -> tuple[str, bool]:
    """The text of a message, and whether it came with reasoning (some servers send parts)."""
    if not isinstance(content, list):
        return content or "", False
    texts = [str(part.get("text") or "") for part in content if part.get("type") == "text"]
    return "".join(texts), len(texts) < len(content)


def _rows(
    tokens: Sequence[_Token], text: str, *, apart: bool, k: int | None
) -> tuple[tuple[float, ...], ...] | None:
    """The top log-probabilities of the answer's tokens; those of its reasoning are left out."""
    first = _first_of_answer([token.token for token in tokens], text) if apart else 0
    if first is None or not tokens[first:]:
        return None
    rows = [[_number(top.logprob) for top in token.top_logprobs or ()] for token in tokens[first:]]
    if not all(rows) or any(not value <= _ABOVE_ZERO for row in rows for value in row):
        return None
    return tuple(
        tuple(min(0.0, max(_FLOOR, value)) for value in sorted(row, reverse=True)[:k])
        for row in rows
    )


def _first_of_answer(tokens: Sequence[str], text: str) -> int | None:
    """Index of the first token of the answer behind its reasoning; None where it is not found."""
    answer = (
        text[text.lower().rfind("</think>") + len("</think>") :] if "</think>" in text else text
    )
    answer = answer.strip()
    start = "".join(tokens).rfind(answer) if answer else -1
    if start < 0:
        return None
    end = 0
    for index, token in enumerate(tokens):
        end += len(token)
        if end > start:
            return index
    return None


def _read(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise NoAnswer(f"what cannot be read: {error}") from error
    try:  # Python's servers write NaN and Infinity, which are no JSON
        return msgspec.convert(json.loads(body), _Body)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise NoAnswer(f"what cannot be read: {error}") from error


def _number(value: float | None) -> float:
    return math.nan if value is None else value
