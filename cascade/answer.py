"""READ THIS FIRST: the cascade. One answer, then evidence about it until the decision is made.

The paper's Algorithm 1 with a second exit: a stage may end the cascade because the answer is
uncertain, and also because it is good enough (method.md section 4). Knows no stage in particular
and no threshold: boundaries measure, the policy's rules judge.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ucbd.cascade.case import (
    Boundary,
    Case,
    Finding,
    Measured,
    OutOfScope,
    Question,
    Skipped,
    StartsEarly,
    StopRule,
    Unavailable,
    Uninformative,
)
from ucbd.cascade.entropy import EntropySummary, summarise
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import (
    Action,
    Decision,
    Outcome,
    SampleSet,
    Stage,
    StageOutcome,
    Verdict,
)
from ucbd.cascade.policy import Policy, Rule
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.scope import IN_SCOPE, Scope, scope
from ucbd.models.engine import Engine
from ucbd.models.errors import DeadlineExceeded, GatewayError
from ucbd.models.generation import Generation, Missing

log = logging.getLogger(__name__)

DEADLINE = "deadline"
DECIDED = "decided"
GOOD_ENOUGH = Verdict(None, "the evidence is good enough to answer")


async def answer(
    question: Question,
    *,
    policy: Policy,
    boundaries: Mapping[str, Boundary],
    engine: Engine,
    ledger: Ledger,
    wired: Collection[Action] = (),
) -> Outcome:
    """Answer a question and decide about the answer, spending no more than the decision needs.

    ``wired`` are the actions the deployment can take by itself: what would help and is wired is
    an escalation, what is not is an abstention that suggests it. Raises ``DeadlineExceeded`` when
    time runs out before there is an answer, and the engine's errors about the main answer; what
    fails later costs evidence, never the answer.
    """
    async with _begun(policy, boundaries, question) as begun:
        main = await _main_answer(question, engine, ledger)
        case = Case(question, main, engine, ledger, scope=_scope(policy, question, main))
        evidence = _Evidence()
        verdict = empty_answer(main)

        for rule in policy.stages:  # in order of increasing cost
            start, tokens = ledger.clock(), ledger.spent().further_tokens
            boundary = boundaries[rule.stage]
            wanted = verdict is None or question.explain
            stop = _stop_rule(policy, rule, evidence, boundary.action, question)
            known = replace(case, stop=stop, started=begun.get(rule.stage))
            finding = await _assess(boundary, known, rule) if wanted else Skipped(DECIDED)
            evidence.add(rule, finding)
            combined = policy.combined(evidence.uncertainties)
            outcome, exit_ = judge(rule, finding, combined, boundary.action)
            verdict = verdict or exit_
            cost = (ledger.spent().further_tokens - tokens) / main.tokens if main.tokens else None
            evidence.stages.append(_stage(rule, finding, outcome, ledger.clock() - start, cost))

    verdict = verdict or conclude(policy, evidence)
    decision = decide(verdict, wired)
    return Outcome(
        generation=main,
        decision=decision,
        verdict=verdict,
        uncertainty=policy.combined(evidence.uncertainties),
        entropy=_summary(main),
        samples=evidence.samples,
        samples_planned=question.samples if evidence.sampled else 0,
        clusterer=question.clusterer,
        stages=tuple(evidence.stages),
        spent=ledger.spent(),
        withheld=policy.withhold and decision != "answer",
    )


def judge(
    rule: Rule, finding: Finding, combined: float | None, action: Action
) -> tuple[StageOutcome, Verdict | None]:
    """A stage's outcome and, when it ends the cascade, the verdict. Higher = less certain."""
    match finding:
        case Skipped():
            return "skipped", None
        case Unavailable():
            return "unavailable", None
        case Uninformative() | OutOfScope():
            return "uninformative", None
    if finding.alarm:
        return "fired", Verdict(rule.stage, finding.alarm, action)
    if rule.fire is not None and finding.score > rule.fire:
        message = f"{finding.signal} is {finding.score:.3f}, above {rule.fire:g}"
        return "fired", Verdict(rule.stage, message, action)
    if combined is not None and rule.high is not None and combined > rule.high:
        message = f"the combined uncertainty is {combined:.3f}, above {rule.high:g}"
        return "fired", Verdict(rule.stage, message, action)
    if combined is not None and rule.accept is not None and combined < rule.accept:
        return "accepted", GOOD_ENOUGH
    return "passed", None


def foresee(
    policy: Policy, rule: Rule, uncertainties: Mapping[str, float], action: Action
) -> Callable[[Finding], Hashable]:
    """What the cascade would decide if a stage found that, ``uncertainties`` being known before it.

    True for an answer, False for none. Where later stages are still to come and this one leaves it
    to them, every finding is a case of its own: what they will make of it is not known.
    """
    last = rule is policy.stages[-1]

    def decides(finding: Finding) -> Hashable:
        found = {rule.stage: finding.uncertainty} if isinstance(finding, Measured) else {}
        combined = policy.combined({**uncertainties, **found})
        _, verdict = judge(rule, finding, combined, action)
        if verdict:
            return verdict.boundary is None
        if not last:
            return finding
        return combined is not None and combined <= policy.threshold

    return decides


