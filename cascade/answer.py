"""READ THIS FIRST: the cascade. One answer, then evidence about it until the decision is made.

The paper's Algorithm 1 with a second exit: a stage may end the cascade because the answer is
uncertain, and also because it is good enough (method.md section 4). Knows no stage in particular
and no threshold: boundaries measure, the policy's rules judge.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from ucbd.cascade.bound import bound, certified_rung
from ucbd.cascade.case import (
    Boundary,
    Case,
    Finding,
    Measured,
    Question,
    Skipped,
    StopRule,
    Unavailable,
    early,
)
from ucbd.cascade.entropy import EntropySummary, summarise
from ucbd.cascade.escalation import escalated
from ucbd.cascade.findings import DEADLINE, DECIDED, Findings, if_it_fits
from ucbd.cascade.ladder import DEGRADED, Rung, runs
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Action, Outcome
from ucbd.cascade.policy import Policy, Rule
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.scope import IN_SCOPE, Scope, scope
from ucbd.cascade.verdict import conclude, decide, empty_answer, foresee, judge
from ucbd.models.engine import Engine
from ucbd.models.errors import DeadlineExceeded, GatewayError
from ucbd.models.generation import Generation, Listener, Missing
from ucbd.models.time_limit import TimeLimit

log = logging.getLogger(__name__)

LARGER: Action = "larger_model"


async def answer(
    question: Question,
    *,
    policy: Policy,
    boundaries: Mapping[str, Boundary],
    engine: Engine,
    ledger: Ledger,
    wired: Collection[Action] = (),
    rung: Rung = "all",
    listen: Listener | None = None,
    larger: Engine | None = None,
) -> Outcome:
    """Answer a question and decide about the answer, spending no more than the decision needs.

    ``listen`` is told the answer as it comes, unless the policy may withhold it.
    A stage that does not run on ``rung`` is skipped, also where an explanation wants all of them.
    ``wired`` are the actions the deployment can take by itself: what would help and is wired is
    an escalation, what is not is an abstention that suggests it. ``larger`` is one of them: a
    second model, which then answers. Raises ``DeadlineExceeded`` when time runs out before there
    is an answer, and the engine's errors about the main answer; what fails later costs evidence,
    never the answer.
    """
    policy = policy.on(certified_rung(question, rung))
    begun = _begin(policy, boundaries, question, rung)
    try:
        main = await _main_answer(question, engine, ledger, None if policy.withholds else listen)
        about, entropy = _scope(policy, question, main), _summary(main)
        found = Findings()
        verdict = empty_answer(main)

        for rule in policy.stages:  # in order of increasing cost
            start, tokens = ledger.clock(), ledger.further_tokens
            boundary = boundaries[rule.stage]
            finding: Finding = Skipped(DECIDED)
            if verdict is None or question.explain:
                stop = _stop_rule(policy, rule, found, boundary.action, question)
                started = begun.get(rule.stage)
                case = Case(question, main, entropy, engine, ledger, stop, about, started)
                finding = await _assess(boundary, case, rule, rung)
            finding = if_it_fits(policy, rule, finding)
            found.add(rule, finding)
            combined = found.combined(policy) if isinstance(finding, Measured) else None
            outcome, exit_ = judge(rule, finding, combined, boundary.action, policy.threshold)
            verdict = verdict or exit_
            cost = (ledger.further_tokens - tokens) / main.tokens if main.tokens else None
            found.enter(rule, finding, outcome, ledger.clock() - start, cost)
    finally:
        await _end(begun.values())

    verdict = verdict or conclude(policy, found)
    decision = decide(verdict, wired if larger is None else {*wired, LARGER})
    escalation = None
    if larger is not None and decision == "escalate" and verdict.action == LARGER:
        escalation = await escalated(question, larger, ledger)
    answered = escalation is not None and escalation.generation is not None
    return Outcome(
        generation=main,
        decision=decision,
        verdict=verdict,
        uncertainty=found.at_exit(policy, verdict),
        confidence=found.confidence(policy),
        bound=bound(policy, question, rung, found),
        unanimous=found.homogenized,
        entropy=entropy,
        samples=found.samples,
        samples_planned=question.samples if found.sampled else 0,
        clusterer=question.clusterer,
        stages=tuple(found.stages),
        spent=ledger.spent(),
        withheld=policy.withholds and decision != "answer" and not answered,
        refusal=policy.refusal,
        rung=rung,
        escalation=escalation,
    )


def _begin(
    policy: Policy, boundaries: Mapping[str, Boundary], question: Question, rung: Rung
) -> dict[str, asyncio.Task[Any]]:
    """What depends on the question alone, begun with the request; to be ended with it."""
    stages = [boundaries[rule.stage] for rule in policy.stages if runs(rule.stage, rung)]
    return {
        boundary.name: asyncio.ensure_future(ahead(question))
        for boundary in stages
        if (ahead := early(boundary)) is not None
    }


async def _end(begun: Collection[asyncio.Task[Any]]) -> None:
    for task in begun:
        task.cancel()
    if begun:
        await asyncio.gather(*begun, return_exceptions=True)


def _scope(policy: Policy, question: Question, main: Generation) -> Scope:
    if policy.scope == "all":
        return IN_SCOPE
    return scope(question.text, final_answer(main.text), main.tokens)


def _stop_rule(
    policy: Policy, rule: Rule, found: Findings, action: Action, question: Question
) -> StopRule | None:
    """All evidence is wanted for an explanation, and by a policy that names no error; and only
    samples come one after another."""
    if runs(rule.stage, "no_sampling") or policy.stop_error is None or question.explain:
        return None
    return StopRule(policy.stop_error, foresee(policy, rule, found.uncertainties, action))


async def _main_answer(
    question: Question, engine: Engine, ledger: Ledger, listen: Listener | None
) -> Generation:
    start = ledger.clock()
    try:
        with TimeLimit(ledger.remaining()):
            work = engine.generate(question.prompt, question.options, entropies=True, listen=listen)
            main = await ledger.wait(work)
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before the answer was complete") from error
    ledger.record_main(main, ledger.clock() - start)
    return main


async def _assess(boundary: Boundary, case: Case, rule: Rule, rung: Rung) -> Finding:
    """The boundary's finding; being shed, time running out and every fault are findings too."""
    if not runs(rule.stage, rung):
        return Skipped(DEGRADED)
    left = case.ledger.remaining()
    if left is not None and left <= _takes(rule, case.ledger):
        return Skipped(DEADLINE)
    try:
        if runs(rule.stage, "fluency"):  # free: it waits for nothing
            return await boundary.assess(case)
        with TimeLimit(left):
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


def _takes(rule: Rule, ledger: Ledger) -> float:
    """Seconds that a stage takes at least: the policy's, else an answer's where it draws some."""
    if rule.seconds is not None:
        return rule.seconds
    return 0.0 if runs(rule.stage, "no_sampling") else ledger.main_seconds


def _summary(main: Generation) -> EntropySummary | Missing:
    entropies = main.entropies
    return entropies if isinstance(entropies, Missing) else summarise(entropies)
