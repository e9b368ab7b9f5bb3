"""What the stages of one request have found so far, and what it says together.

Filled stage by stage while the cascade runs. Judges nothing.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from ucbd.cascade.case import (
    Finding,
    Measured,
    OutOfScope,
    Skipped,
    Unavailable,
    Uninformative,
    of_fewer,
)
from ucbd.cascade.outcome import SampleSet, Stage, StageOutcome, Verdict
from ucbd.cascade.policy import Policy, Rule

DEADLINE = "deadline"
DECIDED = "decided"


@dataclass(slots=True)
class Findings:
    """What the stages have found so far."""

    uncertainties: dict[str, float] = field(default_factory=dict)
    homogenized: bool = False
    samples: SampleSet | None = None
    sampled: bool = False
    out_of_scope: str | None = None
    stages: list[Stage] = field(default_factory=list)

    def combined(self, policy: Policy) -> float | None:
        """What it says together, 0 … 1, higher = less certain; None where nothing could rank."""
        return policy.combined(self.uncertainties, homogenized=self.homogenized)

    def at_exit(self, policy: Policy, verdict: Verdict) -> float | None:
        """The cascade's own score: what the stages say together, 0 … 1, higher = less certain.

        Where a rule ended it before anything that the policy's models read, what that stage says on
        the common scale; None where nothing could rank.
        """
        combined = self.combined(policy)
        if combined is not None or not verdict.by_rule or verdict.boundary is None:
            return combined
        return self.uncertainties.get(verdict.boundary)

    def confidence(self, policy: Policy) -> float | None:
        """P(right), 0 … 1; None without a calibration, and where nothing could rank."""
        wrong = self.combined(policy) if policy.calibration else None
        return None if wrong is None else 1 - wrong

    def add(self, rule: Rule, finding: Finding) -> None:
        """What a stage found."""
        self.homogenized |= homogenized(rule, finding)
        self.sampled |= rule.stage == "sampling" and not isinstance(finding, Skipped | OutOfScope)
        if isinstance(finding, OutOfScope):
            self.out_of_scope = finding.why
        if isinstance(finding, Measured) and finding.uncertainty is not None:
            self.uncertainties[rule.stage] = finding.uncertainty
        if isinstance(finding, Measured | Uninformative):
            self.samples = finding.samples or self.samples

    def enter(
        self,
        rule: Rule,
        finding: Finding,
        outcome: StageOutcome,
        seconds: float,
        cost: float | None,
    ) -> None:
        """How the stage ended, for the response."""
        self.stages.append(
            Stage(
                name=rule.stage,
                signal=finding.signal if isinstance(finding, Measured | Uninformative) else None,
                score=None if isinstance(finding, Unavailable | Skipped) else finding.score,
                uncertainty=finding.uncertainty if isinstance(finding, Measured) else None,
                threshold=rule.fire,
                outcome=outcome,
                reason=None if isinstance(finding, Measured) else finding.reason,
                seconds=seconds,
                cost=cost,
            )
        )


def if_it_fits(policy: Policy, rule: Rule, finding: Finding) -> Finding:
    """The finding, unless the policy was fitted to another signal, of which it knows nothing.

    Where some samples were lost it is kept, as what cannot rank: an alarm is none the less one.
    """
    made_for = policy.calibration.fitted_signal(rule.stage) if policy.calibration else None
    if made_for is None or not isinstance(finding, Measured | Uninformative):
        return finding
    if finding.signal == made_for:
        return finding
    samples = finding.samples
    if samples and samples.lost and finding.signal == of_fewer(made_for, samples.drawn):
        return _cannot_rank(finding, samples)
    return Unavailable(f"the policy was made for {made_for}, and this is {finding.signal}")


def homogenized(rule: Rule, finding: Finding) -> bool:
    """Whether all samples say what the answer says; of lost ones nobody knows."""
    if rule.stage != "sampling" or not isinstance(finding, Uninformative):
        return False
    return finding.samples is None or not finding.samples.lost


def _cannot_rank(finding: Measured | Uninformative, samples: SampleSet) -> Finding:
    if isinstance(finding, Uninformative):
        return finding
    if finding.alarm:
        return replace(finding, uncertainty=None)
    reason = (
        f"{samples.drawn} of {samples.planned} samples were usable, "
        "and the policy was made for all of them"
    )
    return Uninformative(finding.signal, finding.score, reason, samples)
