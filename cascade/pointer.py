"""The pointer's model: 20 features that cost nothing, and a logistic regression over them.

Seven features tell how the model's entropy ran over its answer, thirteen read the words of question
and answer (method.md section 3, pointer; the paper names the kinds and not each feature, so the
list is ours). Knows nothing of the question's truth; what it points at, it was fitted to on one
model's labelled answers, and it is that model's alone. English words; other languages leave those
features at 0.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ucbd.cascade.entities import entities
from ucbd.cascade.entropy import summarise
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Missing, TokenEntropies

ENTROPY_FEATURES = (
    "log_mean_entropy",  # ln(mean + 0.001), likewise below: nats lie over decades
    "log_max_entropy",
    "log_std_entropy",
    "log_median_entropy",
    "log_first_entropy",  # of the first token
    "log_last_entropy",  # of the last, which is the end of the answer
    "high_share",  # of tokens, as fluency has it
)
TEXT_FEATURES = (
    "log_tokens",  # ln(1 + tokens of the answer)
    "log_question_words",  # ln(1 + words of the question)
    "repeated",  # share of the answer's different words that the question has
    "question_numbers",  # 1 or 0: the question has a digit
    "answer_numbers",
    "hedged",  # the answer has a word of doubt
    "question_names",  # names, counted to 5
    "answer_names",
    "asks_who",
    "asks_when",
    "asks_where",
    "asks_how_many",
    "negated",  # the question has a no or not
)
FEATURES = ENTROPY_FEATURES + TEXT_FEATURES
"""Names of the features, in the order of their weights."""

_FLOOR = 0.001  # nats
_MOST_NAMES = 5
_WORD = re.compile(r"\w+(?:['’]\w+)?")
_HEDGES = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|might|may|could|think|believe|likely|unsure|sure|about"
    r"|around|approximately|roughly|unknown|guess|depends|unclear)\b",
    re.IGNORECASE,
)
_ASKS = {
    "asks_who": re.compile(r"\bwho(?:m|se)?\b", re.IGNORECASE),
    "asks_when": re.compile(r"\bwhen\b|\b(?:which|what) (?:year|date|day|month)\b", re.IGNORECASE),
    "asks_where": re.compile(r"\bwhere\b|\b(?:which|what) (?:city|country|place|town)\b", re.I),
    "asks_how_many": re.compile(r"\bhow (?:many|much|old|long|far|tall|often)\b", re.IGNORECASE),
    "negated": re.compile(r"\b(?:no|not|never|none)\b|n['’]t\b", re.IGNORECASE),
}

Feature = Annotated[float, Field(allow_inf_nan=False)]


class PointerUnreadable(GatewayError):
    """A pointer's file that cannot be used, with the file and what is wrong in it."""


class PointerModel(BaseModel):
    """Weights of the features in their own units, and what they were fitted on.

    ``features`` must be those of this version, in this order: a weight of another feature would be
    a wrong number that nothing shows. Nothing of the file is executed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(alias="schema")
    model: str
    features: tuple[str, ...]
    weights: tuple[Feature, ...]
    intercept: Feature
    questions: Annotated[int, Field(gt=0)]
    wrong: Annotated[int, Field(gt=0)]
    sources: Annotated[tuple[str, ...], Field(description="SHA-256 of each file")] = ()

    @model_validator(mode="after")
    def _fits(self) -> "PointerModel":
        if self.features != FEATURES:
            raise ValueError(f"features: must be {', '.join(FEATURES)}: fit it anew (ucbd pointer)")
        if len(self.weights) != len(FEATURES):
            raise ValueError(f"weights: {len(FEATURES)} are needed, got {len(self.weights)}")
        return self

    @cached_property
    def digest(self) -> str:
        """Of everything that changes its values, 8 hexadecimal digits."""
        content = self.model_dump_json(include={"features", "weights", "intercept"})
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    def wrong_probability(self, found: Sequence[float]) -> float:
        """P(wrong) of an answer with these features, 0 … 1, higher = less certain."""
        logit = math.fsum(w * x for w, x in zip(self.weights, found, strict=True)) + self.intercept
        return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def features(question: str, answer: str, entropies: TokenEntropies) -> list[float] | Missing:
    """The values of ``FEATURES``; ``answer`` is the final one.

    ``Missing`` without exact token entropies: a midpoint of bounds is another number, to which no
    pointer was fitted.
    """
    if not entropies.exact:
        return Missing("it reads exact token entropies, and there are bounds")
    summary = summarise(entropies)
    if isinstance(summary, Missing):
        return summary
    values = entropies.lower
    nats = (summary.mean, summary.max, summary.std, median(values), values[0], values[-1])
    logs = [math.log((value or 0.0) + _FLOOR) for value in nats]
    return [*logs, summary.high_share or 0.0, *_of_texts(question, answer, len(values))]


def _of_texts(question: str, answer: str, tokens: int) -> list[float]:
    asked = _WORD.findall(question.casefold())
    said = set(_WORD.findall(answer.casefold()))
    return [
        math.log1p(tokens),
        math.log1p(len(asked)),
        len(said & set(asked)) / len(said) if said else 0.0,
        float(any(map(str.isdigit, question))),
        float(any(map(str.isdigit, answer))),
        float(bool(_HEDGES.search(answer))),
        float(min(_MOST_NAMES, len(entities(question)))),
        float(min(_MOST_NAMES, len(entities(answer)))),
        *(float(bool(asks.search(question))) for asks in _ASKS.values()),
    ]


def read_pointer(path: Path) -> PointerModel:
    """A pointer's model from its JSON file. Raises ``PointerUnreadable``."""
    try:
        return PointerModel.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PointerUnreadable(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise PointerUnreadable(f"{path}: {field}: {first['msg']}") from error