def conclude(policy: Policy, evidence: "_Evidence") -> Verdict:
    """The verdict when no stage ended the cascade: by everything that could rank, together.

    In the homogenized stratum sampling is not part of it, so the other signals decide alone. No
    evidence at all is never certainty; that there can be none, as of a poem, is no reason against
    the answer either.
    """
    cut = any(stage.reason == DEADLINE for stage in evidence.stages)
    boundary = DEADLINE if cut else "combined"
    action: Action | None = None if cut else "human"
    combined = policy.combined(evidence.uncertainties)
    if combined is None and evidence.out_of_scope:
        return Verdict(None, f"no evidence is about answers of this kind: {evidence.out_of_scope}")
    if combined is None:
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in evidence.stages)
        return Verdict(boundary, f"nothing could be measured ({reasons})", action)
    if combined > policy.threshold:
        message = f"the combined uncertainty is {combined:.3f}, above {policy.threshold:g}"
        return Verdict(boundary, message, action)
    return GOOD_ENOUGH


def empty_answer(main: Generation) -> Verdict | None:
    """An empty answer is no answer, however certain the model was of it."""
    if final_answer(main.text):
        return None
    return Verdict("combined", "the model's answer is empty", "larger_model")


def decide(verdict: Verdict, wired: Collection[Action]) -> Decision:
    """Answer, or escalate to what would help where the deployment can do that, else abstain."""
    if verdict.boundary is None:
        return "answer"
    return "escalate" if verdict.action in wired else "abstain"


@asynccontextmanager
async def _begun(
    policy: Policy, boundaries: Mapping[str, Boundary], question: Question
) -> AsyncIterator[dict[str, asyncio.Task[Any]]]:
    """What depends on the question alone, begun with the request; ends with it."""
    stages = [boundaries[rule.stage] for rule in policy.stages]
    begun = {
        boundary.name: asyncio.ensure_future(boundary.ahead(question))
        for boundary in stages
        if isinstance(boundary, StartsEarly)
    }
    try:
        yield begun
    finally:
        for task in begun.values():
            task.cancel()
        await asyncio.gather(*begun.values(), return_exceptions=True)


def _scope(policy: Policy, question: Question, main: Generation) -> Scope:
    if policy.scope == "all":
        return IN_SCOPE
    return scope(question.text, final_answer(main.text), main.tokens)


def _stop_rule(
    policy: Policy, rule: Rule, evidence: "_Evidence", action: Action, question: Question
) -> StopRule | None:
    """All evidence is wanted for an explanation, and by a policy that names no error."""
    if policy.stop_error is None or question.explain:
        return None
    return StopRule(policy.stop_error, foresee(policy, rule, evidence.uncertainties, action))


@dataclass(slots=True)
class _Evidence:
    """What the stages have found so far."""

    uncertainties: dict[str, float] = field(default_factory=dict)
    samples: SampleSet | None = None
    sampled: bool = False
    out_of_scope: str | None = None
    stages: list[Stage] = field(default_factory=list)

    def add(self, rule: Rule, finding: Finding) -> None:
        self.sampled |= rule.stage == "sampling" and not isinstance(finding, Skipped | OutOfScope)
        if isinstance(finding, OutOfScope):
            self.out_of_scope = finding.why
        if isinstance(finding, Measured):
            self.uncertainties[rule.stage] = finding.uncertainty
        if isinstance(finding, Measured | Uninformative):
            self.samples = finding.samples or self.samples


async def _main_answer(question: Question, engine: Engine, ledger: Ledger) -> Generation:
    try:
        async with asyncio.timeout(ledger.remaining()):
            work = engine.generate(question.prompt, question.options, entropies=True)
            main = await ledger.wait(work)
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before the answer was complete") from error
    ledger.record_main(main)
    return main


async def _assess(boundary: Boundary, case: Case, rule: Rule) -> Finding:
    """The boundary's finding; time running out and every fault are findings too."""
    left = case.ledger.remaining()
    if left is not None and left <= (rule.seconds or 0):
        return Skipped(DEADLINE)
    try:
        async with asyncio.timeout(case.ledger.remaining()):
            return await boundary.assess(case)
    except TimeoutError:
        return Unavailable(DEADLINE)
    except GatewayError as error:
        return Unavailable(str(error))
    except Exception:
        # A fault in one stage must not take the answer away; it is visible in the response, the
        # stage metric and, with its traceback, in the log.
        log.exception("stage %s failed", boundary.name)
        return Unavailable("internal error")


def _stage(
    rule: Rule, finding: Finding, outcome: StageOutcome, seconds: float, cost: float | None
) -> Stage:
    return Stage(
        name=rule.stage,
        score=None if isinstance(finding, Unavailable | Skipped) else finding.score,
        threshold=rule.fire,
        outcome=outcome,
        reason=None if isinstance(finding, Measured) else finding.reason,
        seconds=seconds,
        cost=cost,
    )


def _summary(main: Generation) -> EntropySummary | Missing:
    entropies = main.entropies
    return entropies if isinstance(entropies, Missing) else summarise(entropies)
