"""What a boundary is given and what it gives back.

Knows no particular boundary and no threshold: a boundary measures, the policy judges.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Action, SampleSet
from ucbd.models.engine import Engine
from ucbd.models.generation import EncodedPrompt, Generation, GenerationOptions


@dataclass(frozen=True, slots=True)
class Question:
    """One request as the cascade sees it: encoded once, limits resolved.

    ``samples`` is how many may be drawn (0 forbids sampling); ``clusterer`` is the name of the one
    to use; ``explain`` runs every stage, also after the decision has been made. ``text`` is the
    question in words, the last user's turn of a conversation, for evidence that reads meaning:
    ``prompt`` holds only what the model reads. Empty when there is none. ``asked_at`` is when it
    was asked, None when that is not known.
    """

    prompt: EncodedPrompt
    options: GenerationOptions
    samples: int
    clusterer: str
    explain: bool = False
    text: str = ""
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its main answer, and what a boundary may use to look into it.

    ``stop`` None wants all of the evidence.
    """

    question: Question
    answer: Generation
    engine: Engine
    ledger: Ledger
    stop: "StopRule | None" = None


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a boundary may stop measuring: the rest would hardly change the decision.

    ``decides`` tells what the cascade would decide if the boundary found that; ``error`` is the
    probability that may be taken of having decided otherwise with the whole of it.
    """

    error: float
    decides: Callable[["Finding"], Hashable]


@dataclass(frozen=True, slots=True)
class Measured:
    """A boundary's evidence.

    ``signal`` names the score with every parameter that changes its value. ``score`` is in the
    boundary's own unit and ``uncertainty`` is the same evidence on [0, 1] by a fixed, documented
    map; higher = less certain in both. ``alarm`` says why the stage fires whatever its threshold.
    """

    signal: str
    score: float
    uncertainty: float
    alarm: str | None = None
    samples: SampleSet | None = None


@dataclass(frozen=True, slots=True)
class Uninformative:
    """The boundary looked and cannot rank this case: neither certain nor uncertain."""

    signal: str
    score: float
    reason: str
    samples: SampleSet | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The boundary's evidence could not be had, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The boundary was not asked, and why."""

    reason: str


Finding = Measured | Uninformative | Unavailable | Skipped


class Boundary(Protocol):
    """One kind of evidence. ``action`` is what would help when it fires."""

    name: str
    action: Action

    async def assess(self, case: Case) -> Finding:
        """Measure the case. What cannot be measured is ``Unavailable``, never a low score."""
        ...
