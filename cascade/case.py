"""What a boundary is given and what it gives back.

Knows no particular boundary and no threshold: a boundary measures, the policy judges.
"""

from collections.abc import Awaitable, Callable, Coroutine, Hashable
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from msgspec import Struct

from ucbd.cascade.entropy import EntropySummary
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Action, SampleSet
from ucbd.cascade.scope import IN_SCOPE, Scope
from ucbd.models.engine import Engine
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Message,
    Missing,
)


class Question(Struct, frozen=True):
    """One request as the cascade sees it: encoded once, limits resolved.

    ``samples`` is how many may be drawn (0 forbids sampling); ``clusterer`` is the name of the one
    to use; ``explain`` runs every stage, also after the decision has been made. ``text`` is the
    question in words, the last user's turn of a conversation, for evidence that reads meaning:
    ``prompt`` holds only what the model reads. Empty when there is none. ``asked_at`` is when it
    was asked, None when that is not known. ``evidence`` are documents that came with it.
    ``conversation`` is what ``prompt`` was encoded from, for a call that goes on from there;
    ``raw`` when that was a text to continue, without the model's chat template.
    """

    prompt: EncodedPrompt
    options: GenerationOptions
    samples: int
    clusterer: str
    explain: bool = False
    text: str = ""
    asked_at: datetime | None = None
    evidence: tuple[str, ...] = ()
    conversation: tuple[Message, ...] = ()
    raw: bool = False


T = TypeVar("T")


class Case(Struct, frozen=True):
    """A question with its main answer, and what a boundary may use to look into it.

    ``entropy`` is the summary of the answer's token entropies.
    ``stop`` None wants all of the evidence. ``scope`` tells which evidence says nothing here.
    ``started`` is the work of this boundary that began while the answer was being generated.
    """

    question: Question
    answer: Generation
    entropy: EntropySummary | Missing
    engine: Engine
    ledger: Ledger
    stop: "StopRule | None" = None
    scope: Scope = IN_SCOPE
    started: Awaitable[Any] | None = None

    async def prepared(self, ahead: Callable[[Question], Awaitable[T]]) -> T:
        """What a boundary's ``ahead`` gives, from the work begun early where there is some."""
        work = ahead(self.question) if self.started is None else self.started
        return cast("T", await self.ledger.wait(work))


class StopRule(Struct, frozen=True):
    """When a boundary may stop measuring: the rest would hardly change the decision.

    ``decides`` tells what the cascade would decide if the boundary found that; ``error`` is the
    probability that may be taken of having decided otherwise with the whole of it.
    """

    error: float
    decides: Callable[["Finding"], Hashable]


class Measured(Struct, frozen=True):
    """A boundary's evidence.

    ``signal`` names the score with every parameter that changes its value. ``score`` is in the
    boundary's own unit and ``uncertainty`` is the same evidence on [0, 1] by a fixed, documented
    map; higher = less certain in both. ``alarm`` says why the stage fires whatever its threshold.
    ``drawn`` is how many samples it was foreseen from, None where all that it names were there.
    ``uncertainty`` None: it fires by its alarm, and counts for nothing that was fitted.
    """

    signal: str
    score: float
    uncertainty: float | None
    alarm: str | None = None
    samples: SampleSet | None = None
    drawn: int | None = None

    @property
    def described(self) -> str:
        """The signal, and how much of it there was."""
        return self.signal if self.drawn is None else of_fewer(self.signal, self.drawn)


def of_fewer(signal: str, drawn: int) -> str:
    """The signal of samples of which only so many are there."""
    return f"{signal[:-1]},drawn={drawn})"


class Uninformative(Struct, frozen=True):
    """The boundary looked and cannot rank this case: neither certain nor uncertain."""

    signal: str
    score: float
    reason: str
    samples: SampleSet | None = None


class OutOfScope(Struct, frozen=True):
    """The boundary's evidence says nothing about answers of this kind, and why."""

    why: str
    score: float | None = None

    @property
    def reason(self) -> str:
        """With the word that tells this apart from other reasons."""
        return f"out_of_scope: {self.why}"


class Unavailable(Struct, frozen=True):
    """The boundary's evidence could not be had, and why."""

    reason: str


class Skipped(Struct, frozen=True):
    """The boundary was not asked, and why."""

    reason: str


Finding = Measured | Uninformative | OutOfScope | Unavailable | Skipped


class Boundary(Protocol):
    """One kind of evidence. ``action`` is what would help when it fires."""

    name: str
    action: Action

    async def assess(self, case: Case) -> Finding:
        """Measure the case. What cannot be measured is ``Unavailable``, never a low score."""
        ...


Ahead = Callable[[Question], Coroutine[Any, Any, Any]]
"""A boundary's work that depends on the question alone: what ``Case.prepared`` gives to ``assess``.

It begins with the request and adds no latency as long as the main answer takes longer. May raise as
``assess`` may.
"""


def early(boundary: Boundary) -> Ahead | None:
    """What a boundary has as ``ahead``; None where it has nothing to begin with."""
    ahead: Ahead | None = getattr(boundary, "ahead", None)
    return ahead
