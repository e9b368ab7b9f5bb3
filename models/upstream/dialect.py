"""What a server understands of a call: what it has refused is left out of the next one.

For asking servers of which nothing is known. Everything that shapes the distribution is stated
until it is refused. Values only: knows no connection.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ucbd.models.errors import InvalidRequest
from ucbd.models.upstream.replies import Asked

_STATED: Mapping[str, float] = {
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1,
}
"""Off, and said to be off: a server's own defaults may be a model maker's advice."""

_GROUPS = (
    ("top_k", "min_p", "repetition_penalty"),
    ("presence_penalty", "frequency_penalty"),
    ("top_p",),
    ("top_logprobs",),
    ("n",),
    ("temperature",),
)
"""What is given up for a refusal that names nothing, the least missed first."""

_FEWER = {20: 5, 5: None}
"""How many top log-probabilities are asked for next."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is left out, and what stands in for it.

    ``refused`` has the server's words by parameter, a temperature by its value
    (``temperature=0``). ``top_logprobs`` None asks for no log-probabilities. ``most``
    answers come from one call at most, and ``extra`` is what only this server is told.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    top_logprobs: int | None = 20
    most: int = 64
    length: str = "max_tokens"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, model: str, asked: Asked) -> dict[str, Any]:
        """The JSON of a call."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": asked.prompt}],
            self.length: asked.max_tokens,
        }
        body |= {name: value for name, value in _STATED.items() if name not in self.refused}
        if _heat(asked) not in self.refused:
            body["temperature"] = asked.temperature
        if asked.n > 1:
            body["n"] = asked.n
        if asked.logprobs and self.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return body | dict(self.extra)

    def without(self, error: InvalidRequest, asked: Asked, *, guess: bool) -> "Dialect | None":
        """The dialect that leaves out what was refused; None when that cannot be told.

        ``guess`` gives something up for a refusal that names nothing.
        """
        sent = self.body("", asked)
        named = [name for name in sent if _names(error, name)]
        if "logprobs" in named and "top_logprobs" not in named:
            named.append("top_logprobs")
        droppable = {name for group in _GROUPS for name in group} | {self.length}
        for name in named:
            if name in droppable:
                return self._less(name, asked, str(error))
        if guess:
            return self._given_up(sent, asked, str(error))
        return None

    def _given_up(self, sent: Mapping[str, Any], asked: Asked, words: str) -> "Dialect | None":
        for group in _GROUPS:
            there = [name for name in group if name in sent]
            if there:
                less = self
                for name in there:
                    less = less._less(name, asked, words) or less
                return less
        return None

    def _less(self, name: str, asked: Asked, words: str) -> "Dialect | None":
        if name == self.length:
            if self.length == "max_completion_tokens":
                return None
            return replace(self, length="max_completion_tokens")
        if name == "top_logprobs" and (fewer := _FEWER.get(self.top_logprobs or 0)):
            return replace(self, top_logprobs=fewer)
        if name == "n":
            return replace(self, most=asked.n // 2)
        key = _heat(asked) if name == "temperature" else name
        less = replace(self, refused={**self.refused, key: words})
        if name == "top_logprobs":
            return replace(less, top_logprobs=None)
        return less


def _heat(asked: Asked) -> str:
    return f"temperature={asked.temperature:g}"


def _names(error: InvalidRequest, name: str) -> bool:
    """Whether a refusal is about a parameter: by its field, or by name in its words."""
    if error.field == name:
        return True
    quoted = rf"['\"`]{name}['\"`]"
    plain = r"\bn (?:must|is|should)\b|\bn ?> ?1" if name == "n" else rf"\b{name}\b"
    return re.search(f"{quoted}|{plain}", str(error)) is not None
