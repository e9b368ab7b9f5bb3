"""The section on arithmetic: answering only the surest, and what entropy knows beyond length."""

from collections.abc import Sequence

from ucbd.cascade.alignment_tax import paper
from ucbd.cascade.alignment_tax.chosen import arithmetic, median_of
from ucbd.cascade.alignment_tax.length import gain, length, strata, within_strata
from ucbd.cascade.alignment_tax.markdown import (
    NOT_MEASURED,
    NOT_RUN,
    number,
    numbers,
    percent,
    probability,
    ranked,
    table,
)
from ucbd.cascade.alignment_tax.measures import (
    accuracy,
    area_under,
    labelled,
    ranking,
)
from ucbd.cascade.alignment_tax.observations import Observations
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, STAGES, Runs
from ucbd.cascade.alignment_tax.stages import SHORT
from ucbd.cascade.evaluation.ranking import accuracy_at

COVERAGES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
RANKED_BY = (
    "mean_token_entropy",
    "max_token_entropy",
    "std_token_entropy",
    "p_true",
    "answer_length",
    "semantic_entropy:jaccard",
    "semantic_entropy:embedding",
    "semantic_entropy:oracle",
)
BEYOND = {
    "answer length": ("answer_tokens",),
    "steps of the problem": ("steps",),
    "both": ("answer_tokens", "steps"),
}


def selected(
    found: Observations, name: str, coverages: Sequence[float] = COVERAGES
) -> list[float | None]:
    """Accuracy of the least uncertain answers by a signal, at each coverage.

    None where the signal was not measured, or where the share is not one whole answer.
    """
    return accuracy_at(*labelled(found, name), coverages)


def selective(runs: Runs) -> str:
    """Accuracy against coverage on arithmetic, on the DPO stage at the median seed."""
    run = median_of(runs, DEFAULT_ARM)
    rows = []
    for name in RANKED_BY:
        cells = [NOT_RUN] * len(COVERAGES)
        if run:
            cells = [percent(share) for share in selected(arithmetic(run), name)]
        rows.append([f"`{name}`", *cells])
    header = ["ranked by", *(f"{100 * c:.0f} %" for c in COVERAGES)]
    return (
        f"{table(header, rows)}\n\nThe paper's, by mean token entropy at 50 %: {paper.SELECTIVE}."
    )


def by_length(runs: Runs) -> str:
    """AUROC on arithmetic, overall and among answers or problems of like length."""
    rows = []
    for stage in STAGES:
        run = median_of(runs, stage)
        for name in ("mean_token_entropy", "max_token_entropy", "std_token_entropy", "p_true"):
            if not run:
                rows.append([SHORT[stage], f"`{name}`", *[NOT_RUN] * 4])
                continue
            found = arithmetic(run)
            each = [area_under(arithmetic(one), name) for one in runs.seeds(stage)]
            cells = [_within(found, name, by) for by in ("answer_tokens", "steps")]
            rows.append(
                [SHORT[stage], f"`{name}`", ranked(ranking(found, name)), numbers(each), *cells]
            )
    header = ["stage", "signal", "AUROC, all", "each seed", "within answer length"]
    return table([*header, "within steps of the problem"], rows)


def each_stratum(runs: Runs) -> str:
    """Accuracy and AUROC of mean token entropy in every stratum of length, on the DPO stage."""
    run = median_of(runs, DEFAULT_ARM)
    if not run:
        return NOT_RUN
    found = arithmetic(run)
    rows = []
    for what, name in (("tokens of the answer", "answer_tokens"), ("steps", "steps")):
        lengths = length(found, name)
        of = strata(lengths)
        for stratum in sorted(set(of.tolist()) - {-1}):
            inside = of == stratum
            low, high = lengths[inside].min(), lengths[inside].max()
            span = f"{low:g}" if low == high else f"{low:g}–{high:g}"
            share = accuracy(found.where(inside))
            area = ranked(ranking(found, "mean_token_entropy", inside))
            right = percent(share.value) if share else NOT_MEASURED
            rows.append([what, span, str(int(inside.sum())), right, area])
    return table(["stratum", "length", "questions", "right", "AUROC of mean token entropy"], rows)


def beyond(runs: Runs) -> str:
    """The gain of mean token entropy over length alone, by nested logistic models."""
    rows = []
    for stage in STAGES:
        run = median_of(runs, stage)
        for what, names in BEYOND.items():
            found = gain(arithmetic(run), "mean_token_entropy", names) if run else None
            if not found:
                rows.append([SHORT[stage], what, *[NOT_MEASURED if run else NOT_RUN] * 5])
                continue
            change = f"{found.gain:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
            areas = [number(found.length_alone), number(found.with_signal), change]
            counts = f"{found.n - found.wrong} / {found.wrong}"
            rows.append([SHORT[stage], what, *areas, probability(found.p), counts])
    header = ["stage", "length", "AUROC, length alone", "with token entropy", "gain [95 %]"]
    return table([*header, "p, likelihood ratio", "right / wrong"], rows)


def _within(found: Observations, name: str, by: str) -> str:
    inside = within_strata(found, name, length(found, by))
    if not inside:
        return NOT_MEASURED
    return f"{inside.value:.3f} [{inside.low:.3f}, {inside.high:.3f}]"
