"""What a profile promises of one request: its certificate, or why it has none.

A certificate belongs to what ran: to a rung, to answers drawn in one way, to that evidence.
Certifies nothing itself.
"""

from ucbd.cascade.case import Question
from ucbd.cascade.findings import DEADLINE, DECIDED, Findings
from ucbd.cascade.ladder import Rung, runs
from ucbd.cascade.outcome import Bound
from ucbd.cascade.policy import Policy
from ucbd.models.generation import Missing


def bound(policy: Policy, question: Question, rung: Rung, found: Findings) -> Bound | Missing:
    """What the policy promises of requests decided like this one.

    A certificate belongs to what ran: to that rung, to answers drawn that way, to that found.
    """
    if policy.calibration is None:
        return Missing("the policy is not calibrated")
    if question.options.temperature or question.options.top_p != 1:
        return Missing("it was certified for greedy answers, with top_p 1")
    if question.raw or question.options.json_schema is not None:
        return Missing("it was certified for messages, answered freely")
    if question.explain:
        return Missing("an explanation runs more than what was certified")
    ran = certified_rung(question, rung)
    samples = runs("sampling", ran) and any(rule.stage == "sampling" for rule in policy.stages)
    if samples and question.samples != policy.samples:
        return Missing(f"it was certified with up to {policy.samples} samples")
    if samples and policy.clusterer not in (None, question.clusterer):
        return Missing(f"it was certified with the clusterer {policy.clusterer!r}")
    if found.samples and found.samples.lost:
        drawn, planned = found.samples.drawn, found.samples.planned
        return Missing(f"it was certified with all of {planned} samples, and {drawn} were usable")
    for stage in found.stages:
        if stage.uncertainty is not None and stage.name not in policy.calibration.made_for.measured:
            return Missing(f"it was certified on records of which {stage.name} said nothing")
        made = policy.calibration.made_for.signals.get(stage.name)
        depends = made is not None or policy.calibration.reads(stage.name)
        if not depends or stage.reason == DECIDED:
            continue
        if stage.outcome == "unavailable" or stage.reason == DEADLINE:
            return Missing(f"it was certified with {stage.name}, which failed: {stage.reason}")
        if made is not None and stage.signal not in (None, made):
            return Missing(f"it was certified with {made}, and this is {stage.signal}")
    if found.out_of_scope and found.combined(policy) is None:
        return Missing(f"nothing is certified of answers of this kind: {found.out_of_scope}")
    return policy.calibration.bound(ran)


def certified_rung(question: Question, rung: Rung) -> Rung:
    """The rung that certificates know it by: without samples it is the one that has none."""
    return "no_sampling" if question.samples == 0 and rung == "all" else rung
