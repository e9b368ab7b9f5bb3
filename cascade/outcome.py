"""What leaves the cascade: one frozen ``Outcome``, read as a body, as metrics and as a log line.

Knows how a decision is written down, not how it is made.
"""

from typing import Literal

from msgspec import Struct

from ucbd.cascade.entropy import EntropySummary
from ucbd.cascade.ladder import Rung
from ucbd.cascade.stopping import Drawn
from ucbd.models.generation import Generation, Missing

Decision = Literal["answer", "abstain", "escalate"]
Action = Literal["retrieve", "search", "larger_model", "human"]
StageOutcome = Literal["accepted", "passed", "fired", "uninformative", "unavailable", "skipped"]


class Stage(Struct, frozen=True):
    """One stage of the policy as it went in this request.

    ``score`` is in the stage's own unit (nats for both of today's), higher = less certain, and
    ``threshold`` is the score above which it fires. ``signal`` names the score with every parameter
    that changes it; ``uncertainty`` is what it counts for, 0 … 1, None where the stage could not
    rank. ``seconds`` is wall time; ``cost`` is tokens generated for the stage ÷ tokens of the main
    answer (None when that has none).
    """

    name: str
    signal: str | None
    score: float | None
    uncertainty: float | None
    threshold: float | None
    outcome: StageOutcome
    reason: str | None
    seconds: float
    cost: float | None


class Cluster(Struct, frozen=True):
    """Samples that say the same: how many, and the commonest wording."""

    size: int
    text: str


class SampleSet(Struct, frozen=True):
    """What the samples of a request said.

    ``clusters`` are largest first and their sizes sum to the non-empty samples. ``answer_support``
    is the share of samples in the main answer's own cluster (0 = none agrees). ``homogenized`` is
    True only when all ``planned`` samples fell into one cluster, False once two exist, else None.
    ``clusterer`` names the clusterer with its parameters. ``settled``: the rest was not drawn,
    since it would hardly have changed the decision.
    """

    planned: int
    clusters: tuple[Cluster, ...]
    answer_support: float
    semantic_entropy: float
    clusterer: str
    settled: bool = False

    @property
    def drawn(self) -> int:
        """Number of non-empty samples."""
        return sum(cluster.size for cluster in self.clusters)

    @property
    def complete(self) -> bool:
        """Whether all planned samples are there: counts of fewer clusters are another measure."""
        return self.drawn == self.planned

    @property
    def lost(self) -> bool:
        """Whether some were wanted and did not come back: what they would have said is unknown."""
        return not self.complete and not self.settled

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


class Verdict(Struct, frozen=True):
    """Why the cascade stopped: the boundary, in words, and what would help.

    ``boundary`` is None when the answer stands; else the stage that fired, ``combined`` or
    ``deadline``. ``by_rule`` says that no threshold on the combined uncertainty would change it.
    """

    boundary: str | None
    message: str
    action: Action | None = None
    by_rule: bool = False


class Bound(Struct, frozen=True):
    """What a profile promises of answers decided like this one: at most this share is wrong.

    ``id`` is the profile's.
    """

    id: str
    risk_upper: float


class Spent(Struct, frozen=True):
    """What a request cost, in generated tokens: of the answer, of samples, of judging the answer,
    of further choices, of the larger tier.

    ``waited`` is the wall time spent waiting for engine and models, in seconds.
    """

    main_tokens: int
    sampled_tokens: int
    judged_tokens: int
    choice_tokens: int
    larger_tokens: int
    engine_calls: int
    waited: float

    @property
    def further_tokens(self) -> int:
        """All but the main answer's."""
        return self.sampled_tokens + self.judged_tokens + self.choice_tokens + self.larger_tokens

    @property
    def relative_cost(self) -> float | None:
        """All generated tokens ÷ those of the main answer; None when that has none."""
        if not self.main_tokens:
            return None
        return (self.main_tokens + self.further_tokens) / self.main_tokens


class Escalation(Struct, frozen=True):
    """What the larger tier was asked for: its model's answer, or the ``reason`` why there is none.

    ``seconds`` is wall time.
    """

    generation: Generation | None
    reason: str | None
    model: str | None
    seconds: float


class Outcome(Struct, frozen=True):
    """An answered request: the answer, the decision about it, and all the evidence.

    ``uncertainty`` is the policy's combined one of every stage that could rank, 0 … 1, higher =
    less certain, else that of the stage whose rule fired; None when none could. ``unanimous``: all
    samples said what the answer says, or would have where the rest was not needed.
    ``rung`` says which stages could run at all. ``confidence`` is P(right), 0 … 1, by a calibrated
    policy; ``bound`` is ``Missing`` where the policy has none for what ran. All of it is about
    ``generation``; where the larger tier answered, ``served`` is what the client is given.
    """

    generation: Generation
    decision: Decision
    verdict: Verdict
    uncertainty: float | None
    confidence: float | None
    bound: Bound | Missing
    unanimous: bool
    entropy: EntropySummary | Missing
    samples: SampleSet | None
    samples_planned: int
    clusterer: str
    stages: tuple[Stage, ...]
    spent: Spent
    withheld: bool
    refusal: str | None
    rung: Rung
    escalation: Escalation | None = None

    @property
    def served(self) -> Generation:
        """The answer that the client is given: the larger tier's, where it gave one."""
        larger = self.escalation and self.escalation.generation
        return larger or self.generation

    @property
    def text(self) -> str | None:
        """What the client is given: the answer or, withheld, the operator's words or nothing."""
        return self.refusal if self.withheld else self.served.text

    @property
    def prompt_tokens(self) -> int:
        """Read by the model, and by the larger tier where that answered."""
        own = self.generation.prompt_tokens
        return own if self.served is self.generation else own + self.served.prompt_tokens

    @property
    def boundary(self) -> str:
        """The boundary that decided, ``none`` for answers: the metric label."""
        return self.verdict.boundary or "none"
