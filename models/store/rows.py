"""What the store keeps, as plain frozen values. Knows no database and no cascade."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["audit", "feedback"]
"""Who says whether an answer was right: a labeller of the audit draw, or whoever volunteered."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a decision was made under: its id, and the certified bound on the share of errors."""

    id: str
    risk_upper: float


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One answered request.

    ``asked_at`` is in seconds since 1970, UTC. ``uncertainty`` (higher = less certain) and
    ``confidence`` (the probability of being right) are 0 … 1, None when unknown. ``rung`` is the
    step of the ladder that ran, under ``certificate``. All of it is about the model's own answer;
    ``served_by`` names the larger tier where the client was given that one's instead. ``audit``
    tells that the audit draw took it. ``scores`` are by signal and ``stages`` as in the response.
    ``text`` holds question and answer, None unless the operator opted in.
    """

    id: str
    asked_at: float
    model: str
    model_revision: str
    policy: str
    decision: str
    boundary: str
    uncertainty: float | None
    confidence: float | None
    rung: str | None
    certificate: Certificate | None
    served_by: str | None
    audit: bool
    scores: Mapping[str, float | None]
    stages: Sequence[Json]
    text: Json | None


@dataclass(frozen=True, slots=True)
class Completion:
    """What was asked of the engine about a drawn answer after its reply, text among it."""

    id: str
    further: Json


@dataclass(frozen=True, slots=True)
class Label:
    """Whether a record's answer was right: said by whom, when (seconds since 1970), from where.

    ``number`` grows in the order in which labels were given.
    """

    number: int
    source: Source
    correct: bool
    by: str | None
    at: float
    note: str | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A record with one of its labels, and its completion where there is one."""

    record: RequestRecord
    label: Label
    completion: Completion | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The few things of a labelled record that live metrics need."""

    number: int
    policy: str
    decision: str
    confidence: float | None
    certificate: Certificate | None
    correct: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: ``rows`` each of drawn and of other records, none older than ``days``."""

    rows: int = 100_000
    days: float = 90.0
