"""The sections on what an SCR depends on: temperature, N, threshold, family, scale, embedder."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

from ucbd.cascade.alignment_tax import paper
from ucbd.cascade.alignment_tax.chosen import facts, median_of, right_on, scr, scr_by, spread
from ucbd.cascade.alignment_tax.markdown import (
    NOT_MEASURED,
    NOT_RUN,
    number,
    percent,
    percents,
    ranked,
    rated,
    table,
)
from ucbd.cascade.alignment_tax.measures import (
    PREFIXES,
    Rate,
    agreement,
    area_under,
    clusterers,
    in_stratum,
    ranking,
    rate,
    single,
    single_by,
    single_of_first,
)
from ucbd.cascade.alignment_tax.runs import FACTS, STAGES, Run, Runs
from ucbd.cascade.alignment_tax.stages import SHORT, known_clusterers, named
from ucbd.cascade.alignment_tax.variants import DEFAULTS, SECOND, SIZES, THRESHOLDS, column

TEMPERATURES = (0.3, 0.7, 1.0, 1.5)
SECOND_EMBEDDERS = "embedding"
"""What the names of clusterers by embeddings begin with."""


def swept(runs: Runs, stage: str) -> list[Run]:
    """A stage at several temperatures: at the median seed, else at the first seed swept."""
    middle = median_of(runs, stage)
    seeds = [middle.seed] if middle else []
    seeds += sorted({run.seed for run in runs.all if run.swept and run.stage == stage})
    found = [runs.sweep(stage, seed) for seed in seeds]
    return next((sweep for sweep in found if len(sweep) > 1), found[0] if found else [])


def by_temperature(runs: Runs) -> str:
    """SCR by sampling temperature, stage and clusterer."""
    rows = []
    for clusterer in known_clusterers(runs):
        for stage in STAGES:
            found = {run.temperature: run for run in swept(runs, stage)}
            cells = [
                rated(scr(found[t], clusterer)) if t in found else NOT_RUN for t in TEMPERATURES
            ]
            rows.append([named(clusterer), SHORT[stage], *cells])
    rows.append(["*paper*", "aligned", *(paper.BY_TEMPERATURE[t] for t in TEMPERATURES)])
    return table(["clusterer", "stage", *(f"T = {t:g}" for t in TEMPERATURES)], rows)


def by_samples(runs: Runs) -> str:
    """SCR by number of samples: of the first N of the same ten."""
    rows = []
    for clusterer in ("oracle", "exact", "jaccard", "embedding"):
        for stage in STAGES:
            run = median_of(runs, stage)
            cells = [rated(of_first(run, clusterer, n)) if run else NOT_RUN for n in SIZES]
            rows.append([named(clusterer), SHORT[stage], *cells])
    rows.append(["*paper*", "aligned", *(paper.BY_SAMPLES[n] for n in SIZES)])
    return table(["clusterer", "stage", *(f"N = {n}" for n in SIZES)], rows)


def of_first(run: Run, clusterer: str, n: int) -> Rate | None:
    """SCR on facts of the first ``n`` samples."""
    found = facts(run)
    if clusterer in PREFIXES:
        return rate(single_of_first(found, clusterer, n))
    return rate(single_by(found, column(clusterer, n=n)))


def by_threshold(runs: Runs) -> str:
    """SCR by the clusterer's threshold."""
    rows = []
    others = [name for name in _embedders(runs) if name != SECOND_EMBEDDERS]
    for clusterer, thresholds in {**THRESHOLDS, **dict.fromkeys(others, SECOND)}.items():
        for threshold in thresholds:
            name = column(clusterer, threshold)
            cells = []
            for stage in STAGES:
                run = median_of(runs, stage)
                cells.append(rated(rate(single_by(facts(run), name))) if run else NOT_RUN)
            mark = " (default)" if threshold == DEFAULTS.get(clusterer) else ""
            rows.append([f"{clusterer} {threshold:g}{mark}", *cells])
    return table(["clusterer and threshold", *(SHORT[stage] for stage in STAGES)], rows)


def families(runs: Runs, expected: Sequence[str]) -> str:
    """One row per family or scale and stage."""
    rows = []
    for family in dict.fromkeys([*runs.families(), *expected]):
        for stage in STAGES:
            found = runs.seeds(stage, family)
            rows.append([family, SHORT[stage], *(_family(runs, found) if found else [NOT_RUN] * 7)])
    header = [
        "family",
        "stage",
        "parameters",
        "accuracy",
        "SCR, value",
        "SCR, jaccard",
        "each seed, %",
    ]
    header += ["SCR, embedding", "token entropy AUROC, one cluster by jaccard"]
    found_table = table(header, rows)
    return f"{found_table}\n\nThe paper's, its aligned models: {paper.FAMILIES}."


def embedders(runs: Runs) -> str:
    """Clustering by one embedder against another, per stage."""
    names = _embedders(runs)
    header = ["embedder", "stage", "SCR [95 %]", "sensitivity", "specificity"]
    header += ["AUROC of semantic entropy", "single-cluster verdicts: κ with the first"]
    rows = []
    for name in names or ["embedding"]:
        for stage in STAGES:
            run = median_of(runs, stage)
            cells = _embedder(run, name) if run and name in run.table.labels else [NOT_RUN] * 5
            rows.append([named(name), SHORT[stage], *cells])
    if len(names) < 2:
        rows.append(["a second embedder", "", *[NOT_RUN] * 5])
    return table(header, rows)


def _embedders(runs: Runs) -> list[str]:
    every = clusterers([run.table for run in runs.all])
    return [name for name in every if name.startswith(SECOND_EMBEDDERS)]


def _embedder(run: Run, name: str) -> list[str]:
    found = facts(run)
    pairs = agreement(found, name)
    return [
        rated(scr(run, name)),
        percent(pairs.sensitivity if pairs else None),
        percent(pairs.specificity if pairs else None),
        number(area_under(found, f"semantic_entropy:{name}")),
        number(_kappa(run, name), 2) if name != SECOND_EMBEDDERS else NOT_MEASURED,
    ]


def _kappa(run: Run, name: str) -> float | None:
    one, other = single(facts(run), SECOND_EMBEDDERS), single(facts(run), name)
    known = ~np.isnan(one) & ~np.isnan(other)
    # Undefined where both see the same everywhere, and only one class of it.
    if len(set(one[known]) | set(other[known])) < 2:
        return None
    return float(cohen_kappa_score(one[known], other[known]))


def _family(runs: Runs, found: list[Run]) -> list[str]:
    parameters = found[0].info.get("parameters")
    right = spread(found, right_on(*FACTS))
    by = {c: spread(found, scr_by(c)) for c in ("oracle", "jaccard", "embedding")}
    middle = facts(median_of(runs, found[0].stage, found[0].family) or found[0])
    inside = ranking(middle, "mean_token_entropy", in_stratum(middle, "jaccard"))
    counts = f" ({inside.n - inside.wrong} right, {inside.wrong} wrong)" if inside else ""
    return [
        f"{parameters / 1e6:.2f} M" if isinstance(parameters, int) else NOT_MEASURED,
        rated(right.middle) if right else NOT_MEASURED,
        rated(by["oracle"].middle) if by["oracle"] else NOT_MEASURED,
        rated(by["jaccard"].middle) if by["jaccard"] else NOT_MEASURED,
        percents(by["jaccard"].each) if by["jaccard"] else NOT_MEASURED,
        rated(by["embedding"].middle) if by["embedding"] else NOT_MEASURED,
        ranked(inside) + counts,
    ]
