"""What the runs say, in sentences that are worked out from them, whichever way they turn out.

Nothing here knows what ought to come out: every verb hangs on a sign or an interval.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ucbd.cascade.alignment_tax.aims import aims
from ucbd.cascade.alignment_tax.arms import FORM, VALUE, change, verdict
from ucbd.cascade.alignment_tax.arms_tables import sharpened
from ucbd.cascade.alignment_tax.chosen import facts, median_of, scr
from ucbd.cascade.alignment_tax.markdown import (
    NOT_RUN,
    interval,
    listed,
    percent,
    ranked,
    signed,
)
from ucbd.cascade.alignment_tax.measures import in_stratum, mean, ranking
from ucbd.cascade.alignment_tax.runs import ARMS, DEFAULT_ARM, STAGES, Runs
from ucbd.cascade.alignment_tax.stages import known_clusterers, named

DOSES = ("correct", "typical-0.3", "typical-1")
ALPHAS = "α = 0, 0.3, 1"
MEASURED_BY = (VALUE, FORM, "jaccard", "embedding")
ASKED_OF_STAGES = ("nli", "combined")
"""Clusterers that the stages may have beside, and arms need not."""


def findings(runs: Runs) -> str:
    """The findings as a list."""
    if not runs.all:
        return f"- Nothing yet: {NOT_RUN}."
    return "\n".join(f"- {line}" for line in _lines(runs))


def _lines(runs: Runs) -> Iterator[str]:
    yield _stages(runs)
    yield _doses(runs)
    yield from _collapses(runs)
    yield _objective(runs)
    yield _sharpening(runs)
    yield _token_entropy(runs)
    yield _aims(runs)


def _stages(runs: Runs) -> str:
    parts = []
    others = [name for name in ASKED_OF_STAGES if name in known_clusterers(runs)]
    for clusterer in (*MEASURED_BY, *others):
        steps = " → ".join(_value(runs, stage, clusterer) for stage in STAGES)
        parts.append(f"{steps} by {named(clusterer)} ({_rises(runs, STAGES, clusterer)})")
    return "**Over the stages** base → SFT → DPO the single-cluster rate on facts goes " + (
        "; ".join(parts) + "."
    )


def _doses(runs: Runs) -> str:
    if not any(runs.seeds(stage) for stage in DOSES):
        return f"**Over the dose of typicality** ({ALPHAS}): {NOT_RUN}."
    parts = []
    for clusterer in MEASURED_BY:
        steps = " → ".join(_value(runs, stage, clusterer) for stage in DOSES)
        parts.append(f"{steps} by {named(clusterer)} ({_rises(runs, DOSES, clusterer)})")
    return f"**Over the dose of typicality** ({ALPHAS}) it goes {'; '.join(parts)}."


def _collapses(runs: Runs) -> Iterator[str]:
    """Arms by what they collapse, from their own SFT model."""
    groups: dict[str, list[str]] = {}
    for arm in ARMS:
        groups.setdefault(verdict(runs, arm) or NOT_RUN, []).append(f"`{arm}`")
    yield (
        "**Value or form.** An arm collapses values (form) when the single-cluster rate by the "
        "oracle (by the exact string) rises from its own SFT model at every seed, with an interval "
        "above 0 at the median seed. By that: "
        + "; ".join(f"{what}: {listed(names)}" for what, names in sorted(groups.items()))
        + "."
    )
    moved = [
        (found.middle.value, arm, found) for arm in ARMS if (found := change(runs, arm, VALUE))
    ]
    if moved:
        _, arm, most = max(moved, key=lambda one: one[0])
        _, other, least = min(moved, key=lambda one: one[0])
        yield (
            f"The largest change of the rate by value from SFT is that of `{arm}`, "
            f"{signed(most.middle.value)} points {interval(most.middle.low, most.middle.high)}; "
            f"the smallest, or the largest fall, that of `{other}`, "
            f"{signed(least.middle.value)} points "
            f"{interval(least.middle.low, least.middle.high)}."
        )


def _objective(runs: Runs) -> str:
    """The default arm against SFT on the very answers it chose."""
    text = "**Objective or data.** DPO against SFT on exactly its chosen answers"
    parts = []
    for clusterer in MEASURED_BY:
        ours, theirs = (
            change(runs, DEFAULT_ARM, clusterer),
            change(runs, "sft-on-chosen", clusterer),
        )
        if ours and theirs:
            parts.append(
                f"{signed(ours.middle.value)} against {signed(theirs.middle.value)} points by "
                f"{named(clusterer)}"
            )
    if not parts:
        return f"{text}: {NOT_RUN}."
    return f"{text}, change of the rate from SFT: {'; '.join(parts)}."


def _sharpening(runs: Runs) -> str:
    text = "**Sharpening or collapse.** The base model cooled to the DPO model's token entropy"
    parts = []
    for clusterer in (VALUE, "jaccard", "embedding"):
        found = sharpened(runs, DEFAULT_ARM, clusterer)
        if found:
            parts.append(
                f"{percent(found.first)} against {percent(found.second)} by {named(clusterer)} "
                f"(T = {found.temperature:.2f})"
            )
    if not parts:
        return f"{text}: {NOT_RUN}, or out of the temperatures measured."
    return f"{text} has single-cluster rates of {'; '.join(parts)} for DPO at T = 1."


def _token_entropy(runs: Runs) -> str:
    text = "**Where sampling is blind.**"
    run = median_of(runs, DEFAULT_ARM)
    if not run:
        return f"{text} {NOT_RUN}."
    found = facts(run)
    parts = []
    for clusterer in ("jaccard", "embedding", VALUE):
        ours = ranking(found, "mean_token_entropy", in_stratum(found, clusterer))
        if ours:
            ranks = (
                "ranks wrong answers above right ones"
                if ours.low > 0.5
                else "ranks them the wrong way round"
                if ours.high < 0.5
                else "cannot be told from chance"
            )
            parts.append(
                f"one cluster by {named(clusterer)}: {ranked(ours)}, {ranks} "
                f"({ours.n - ours.wrong:,} right, {ours.wrong:,} wrong)"
            )
    base = median_of(runs, "base")
    first = mean(facts(base).number("mean_token_entropy")) if base else None
    last = mean(found.number("mean_token_entropy"))
    kept = f" Of the base model's, DPO keeps {percent(last / first)}." if first and last else ""
    return (
        f"{text} On facts of the DPO stage, where semantic entropy by the same clusterer has an "
        f"AUROC of 0.500 by construction, token entropy has: {'; '.join(parts) or NOT_RUN}.{kept}"
    )


def _aims(runs: Runs) -> str:
    known = [aim for aim in aims(runs) if aim.met is not None]
    missed = [aim.text for aim in known if not aim.met]
    rest = len(aims(runs)) - len(known)
    return (
        f"**Aims.** {len(known) - len(missed)} of {len(known)} measured aims are met"
        + (f"; {rest} could not be measured" if rest else "")
        + (f". Missed: {'; '.join(missed)}." if missed else ".")
    )


def _value(runs: Runs, stage: str, clusterer: str) -> str:
    run = median_of(runs, stage)
    return percent(found.value) if run and (found := scr(run, clusterer)) else NOT_RUN


def _rises(runs: Runs, stages: Sequence[str], clusterer: str) -> str:
    """In how many seeds the rate rises at every step."""
    rising = whole = 0
    for seed in sorted({run.seed for stage in stages for run in runs.seeds(stage)}):
        found = [runs.run(stage, seed) for stage in stages]
        rates = [scr(run, clusterer) for run in found if run]
        values = [rate.value for rate in rates if rate]
        if len(values) == len(stages):
            whole += 1
            rising += all(a < b for a, b in pairwise(values))
    return f"rising at every step at {rising} of {whole} seeds"
