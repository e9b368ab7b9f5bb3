"""What leaves the cascade: one frozen ``Outcome``, read as a body, as metrics and as a log line.

Knows how a decision is written down, not how it is made.
"""

from dataclasses import dataclass
from typing import Literal

from ucbd.cascade.entropy import EntropySummary
from ucbd.cascade.stopping import Drawn
from ucbd.models.generation import Generation, Missing

Decision = Literal["answer", "abstain", "escalate"]
Action = Literal["retrieve", "search", "larger_model", "human"]
StageOutcome = Literal["accepted", "passed", "fired", "uninformative", "unavailable", "skipped"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the policy as it went in this request.

    ``score`` is in the stage's own unit (nats for both of today's), higher = less certain, and
    ``threshold`` is the score above which it fires. ``seconds`` is wall time; ``cost`` is tokens
    generated for the stage ÷ tokens of the main answer (None when that has none).
    """

    name: str
    score: float | None
    threshold: float | None
    outcome: StageOutcome
    reason: str | None
    seconds: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Samples that say the same: how many, and the commonest wording."""

    size: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What the samples of a request said.

    ``clusters`` are largest first and their sizes sum to the non-empty samples. ``answer_support``
    is the share of samples in the main answer's own cluster (0 = none agrees). ``homogenized`` is
    True only when all ``planned`` samples fell into one cluster, False once two exist, else None.
    ``clusterer`` names the clusterer with its parameters.
    """

    planned: int
    clusters: tuple[Cluster, ...]
    answer_support: float
    semantic_entropy: float
    clusterer: str

    @property
    def drawn(self) -> int:
        """Number of non-empty samples."""
        return sum(cluster.size for cluster in self.clusters)

    @property
    def complete(self) -> bool:
        """Whether all planned samples are there: counts of fewer clusters are another measure."""
        return self.drawn == self.planned

    @property
    def state(self) -> Drawn:
        """The sizes of the clusters alone."""
        sizes = [cluster.size for cluster in self.clusters]
        own = round(self.answer_support * self.drawn)
        if own:
            sizes.remove(own)
        return Drawn(own, tuple(sizes))

    @property
    def homogenized(self) -> bool | None:
        """Whether the request lies in the homogenized stratum (method.md section 1)."""
        if len(self.clusters) > 1:
            return False
        return True if self.complete else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the cascade stopped: the boundary, in words, and what would help.

    ``boundary`` is None when the answer stands; else the stage that fired, ``combined`` or
    ``deadline``.
    """

    boundary: str | None
    message: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request cost, in generated tokens: of the answer, of samples, of judging the answer.

    ``waited`` is the wall time spent waiting for engine and models, in seconds.
    """

    main_tokens: int
    sampled_tokens: int
    judged_tokens: int
    engine_calls: int
    waited: float

    @property
    def further_tokens(self) -> int:
        """All but the main answer's."""
        return self.sampled_tokens + self.judged_tokens

    @property
    def relative_cost(self) -> float | None:
        """All generated tokens ÷ those of the main answer; None when that has none."""
        if not self.main_tokens:
            return None
        return (self.main_tokens + self.further_tokens) / self.main_tokens


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answered request: the answer, the decision about it, and all the evidence.

    ``uncertainty`` is the policy's combined one of every stage that could rank, 0 … 1, higher =
    less certain; None when none could.
    """

    generation: Generation
    decision: Decision
    verdict: Verdict
    uncertainty: float | None
    entropy: EntropySummary | Missing
    samples: SampleSet | None
    samples_planned: int
    clusterer: str
    stages: tuple[Stage, ...]
    spent: Spent
    withheld: bool

    @property
    def boundary(self) -> str:
        """The boundary that decided, ``none`` for answers: the metric label."""
        return self.verdict.boundary or "none"
