"""The stages of a profile: rules, then cheapest first, with exits before each that costs something.

Costs are those that the records showed, frozen in the profile: a certified policy must not change
its order with the weather.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from ucbd.cascade.calibration.evidence import Evidence
from ucbd.cascade.calibration.fit import Exits, exits, probabilities
from ucbd.cascade.calibration.profile import Calibration, StageCost
from ucbd.cascade.evaluation.ranking import Floats
from ucbd.cascade.ladder import runs
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy, Rule

RULES = frozenset({"freshness", "grounding"})
"""Stages that read the world and not the model: their ``fire`` is kept as it is."""


def bare(base: Policy) -> Policy:
    """The stages alone: nothing ends the cascade but the rules."""
    stages = tuple(
        Rule(stage=rule.stage, fire=rule.fire if rule.stage in RULES else None)
        for rule in base.stages
    )
    return base.model_copy(update={"stages": stages, "threshold": 1.0, "calibration": None})


def measured_costs(outcomes: Sequence[Outcome]) -> dict[str, StageCost]:
    """Each stage's, where it was asked: mean tokens, and the order of magnitude of its time.

    The time's digits are the machine's weather.
    """
    found = {}
    for place, stage in enumerate(outcomes[0].stages):
        asked = [one.stages[place] for one in outcomes if one.stages[place].outcome != "skipped"]
        if asked:
            tokens = math.fsum(one.cost or 0.0 for one in asked) / len(asked)
            seconds = max(median(one.seconds for one in asked), 1e-9)
            magnitude = 10.0 ** math.floor(math.log10(seconds))
            found[stage.name] = StageCost(tokens=round(tokens, 2), seconds=magnitude)
    return found


def ordered_stages(
    base: Policy,
    evidence: Evidence,
    calibration: Calibration,
    u: Floats,
) -> tuple[Rule, ...]:
    """The rules, cheapest first, with the exits before each stage that costs something.

    ``u`` (n,) is P(wrong) by all stages together, of the records that ``evidence`` is about.
    """
    ordered = sorted(base.stages, key=lambda rule: _rank(rule.stage, calibration.costs))
    stands = u <= calibration.aim
    rules = []
    for place, rule in enumerate(ordered):
        later = ordered[place + 1 :]
        found = Exits(None, None)
        if later and not runs(later[0].stage, "fluency"):
            upto = [one.stage for one in ordered[: place + 1]]
            early = probabilities(evidence, calibration.models, upto)
            early[evidence.unasked] = np.nan
            found = exits(early, stands, base.stop_error or 0.0)
        fire = rule.fire if rule.stage in RULES else None
        rules.append(Rule(stage=rule.stage, fire=fire, accept=found.accept, high=found.high))
    return tuple(rules)


def _rank(stage: str, costs: Mapping[str, StageCost]) -> tuple[float, float]:
    """Tokens first, then time; a stage that was never asked comes last.

    Rules stand before all: they cost nothing where they have nothing to say, and whoever sends
    evidence wants the answer held against it.
    """
    if stage in RULES:
        return -1.0, 0.0
    found = costs.get(stage)
    return (math.inf, 0.0) if found is None else (found.tokens, found.seconds)
