"""The choices of an answer in OpenAI's two shapes: messages of a chat, and plain texts.

What a policy withholds is a refusal in the sense of OpenAI's messages: ``refusal`` says why, and
``content`` holds the operator's words where the policy has some. Knows no HTTP.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ucbd.app.answering import Answered
from ucbd.app.feed import Told
from ucbd.models.generation import Generation, TokenLogprob

_NO_PROBABILITY = -9999.0  # how OpenAI's servers write minus infinity


class Choices(Protocol):
    """One of the two shapes, for one request; ``whole`` and ``chunk`` are its ``object``s."""

    whole: str
    chunk: str

    def of(self, answer: Answered) -> list[dict[str, Any]]:
        """All choices, the judged one first."""
        ...

    def part(self, told: Told) -> dict[str, Any]:
        """A part of one of them."""
        ...

    def ends(self, answer: Answered) -> list[dict[str, Any]]:
        """What is left of each when all of its text was told: why it ended."""
        ...


class ChatChoices:
    """Messages; see ``Choices``."""

    whole, chunk = "chat.completion", "chat.completion.chunk"

    def __init__(self) -> None:
        self._begun: set[int] = set()

    def of(self, answer: Answered) -> list[dict[str, Any]]:
        """See ``Choices``."""
        refusal = _refusal(answer)
        return [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "logprobs": _chat_logprobs(None if refusal else generation.logprobs),
                "finish_reason": _finish_reason(generation.finish_reason, refusal),
            }
            for index, (text, generation) in _numbered(answer)
        ]

    def part(self, told: Told) -> dict[str, Any]:
        """See ``Choices``."""
        return {
            "index": told.choice,
            "delta": self._role(told.choice) | {"content": told.text},
            "logprobs": _chat_logprobs(told.logprobs or None),
            "finish_reason": None,
        }

    def ends(self, answer: Answered) -> list[dict[str, Any]]:
        """See ``Choices``."""
        refusal = _refusal(answer)
        return [
            {
                "index": index,
                "delta": self._role(index) | ({"refusal": refusal} if refusal else {}),
                "logprobs": None,
                "finish_reason": _finish_reason(generation.finish_reason, refusal),
            }
            for index, (_, generation) in _numbered(answer)
        ]

    def _role(self, choice: int) -> dict[str, str]:
        """The role, once for each choice."""
        if choice in self._begun:
            return {}
        self._begun.add(choice)
        return {"role": "assistant"}


class TextChoices:
    """Texts; see ``Choices``."""

    whole, chunk = "text_completion", "text_completion"

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}

    def of(self, answer: Answered) -> list[dict[str, Any]]:
        """See ``Choices``."""
        refusal = _refusal(answer)
        return [
            {
                "index": index,
                "text": text or "",
                "logprobs": _text_logprobs(None if refusal else generation.logprobs, 0),
                "finish_reason": _finish_reason(generation.finish_reason, refusal),
            }
            for index, (text, generation) in _numbered(answer)
        ]

    def part(self, told: Told) -> dict[str, Any]:
        """See ``Choices``."""
        start = self._offsets.get(told.choice, 0)
        self._offsets[told.choice] = start + sum(len(token.text) for token in told.logprobs)
        return {
            "index": told.choice,
            "text": told.text,
            "logprobs": _text_logprobs(told.logprobs or None, start),
            "finish_reason": None,
        }

    def ends(self, answer: Answered) -> list[dict[str, Any]]:
        """See ``Choices``."""
        refusal = _refusal(answer)
        return [
            {
                "index": index,
                "text": "",
                "logprobs": None,
                "finish_reason": _finish_reason(generation.finish_reason, refusal),
            }
            for index, (_, generation) in _numbered(answer)
        ]


def _numbered(answer: Answered) -> Iterator[tuple[int, tuple[str | None, Generation]]]:
    return enumerate(zip(answer.texts, answer.generations, strict=True))


def _refusal(answer: Answered) -> str | None:
    """Why the model's text is not shown; None when it is."""
    outcome = answer.outcome
    return (outcome.refusal or outcome.verdict.message) if outcome.withheld else None


def _finish_reason(reason: str, refusal: str | None) -> str:
    """A refusal is whole, however long the answer was that it stands for."""
    return "stop" if refusal else reason


def _chat_logprobs(tokens: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    content = [
        _entry(token.text, token.logprob)
        | {"top_logprobs": [_entry(text, logprob) for text, logprob in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _entry(text: str, logprob: float) -> dict[str, Any]:
    bytes_ = list(text.encode("utf-8", errors="replace"))
    return {"token": text, "logprob": _number(logprob), "bytes": bytes_}


def _text_logprobs(tokens: Sequence[TokenLogprob] | None, start: int) -> dict[str, Any] | None:
    if tokens is None:
        return None
    offsets = []
    for token in tokens:
        offsets.append(start)
        start += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [_number(token.logprob) for token in tokens],
        "top_logprobs": [
            {text: _number(logprob) for text, logprob in token.top} for token in tokens
        ],
        "text_offset": offsets,
    }


def _number(logprob: float) -> float | None:
    """What JSON can hold; NaN is no evidence, which is null."""
    if math.isnan(logprob):
        return None
    return max(logprob, _NO_PROBABILITY)
