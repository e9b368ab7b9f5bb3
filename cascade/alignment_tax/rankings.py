"""The sections on telling wrong answers: AUROC of signals, blind mass, dependence."""

from collections.abc import Mapping

import numpy as np

from ucbd.cascade.alignment_tax import paper
from ucbd.cascade.alignment_tax.chosen import arithmetic, facts, median_of
from ucbd.cascade.alignment_tax.markdown import (
    NOT_MEASURED,
    NOT_RUN,
    counted,
    number,
    numbers,
    ranked,
    table,
)
from ucbd.cascade.alignment_tax.measures import (
    SIGNALS,
    Ranking,
    area_under,
    blind_mass,
    in_stratum,
    labelled,
    ranking,
    signal,
    wrong_given,
)
from ucbd.cascade.alignment_tax.observations import Floats, Mask, Observations
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, STAGES, Run, Runs
from ucbd.cascade.alignment_tax.stages import SHORT, known_clusterers, named
from ucbd.cascade.evaluation.dependence import ESTIMATOR, dependence

STRATA = ("jaccard", "embedding")


def facts_table(runs: Runs) -> str:
    """Every signal on facts, overall and in the strata of both clusterers, on the DPO stage."""
    run = median_of(runs, DEFAULT_ARM)
    header = ["signal", "all questions", "each seed"]
    header += [f"one cluster by {named(c)}" for c in STRATA]
    header += ["paper, all", "paper, one cluster"]
    rows = []
    for name in SIGNALS:
        theirs = [paper.AUROC_FACTS.get(name, ""), paper.AUROC_STRATUM.get(name, "")]
        if not run:
            rows.append([_called(name), *[NOT_RUN] * (2 + len(STRATA)), *theirs])
            continue
        ours = facts(run)
        each = [area_under(facts(one), name) for one in runs.seeds(DEFAULT_ARM)]
        inside = [ranked(ranking(ours, name, in_stratum(ours, c))) for c in STRATA]
        rows.append([_called(name), ranked(ranking(ours, name)), numbers(each), *inside, *theirs])
    return f"{table(header, rows)}\n\n{_counts(run)}"


def stages_table(runs: Runs) -> str:
    """Mean token entropy per stage, overall and in every clusterer's stratum, with the counts."""
    rows = []
    for stage in STAGES:
        run = median_of(runs, stage)
        for clusterer in (None, *known_clusterers(runs)):
            where = f"one cluster by {named(clusterer)}" if clusterer else "all"
            if not run:
                rows.append([SHORT[stage], where, *[NOT_RUN] * 4])
                continue
            rows.append([SHORT[stage], where, *_token_entropy(runs, run, stage, clusterer)])
    header = ["stage", "facts", "AUROC [95 %]", "each seed", "right", "wrong"]
    return table(header, rows)


def kinds_table(runs: Runs) -> str:
    """Every signal per kind of question, on the DPO stage."""
    run = median_of(runs, DEFAULT_ARM)
    kinds = ("fact", "conflict", "arithmetic", "freshness")
    rows = []
    for name in SIGNALS:
        cells = [ranked(ranking(run.table.of_kind(k), name)) for k in kinds] if run else None
        theirs = paper.AUROC_ARITHMETIC.get(name, "")
        rows.append([_called(name), *(cells or [NOT_RUN] * len(kinds)), theirs])
    if run:
        classes = [_classes(run.table.of_kind(kind)) for kind in kinds]
        rows.append(["*right / wrong*", *classes, ""])
    return table(["signal", *kinds, "paper, GSM8K"], rows)


def blind(runs: Runs) -> str:
    """P(one cluster | wrong), and error rates in and outside of the stratum."""
    rows = []
    for what, part in (("facts", facts), ("arithmetic", arithmetic)):
        for clusterer in known_clusterers(runs):
            for stage in STAGES:
                run = median_of(runs, stage)
                cells = [NOT_RUN] * 3
                if run:
                    found = part(run)
                    cells = [
                        counted(blind_mass(found, clusterer)),
                        counted(wrong_given(found, clusterer, one=True)),
                        counted(wrong_given(found, clusterer, one=False)),
                    ]
                rows.append([what, named(clusterer), SHORT[stage], *cells])
    header = ["questions", "clusterer", "stage", "blind mass: P(one \\| wrong)"]
    body = table([*header, "P(wrong \\| one)", "P(wrong \\| several)"], rows)
    return f"{body}\n\nOn recordings of real models: {paper.BLIND_MASS}."


def depend(runs: Runs) -> str:
    """Pairwise r above the diagonal, mutual information in bits below it, on the DPO stage."""
    run = median_of(runs, DEFAULT_ARM)
    parts = []
    for what, part in (("Facts", facts), ("Arithmetic", arithmetic)):
        columns = _columns(part(run)) if run else {}
        body = _matrix(columns) if len(columns) > 1 else NOT_RUN
        parts.append(f"{what}:\n\n{body}")
    notes = f"Mutual information: {ESTIMATOR}. The paper's boundaries: {paper.DEPENDENCE}."
    return "\n\n".join([*parts, notes])


def _matrix(columns: Mapping[str, Floats]) -> str:
    names = list(columns)
    rows = []
    for i, one in enumerate(names):
        cells = []
        for j, other in enumerate(names):
            if i == j:
                cells.append("·")
                continue
            found = dependence(columns[one], columns[other])
            cells.append(number(found.r if i < j else found.mutual_information, 2))
        rows.append([_called(one), *cells])
    return table(["r above, bits below", *(_called(name) for name in names)], rows)


def _columns(found: Observations) -> dict[str, Floats]:
    """The signals that were measured; of the cascade's score they are the ingredients."""
    every = {name: signal(found, name) for name in SIGNALS if name != "cascade"}
    return {name: column for name, column in every.items() if np.isfinite(column).any()}


def _token_entropy(runs: Runs, run: Run, stage: str, clusterer: str | None) -> list[str]:
    def area(one: Run) -> float | None:
        found = facts(one)
        return area_under(found, "mean_token_entropy", _inside(found, clusterer))

    found = facts(run)
    within = _inside(found, clusterer)
    _, wrong = labelled(found, "mean_token_entropy", within)
    result: Ranking | None = ranking(found, "mean_token_entropy", within)
    each = numbers([area(one) for one in runs.seeds(stage)])
    return [ranked(result), each, f"{int((~wrong).sum()):,}", f"{int(wrong.sum()):,}"]


def _inside(found: Observations, clusterer: str | None) -> Mask | None:
    return in_stratum(found, clusterer) if clusterer else None


def _counts(run: Run | None) -> str:
    if not run:
        return f"Right and wrong answers in the strata: {NOT_RUN}."
    found = facts(run)
    parts = [f"all {_classes(found)}"]
    parts += [
        f"one cluster by {named(c)} {_classes(found.where(in_stratum(found, c)))}" for c in STRATA
    ]
    return f"Right / wrong: {'; '.join(parts)} (seed {run.seed})."


def _classes(found: Observations) -> str:
    correct = found.number("correct")
    if not np.isfinite(correct).any():
        return NOT_MEASURED
    return f"{int((correct == 1).sum()):,} / {int((correct == 0).sum()):,}"


def _called(name: str) -> str:
    return f"`{name}`"
