"""The section on the arms: each at every seed, whichever sign, and at equal length and entropy."""

import numpy as np

from ucbd.cascade.alignment_tax.arms import FORM, VALUE, Change, change, verdict
from ucbd.cascade.alignment_tax.chosen import facts, median_of, right_on, scr_by, spread
from ucbd.cascade.alignment_tax.comparisons import (
    EqualEntropy,
    equal_entropy,
    equal_length,
    tempered,
)
from ucbd.cascade.alignment_tax.markdown import (
    NOT_MEASURED,
    NOT_RUN,
    interval,
    number,
    percent,
    percents,
    rated,
    signed,
    table,
)
from ucbd.cascade.alignment_tax.measures import blind_mass, mean
from ucbd.cascade.alignment_tax.runs import ARMS, DEFAULT_ARM, FACTS, PREFERENCES, Run, Runs
from ucbd.cascade.alignment_tax.stages import named
from ucbd.cascade.alignment_tax.sweeps import swept

SHOWN = (VALUE, FORM, "jaccard", "embedding", "combined")
LENGTHS = (VALUE, "jaccard", "embedding")


def rates(runs: Runs) -> str:
    """Single-cluster rates of every arm by value, form and clusterer: median, then each seed."""
    rows = []
    for stage in ("base", "sft", *ARMS):
        found = runs.seeds(stage)
        cells = []
        for clusterer in SHOWN:
            over = spread(found, scr_by(clusterer))
            cells.append(f"{rated(over.middle)}<br>{percents(over.each)}" if over else NOT_RUN)
        rows.append([f"`{stage}`", PREFERENCES.get(stage, ""), str(len(found)), *cells])
    return table(["arm", "what it is", "seeds", *(named(c) for c in SHOWN)], rows)


def company(runs: Runs) -> str:
    """What comes with it: accuracy, length, token entropy, and errors that sampling cannot see."""
    rows = []
    for stage in ("base", "sft", *ARMS):
        run = median_of(runs, stage)
        if not run:
            rows.append([f"`{stage}`", *[NOT_RUN] * 6])
            continue
        found = facts(run)
        over = spread(runs.seeds(stage), right_on(*FACTS))
        rows.append(
            [
                f"`{stage}`",
                rated(over.middle if over else None),
                percents(over.each if over else ()),
                number(mean(found.number("sample_tokens")), 1),
                number(mean(found.number("mean_token_entropy"))),
                rated(blind_mass(found, VALUE)),
                rated(blind_mass(found, "jaccard")),
            ]
        )
    header = [
        "arm",
        "accuracy on facts",
        "each seed, %",
        "tokens of a sample",
        "token entropy, nats",
    ]
    return table([*header, "blind mass by value", "blind mass by jaccard"], rows)


def changes(runs: Runs) -> str:
    """Change of the rates from each seed's own SFT model, in points, and what it amounts to."""
    rows = []
    for arm in ARMS:
        cells = [_changed(change(runs, arm, clusterer)) for clusterer in SHOWN]
        rows.append([f"`{arm}`", *cells, verdict(runs, arm) or NOT_RUN])
    return table(["arm", *(named(c) for c in SHOWN), "collapses"], rows)


def at_equal_length(runs: Runs) -> str:
    """SFT against every arm over the lengths they share, at the median seed."""
    rows = []
    for arm in ARMS:
        run = median_of(runs, arm)
        before = runs.run("sft", run.seed) if run else None
        for clusterer in LENGTHS:
            if not run or not before:
                rows.append([f"`{arm}`", named(clusterer), *[NOT_RUN] * 4])
                continue
            found = equal_length(facts(before), facts(run), clusterer)
            cells = [NOT_MEASURED] * 4
            if found:
                low, high = found.difference.low, found.difference.high
                shift = f"{signed(found.difference.value)} {interval(low, high)}"
                cells = [percent(found.overlap), percent(found.first), percent(found.second), shift]
            rows.append([f"`{arm}`", named(clusterer), *cells])
    header = ["arm", "clusterer", "lengths in common", "SCR of SFT", "SCR of the arm"]
    return table([*header, "difference, points [95 %]"], rows)


def at_equal_entropy(runs: Runs) -> str:
    """The base model cooled to each arm's token entropy, the default arm heated to the base's."""
    rows = []
    targets = [("base", stage) for stage in ("sft", *ARMS)]
    for tempered_stage, target in [*targets, (DEFAULT_ARM, "base")]:
        for clusterer in LENGTHS:
            cells = _sharpened(runs, tempered_stage, target, clusterer)
            rows.append([f"`{tempered_stage}` → `{target}`", named(clusterer), *cells])
    header = ["tempered → target", "clusterer", "token entropy, nats", "at temperature"]
    body = table([*header, "SCR of the tempered", "SCR of the target"], rows)
    return f"{body}\n\n{_read_again(runs)}"


def sharpened(runs: Runs, arm: str, clusterer: str) -> EqualEntropy | None:
    """The base model at an arm's token entropy, beside that arm, at the seed that was swept."""
    sweep, run = _swept_against(runs, "base", arm)
    return equal_entropy(sweep, run, clusterer) if run else None


def _swept_against(runs: Runs, stage: str, target: str) -> tuple[list[Run], Run | None]:
    """A stage at several temperatures, and the target of the same seed."""
    sweep = swept(runs, stage)
    return sweep, runs.run(target, sweep[0].seed) if len(sweep) > 1 else None


def _read_again(runs: Runs) -> str:
    """Whether reading the answers again gives the entropy that was measured while generating."""
    parts = []
    for stage in ("base", DEFAULT_ARM):
        for run in swept(runs, stage):
            curve = tempered(run)
            measured = mean(facts(run).number("mean_token_entropy"))
            if curve and measured is not None:
                read = number(float(np.interp(1.0, *curve)))
                parts.append(f"`{stage}` {read} read again, {number(measured)} while generating")
    if not parts:
        return f"The entropy at other temperatures: {NOT_RUN}."
    return f"Mean token entropy at T = 1 on facts: {'; '.join(parts)}."


def _sharpened(runs: Runs, stage: str, target: str, clusterer: str) -> list[str]:
    sweep, run = _swept_against(runs, stage, target)
    if not run:
        return [NOT_RUN] * 4
    found = equal_entropy(sweep, run, clusterer)
    if not found:
        return [NOT_MEASURED] * 4
    return [
        number(found.entropy),
        number(found.temperature, 2),
        percent(found.first),
        percent(found.second),
    ]


def _changed(found: Change | None) -> str:
    if not found:
        return NOT_RUN
    low, high = found.middle.low, found.middle.high
    each = " · ".join(signed(value) for value in found.each)
    return f"{signed(found.middle.value)} {interval(low, high)}<br>{each}"
