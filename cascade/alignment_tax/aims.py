"""What was aimed at before any of it was measured, and whether it was met, at the median seed.

The aims are those of the project's plan, word for word in their numbers. A missed aim is a result
and is printed as missed; nothing here may be moved to meet one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ucbd.cascade.alignment_tax.chosen import arithmetic, facts, median_of, scr
from ucbd.cascade.alignment_tax.markdown import NOT_RUN, percent, ranked, rated, signed, table
from ucbd.cascade.alignment_tax.measures import accuracy, in_stratum, ranking
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, Run, Runs
from ucbd.cascade.alignment_tax.stages import named
from ucbd.cascade.alignment_tax.sums import selected

QUESTIONS = 2000
CLASS = 80
BASE_SCR = 0.05
NEAR = 0.05
DPO_SCR = (0.25, 0.80)
LOSS = 0.05
STRATUM = 0.60
SUMS_ACCURACY = (0.40, 0.85)
SUMS = 0.72
HALF = 0.08

CLUSTERERS = ("jaccard", "embedding")


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim, what came out, and whether that meets it; None where it could not be measured."""

    text: str
    found: str
    met: bool | None


def aims(runs: Runs) -> list[Aim]:
    """Every aim, in the order of the plan."""
    base, sft, dpo = (median_of(runs, stage) for stage in ("base", "sft", DEFAULT_ARM))
    found = [_questions(dpo)]
    for clusterer in CLUSTERERS:
        found += _rates(base, sft, dpo, clusterer)
    found += [_loss(sft, dpo, "SFT"), _loss(base, dpo, "base")]
    for clusterer in CLUSTERERS:
        found += _stratum(dpo, clusterer)
    return [*found, *_arithmetic(dpo)]


def as_table(runs: Runs) -> str:
    """The aims as a table."""
    verdicts = {True: "met", False: "**missed**", None: NOT_RUN}
    return table(
        ["aim", "found", ""], [[aim.text, aim.found, verdicts[aim.met]] for aim in aims(runs)]
    )


def _questions(dpo: Run | None) -> Aim:
    n = len(facts(dpo)) if dpo else None
    return Aim(
        f"at least {QUESTIONS:,} questions about facts",
        NOT_RUN if n is None else f"{n:,}",
        None if n is None else n >= QUESTIONS,
    )


def _rates(base: Run | None, sft: Run | None, dpo: Run | None, clusterer: str) -> Iterator[Aim]:
    first, second, last = (scr(run, clusterer) if run else None for run in (base, sft, dpo))
    by = f"SCR by {named(clusterer)}"
    yield Aim(
        f"{by}, base: at most {percent(BASE_SCR)}",
        rated(first) if first else NOT_RUN,
        first.value <= BASE_SCR if first else None,
    )
    near = first and second and abs(second.value - first.value) <= NEAR
    yield Aim(
        f"{by}, SFT: near it (we take: within {100 * NEAR:.0f} points)",
        rated(second) if second else NOT_RUN,
        bool(near) if first and second else None,
    )
    yield Aim(
        f"{by}, DPO: {percent(DPO_SCR[0])} to {percent(DPO_SCR[1])}",
        rated(last) if last else NOT_RUN,
        DPO_SCR[0] <= last.value <= DPO_SCR[1] if last else None,
    )


def _loss(before: Run | None, dpo: Run | None, name: str) -> Aim:
    one = accuracy(facts(before)) if before else None
    other = accuracy(facts(dpo)) if dpo else None
    text = f"accuracy on facts, {name} → DPO: at most {100 * LOSS:.0f} points lost"
    if not one or not other:
        return Aim(text, NOT_RUN, None)
    change = other.value - one.value
    found = f"{percent(one.value)} → {percent(other.value)}, {signed(change)} points"
    return Aim(text, found, change >= -LOSS)


def _stratum(dpo: Run | None, clusterer: str) -> Iterator[Aim]:
    where = f"facts with one cluster by {named(clusterer)}"
    inside = facts(dpo).where(in_stratum(facts(dpo), clusterer)) if dpo else None
    correct = inside.number("correct") if inside else None
    right = int((correct == 1).sum()) if correct is not None else 0
    wrong = int((correct == 0).sum()) if correct is not None else 0
    yield Aim(
        f"{where}: at least {CLASS} right and {CLASS} wrong",
        f"{right:,} right, {wrong:,} wrong" if dpo else NOT_RUN,
        min(right, wrong) >= CLASS if dpo else None,
    )
    found = ranking(inside, "mean_token_entropy") if inside else None
    text = f"{where}: AUROC of token entropy at least {STRATUM:.2f}, its interval above 0.5"
    if not found:
        yield Aim(text, "one class only" if dpo else NOT_RUN, False if dpo else None)
        return
    yield Aim(text, ranked(found), found.value >= STRATUM and found.low > 0.5)


def _arithmetic(dpo: Run | None) -> Iterator[Aim]:
    found = arithmetic(dpo) if dpo else None
    right = accuracy(found) if found else None
    low, high = SUMS_ACCURACY
    yield Aim(
        f"arithmetic: accuracy {percent(low)} to {percent(high)}",
        rated(right) if right else NOT_RUN,
        low <= right.value <= high if right else None,
    )
    area = ranking(found, "mean_token_entropy") if found else None
    yield Aim(
        f"arithmetic: AUROC of token entropy at least {SUMS:.2f}",
        ranked(area) if area else NOT_RUN,
        area.value >= SUMS if area else None,
    )
    half = selected(found, "mean_token_entropy", [0.5])[0] if found else None
    text = f"arithmetic: accuracy at 50 % coverage at least {100 * HALF:.0f} points above all"
    if half is None or not right:
        yield Aim(text, NOT_RUN, None)
        return
    change = f"{percent(right.value)} → {percent(half)}, {signed(half - right.value)} points"
    yield Aim(text, change, half - right.value >= HALF)
