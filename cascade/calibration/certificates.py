"""Which rungs of the ladder hold the error rate, and what it would take where none does.

One path of thresholds for each set of stages, δ divided among them and among groups. Runs nothing:
how the cascade found the held-out records, it is told.
"""

import math

from ucbd.cascade.calibration.certify import Path, Tested, at, certify, path, records_needed
from ucbd.cascade.calibration.fit import aim
from ucbd.cascade.calibration.labelled import FIT_SHARE
from ucbd.cascade.calibration.lifecycle import Fitted, HeldOut, Wanted
from ucbd.cascade.calibration.profile import Certificate, RungProfile
from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.ladder import LADDER, Rung
from ucbd.models.errors import GatewayError


class NotCertified(GatewayError):
    """Records that do not certify the error rate, and what it would take."""


def certified_ladder(fitted: Fitted, held_out: HeldOut, wanted: Wanted) -> dict[Rung, RungProfile]:
    """Every rung, certified or not. δ is divided among the rungs that differ, and among groups.

    Raises ``NotCertified`` where not even all stages together hold it.
    """
    delta = wanted.delta / len(held_out.scores) / len(held_out.parts)
    ladder: dict[Rung, RungProfile] = {}
    for rung, found in held_out.scores.items():
        thresholds = {
            name: _certified(fitted, rung, found[mask], held_out.wrong[mask], wanted.alpha, delta)
            for name, mask in held_out.parts.items()
        }
        missing = [name for name, threshold in thresholds.items() if threshold is None]
        if missing and rung == "all":
            raise _not_certified(fitted, wanted, delta, held_out, missing[0])
        strictest = None if missing else min(t for t in thresholds.values() if t is not None)
        ladder[rung] = _rung(fitted, rung, held_out, strictest, wanted)
    return {rung: ladder[fitted.same_as[rung]] for rung in LADDER}


def _certified(
    fitted: Fitted, rung: Rung, found: Floats, wrong: Mask, alpha: float, delta: float
) -> float | None:
    tried = path(fitted.scores[rung], fitted.wrong, alpha, delta, len(wrong))
    tested = certify(tried, found, wrong, alpha, delta)
    return None if tested is None else tested.threshold


def _rung(
    fitted: Fitted, rung: Rung, held_out: HeldOut, threshold: float | None, wanted: Wanted
) -> RungProfile:
    """With what the threshold showed; without one the fitted one, and no certificate."""
    if threshold is None:
        aimed = aim(fitted.scores[rung], fitted.wrong, wanted.alpha, wanted.delta)
        return RungProfile(
            threshold=fitted.policy.threshold if aimed is None else aimed, certificate=None
        )
    found, wrong = held_out.scores[rung], held_out.wrong
    return RungProfile(
        threshold=threshold,
        certificate=_certificate(at(threshold, found, wrong), wanted.alpha),
        groups={
            name: _certificate(at(threshold, found[mask], wrong[mask]), wanted.alpha)
            for name, mask in held_out.groups.items()
        },
    )


def _certificate(one: Tested, alpha: float) -> Certificate:
    return Certificate(
        risk_upper=alpha,
        coverage=one.coverage,
        records=one.records,
        answered=one.answered,
        wrong=one.wrong,
    )


def _not_certified(
    fitted: Fitted, wanted: Wanted, delta: float, held_out: HeldOut, group: str
) -> NotCertified:
    """What is in the way, and about how many records it would take."""
    found, wrong = fitted.scores["all"], fitted.wrong
    tried = path(found, wrong, wanted.alpha, delta, 10**9)
    needed = records_needed(tried, found, wrong, wanted.alpha, delta)
    where = f" in the group {group!r}" if group else ""
    told = f"an error rate of {wanted.alpha:g} cannot be certified at confidence "
    told += f"{1 - wanted.delta:g}{where} with {int(held_out.parts[group].sum())} held-out records"
    if needed is None:
        return NotCertified(
            f"{told}: {_surest(tried, found, wrong)}, and nothing says that more records of this "
            "kind would do; a larger α, or another model, might"
        )
    total = math.ceil(needed * len(held_out.parts) / (1 - FIT_SHARE))
    return NotCertified(f"{told}; it would take about {total:,} labelled records like these")


def _surest(tried: Path, found: Floats, wrong: Mask) -> str:
    """The lowest error rate that any threshold suggests."""
    tested = [one for t in tried.thresholds if (one := at(t, found, wrong)).answered]
    if not tested:
        return "nothing can be answered at all"
    best = min(tested, key=lambda one: one.likely_risk)
    return (
        f"the lowest rate that any threshold suggests is about {best.likely_risk:.1%} "
        f"({best.wrong} wrong of the surest {best.answered}, among those fitted to)"
    )
