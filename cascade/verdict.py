"""From findings to a verdict: when a stage ends the cascade, and what is said when none did.

The policy's rules over what the boundaries measured; measures nothing and waits for nothing.
"""

from collections.abc import Callable, Collection, Hashable, Mapping

from ucbd.cascade.case import (
    Finding,
    Measured,
    OutOfScope,
    Skipped,
    Unavailable,
    Uninformative,
)
from ucbd.cascade.findings import DEADLINE, Findings, homogenized
from ucbd.cascade.outcome import Action, Decision, StageOutcome, Verdict
from ucbd.cascade.policy import Policy, Rule
from ucbd.cascade.reasoning import final_answer
from ucbd.models.generation import Generation

GOOD_ENOUGH = Verdict(None, "the evidence is good enough to answer")


def judge(
    rule: Rule, finding: Finding, combined: float | None, action: Action, threshold: float
) -> tuple[StageOutcome, Verdict | None]:
    """A stage's outcome and, when it ends the cascade, the verdict. Higher = less certain.

    ``threshold`` is the policy's: whatever ends the cascade, an answer stands at or below it.
    """
    match finding:
        case Skipped():
            return "skipped", None
        case Unavailable():
            return "unavailable", None
        case Uninformative() | OutOfScope():
            return "uninformative", None
    if finding.alarm:
        return "fired", Verdict(rule.stage, finding.alarm, action, by_rule=True)
    if rule.fire is not None and finding.score > rule.fire:
        message = f"{finding.described} is {finding.score:.3f}, above {rule.fire:g}"
        return "fired", Verdict(rule.stage, message, action, by_rule=True)
    high = combined is not None and rule.high is not None and combined > rule.high
    low = combined is not None and rule.accept is not None and combined < rule.accept
    if combined is None or not (high or low):
        return "passed", None
    if combined <= threshold:
        return "accepted", GOOD_ENOUGH
    above = rule.high if high and rule.high is not None else threshold
    message = f"the combined uncertainty is {combined:.3f}, above {above:g}"
    return "fired", Verdict(rule.stage, message, action)


def foresee(
    policy: Policy, rule: Rule, uncertainties: Mapping[str, float], action: Action
) -> Callable[[Finding], Hashable]:
    """What the cascade would decide if a stage found that, ``uncertainties`` being known before it.

    True for an answer, False for none. Where later stages are still to come and this one leaves it
    to them, every finding is a case of its own: what they will make of it is not known.
    """
    last = rule is policy.stages[-1]

    def decides(finding: Finding) -> Hashable:
        new = {}
        if isinstance(finding, Measured) and finding.uncertainty is not None:
            new[rule.stage] = finding.uncertainty
        combined = policy.combined({**uncertainties, **new}, homogenized=homogenized(rule, finding))
        _, verdict = judge(rule, finding, combined, action, policy.aim)
        if verdict:
            return verdict.boundary is None
        if not last:
            return finding
        return combined is not None and combined <= policy.aim

    return decides


def conclude(policy: Policy, found: Findings) -> Verdict:
    """The verdict when no stage ended the cascade: by everything that could rank, together.

    In the homogenized stratum sampling is not part of it, so the other signals decide alone. No
    evidence at all is never certainty; that there can be none, as of a poem, is no reason against
    the answer either.
    """
    cut = any(stage.reason == DEADLINE for stage in found.stages)
    boundary = DEADLINE if cut else "combined"
    action: Action | None = None if cut else "human"
    combined = found.combined(policy)
    if combined is None and found.out_of_scope:
        return Verdict(None, f"no evidence is about answers of this kind: {found.out_of_scope}")
    if combined is None:
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in found.stages)
        return Verdict(boundary, f"nothing could be measured ({reasons})", action)
    if combined > policy.threshold:
        message = f"the combined uncertainty is {combined:.3f}, above {policy.threshold:g}"
        return Verdict(boundary, message, action)
    return GOOD_ENOUGH


def empty_answer(main: Generation) -> Verdict | None:
    """An empty answer is no answer, however certain the model was of it."""
    if final_answer(main.text):
        return None
    return Verdict("combined", "the model's answer is empty", "larger_model", by_rule=True)


def decide(verdict: Verdict, wired: Collection[Action]) -> Decision:
    """Answer, or escalate to what would help where the deployment can do that, else abstain."""
    if verdict.boundary is None:
        return "answer"
    return "escalate" if verdict.action in wired else "abstain"
