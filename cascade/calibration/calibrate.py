"""Labelled answers in, a profile out: fit on some of them, certify on the others.

The order is that of method.md section 6. On the fit split: models of P(wrong), the threshold to aim
at, the exits, the order of stages and the path of thresholds. On the certification split, by
running the cascade as it will run: which thresholds hold. The types keep the order: what certifies
takes what was fitted. Knows no file and no engine; how an answer is judged, it is told.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ucbd.cascade.calibration.certificates import NotCertified, certified_ladder
from ucbd.cascade.calibration.evidence import (
    Evidence,
    gathered,
    measured_stages,
    scores,
    signals,
)
from ucbd.cascade.calibration.fit import LEAST, aim, fit_models, probabilities
from ucbd.cascade.calibration.labelled import FIT_SHARE, check_enough, made_for, volunteered
from ucbd.cascade.calibration.lifecycle import Fitted, HeldOut, Wanted
from ucbd.cascade.calibration.order import RULES, bare, measured_costs, ordered_stages
from ucbd.cascade.calibration.probability import stages_read
from ucbd.cascade.calibration.profile import Calibration, MadeFor, RecordsUsed, RungProfile
from ucbd.cascade.evaluation.ranking import Mask
from ucbd.cascade.evaluation.records import Record
from ucbd.cascade.ladder import LADDER, Rung, runs
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy, digest
from ucbd.models.errors import GatewayError

Run = Callable[[Sequence[Record], Policy, Rung, bool], Awaitable[list[Outcome]]]
"""The cascade on recorded answers: records, policy, rung, whether every stage is to run."""


class NotFitted(GatewayError):
    """Records that nothing can be fitted to, and what they lack."""


@dataclass(frozen=True, slots=True)
class Split:
    """The records to fit to and those to certify on. None is both."""

    fit: tuple[Record, ...]
    certify: tuple[Record, ...]


def split(records: Sequence[Record], seed: int) -> Split:
    """At random; labels that were volunteered are for fitting, all of them.

    Whoever volunteers is not a random draw, so what is certified on it holds for nobody else.
    """
    order = np.random.default_rng(seed).permutation(len(records))
    drawn = [records[i] for i in order if not volunteered(records[i])]
    fed_back = [record for record in records if volunteered(record)]
    fitted = int(FIT_SHARE * len(drawn))
    return Split(fit=(*drawn[:fitted], *fed_back), certify=tuple(drawn[fitted:]))


async def calibrated(
    records: Sequence[Record],
    base: Policy,
    run: Run,
    wanted: Wanted,
    *,
    files: Sequence[str] = (),
    seed: int = 0,
) -> Policy:
    """A profile from labelled answers of one model; ``base`` names its stages, samples and scope.

    Raises ``NotFitted``, ``NotCertified`` and, before anything is fitted, ``RecordsUnreadable``.
    """
    check_enough(records, wanted.alpha, wanted.delta)
    halves = split(records, seed)
    used = RecordsUsed(
        files=tuple(files), fitted=len(halves.fit), certified=len(halves.certify), seed=seed
    )
    fitted = await fit(halves, base, run, wanted, made_for(records), used)
    return await certified(fitted, halves, run, wanted)


async def fit(
    halves: Split, base: Policy, run: Run, wanted: Wanted, origin: MadeFor, used: RecordsUsed
) -> Fitted:
    """Everything that may look at labels, from the fit split.

    Raises ``NotFitted`` where no set of evidence has enough right and wrong answers, and
    ``NotCertified`` where no stage's doubt is higher for the wrong ones.
    """
    wrong = np.array([not record.correct for record in halves.fit])
    outcomes = await run(halves.fit, bare(base), "all", True)
    evidence = gathered(outcomes, wrong)
    models = fit_models(evidence)
    if not models:
        raise _nothing_fitted(wrong)
    u = np.where(evidence.refused, np.inf, probabilities(evidence, models, evidence.stages))
    same_as = _same_rungs(evidence)
    found = aim(u, wrong, wanted.alpha, wanted.delta / len(set(same_as.values())))
    target = wanted.alpha if found is None else found
    read = stages_read(models)
    calibration = Calibration(
        schema=1,
        created=date.today(),
        alpha=wanted.alpha,
        delta=wanted.delta,
        made_for=origin.model_copy(
            update={
                "signals": _one_signal_each(outcomes, read),
                "measured": measured_stages(evidence),
            }
        ),
        records=used,
        costs=measured_costs(outcomes),
        models=models,
        ladder={},
        aim=target,
    )
    policy = base.model_copy(
        update={
            "stages": ordered_stages(base, evidence, calibration, u),
            "threshold": target,
            "calibration": calibration,
        }
    )
    found_by_rung = {
        rung: scores(await run(halves.fit, policy, rung, False))
        for rung in dict.fromkeys(same_as.values())
    }
    return Fitted(policy, found_by_rung, wrong, same_as)


async def certified(fitted: Fitted, halves: Split, run: Run, wanted: Wanted) -> Policy:
    """The profile: each rung's loosest threshold that holds on the certification split.

    Raises ``NotCertified`` where not even all stages together hold it.
    """
    held_out = HeldOut(
        scores={
            rung: scores(await run(halves.certify, fitted.policy, rung, False))
            for rung in fitted.scores
        },
        wrong=np.array([not record.correct for record in halves.certify]),
        groups=_groups(halves.certify) if wanted.groups else {},
    )
    return _with_ladder(fitted.policy, certified_ladder(fitted, held_out, wanted))


def _with_ladder(policy: Policy, ladder: Mapping[Rung, RungProfile]) -> Policy:
    """The finished profile, with its id."""
    assert policy.calibration is not None  # noqa: S101 - what was fitted has one
    calibration = policy.calibration.model_copy(update={"ladder": dict(ladder)})
    whole = policy.model_copy(
        update={"threshold": ladder["all"].threshold, "calibration": calibration}
    )
    named = calibration.model_copy(update={"id": digest(whole)})
    return whole.model_copy(update={"calibration": named})


def _nothing_fitted(wrong: Mask) -> GatewayError:
    bad = int(wrong.sum())
    told = f"of the {len(wrong)} answers of the fit split {bad} are wrong"
    if min(bad, len(wrong) - bad) < LEAST:
        return NotFitted(f"{told}: {LEAST} right and {LEAST} wrong ones are needed to fit anything")
    return NotCertified(
        f"{told}, and no stage that was measured doubts them more than the right ones: nothing "
        "here tells wrong answers from right ones, so no error rate but their own can be held"
    )


def _same_rungs(evidence: Evidence) -> dict[Rung, Rung]:
    """For each rung the first that runs the same stages, of those that measured anything."""
    measured = measured_stages(evidence)
    sets = {rung: [stage for stage in measured if runs(stage, rung)] for rung in LADDER}
    return {rung: next(one for one in LADDER if sets[one] == sets[rung]) for rung in LADDER}


def _one_signal_each(outcomes: Sequence[Outcome], read: set[str]) -> dict[str, str]:
    """The signal of each stage that a model reads, and of each rule that looked at all in one way.

    Raises ``NotFitted`` where a model would read several.
    """
    found = {}
    for rule in RULES:
        seen = {stage.signal for one in outcomes for stage in one.stages if stage.name == rule}
        (signal, *others) = seen or {None}
        if signal is not None and not others:
            found[rule] = signal
    for stage, names in signals(outcomes).items():
        if stage not in read:
            continue
        if len(names) > 1:
            told = " and ".join(sorted(names))
            raise NotFitted(
                f"the records' {stage} is of several kinds ({told}): calibrate them apart"
            )
        found[stage] = next(iter(names))
    return found


def _groups(records: Sequence[Record]) -> dict[str, Mask]:
    """Where each group's records are. Raises ``NotFitted`` for a record without one."""
    for record in records:
        if record.group is None:
            raise NotFitted(
                f"record {record.id!r}: group: has none, and groups are to be certified"
            )
    names = [str(record.group) for record in records]
    return {name: np.array([one == name for one in names]) for name in sorted(set(names))}
