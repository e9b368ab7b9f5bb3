"""``report.html``: the report as one page that needs nothing beside itself, plots inside.

Reads only the report, so that page and ``report.json`` cannot differ. Knows no statistics. Names
that come from records are escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.evaluation.cells import (
    ends,
    figure,
    interval,
    note,
    number,
    percent,
    rate,
    section,
    table,
)
from ucbd.cascade.evaluation.svg import Axis, Box, Line, Mark, boxes, curves, intervals, ticks_to

Json = Mapping[str, Any]
_SHARE = Axis(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), "", percent=True)
_STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --rule: #dfe3e8; --ground: #fff; --s0: #1f6fb2;
  --s1: #c2571a; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --rule: #333c48;
  --ground: #14181e; --s0: #6cb2ec; --s1: #f09a5e; } }
body { background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
p.note, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: .5rem 0; max-width: 46rem; } svg { width: 100%; height: auto; }
div.wide { overflow-x: auto; }
table { margin-bottom: 1rem; border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .6rem; text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.axis { fill: var(--ink); }
.grid { stroke: var(--rule); } .guide { stroke: var(--soft); stroke-dasharray: 4 4; fill: none; }
circle.s0 { fill: var(--s0); } circle.s1 { fill: var(--s1); }
.line { stroke-width: 2; fill: none; } .s0.line { stroke: var(--s0); }
.s1.line { stroke: var(--s1); }
rect.s0 { fill: var(--s0); } rect.s1 { fill: var(--s1); } .box { fill-opacity: .35; }
.median { stroke: var(--ink); stroke-width: 2; }
.key0, .key1 { font-weight: 600; } .key0 { color: var(--s0); } .key1 { color: var(--s1); }
"""


def page(report: Json) -> str:
    """The report as HTML: self-contained, light or dark as the reader's system is."""
    body = "".join(
        [
            _head(report),
            _homogenization(report),
            _signals(report),
            _token_entropy(report),
            _selective(report),
            _calibration(report),
            _dependence(report),
            _cost(report),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation report</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(report: Json) -> str:
    models = ", ".join(map(str, report["models"])) or "model not named"
    sampling = "; ".join(_sampling(one) for one in report["sampling"]) or "sampling not recorded"
    accuracy = percent(report["accuracy"]) + interval(report["accuracy_ci"], percent=True)
    return (
        f"<h1>Evaluation of {escape(models)}</h1>"
        f"<p>{report['n']} labelled records, accuracy {accuracy}; {report['n_unlabelled']} without "
        f"a label. Samples: {escape(sampling)}.</p>"
        + note(f"Higher scores are less certain. Intervals are {report['intervals']}.")
    )


def _sampling(one: Json) -> str:
    return ", ".join(f"{name} = {value}" for name, value in one.items())


def _homogenization(report: Json) -> str:
    by = report["homogenization"]
    title = "Single-cluster rate, by clusterer"
    drawn = [(name, one) for name, one in by.items() if one["scr"] is not None]
    if not drawn:
        return section(title, note("No record has two usable samples."))
    rows = [(name, [Mark(one["scr"], ends(one["scr_ci"]))]) for name, one in drawn]
    plot = intervals(rows, _named(_SHARE, "questions whose samples all say the same"))
    how_many = [
        [
            name,
            percent(one["scr"]) + interval(one["scr_ci"], percent=True),
            str(one["n"]),
            number(one["mean_clusters"], 2),
            number(one["mean_semantic_entropy"], 3),
        ]
        for name, one in by.items()
    ]
    how_wrong = [
        [name, *(rate(one, of) for of in ("wrong_given_one", "wrong_given_several", "blind_mass"))]
        for name, one in by.items()
    ]
    tables = (
        table(["clusterer", "SCR [95 %]", "n", "mean clusters", "mean SE, nats"], how_many),
        table(["clusterer", "P(wrong | one)", "P(wrong | several)", "blind mass"], how_wrong),
    )
    return section(title, figure(plot, _clustered_how(by)) + "".join(tables))


def _clustered_how(by: Mapping[str, Json]) -> str:
    how = {str(c) for one in by.values() for c in one["clusterer"]}
    spans = sorted({tuple(one["samples"]) for one in by.values() if one["samples"]})
    counts = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in spans)
    reasoning = " and ".join(sorted({one["reasoning"] for one in by.values()}))
    return (
        f"One cluster is not certainty: blind mass is the share of wrong answers inside it. "
        f"Usable samples: {counts}; reasoning text {reasoning}; {'; '.join(sorted(how))}."
    )


def _signals(report: Json) -> str:
    title = "Ranking wrong answers above right ones: AUROC"
    ranked = {name: one for name, one in report["signals"].items() if one["auroc"] is not None}
    if not ranked:
        return section(title, note("There is no AUROC without both right and wrong answers."))
    rows = []
    for name, one in ranked.items():
        marks = [Mark(one["auroc"], ends(one["auroc_ci"]))]
        if one["auroc_single_cluster"] is not None:
            inside = ends(one["auroc_single_cluster_ci"])
            marks.append(Mark(one["auroc_single_cluster"], inside, 1))
        rows.append((name, marks))
    axis = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), "AUROC; 0.5 does not rank")
    stratum = report["single_cluster"]
    caption = (
        '<span class="key0">All records</span>; <span class="key1">single-cluster records</span> '
        f"by {escape(str(stratum['clusterer']))}: {stratum['n']}, {stratum['wrong']} of them wrong."
    )
    cells = [
        [
            name,
            number(one["auroc"]) + interval(one["auroc_ci"]),
            f"{one['n']} / {one['wrong']}",
            number(one["auroc_single_cluster"]) + interval(one["auroc_single_cluster_ci"]),
            f"{one['n_single_cluster']} / {one['wrong_single_cluster']}",
            number(one["aurc"]),
        ]
        for name, one in report["signals"].items()
    ]
    header = ["signal", "AUROC [95 %]", "n / wrong", "single cluster [95 %]", "n / wrong", "AURC"]
    return section(
        title, figure(intervals(rows, axis, 0.5), caption, markup=True) + table(header, cells)
    )


def _token_entropy(report: Json) -> str:
    found = report["token_entropy"]
    title = "Token entropy inside and outside the single-cluster stratum"
    if not found["groups"]:
        return section(title, note("No record has both token entropies and clusters."))
    called = {True: "right", False: "wrong", None: "unlabelled"}
    rows = [
        (
            f"{group['clusters']}, {called[group['correct']]} ({group['n']})",
            Box(_five(group["quantiles"]), int(group["correct"] is False)),
        )
        for group in found["groups"]
    ]
    ticks = ticks_to(max(box.quantiles[4] for _, box in rows) or 1.0)
    axis = Axis(0, ticks[-1], ticks, f"mean token entropy, {found['unit']}")
    caption = (
        f"Clusters by {found['clusterer']}. Box: middle half, with the median; line: 5 to 95 %."
    )
    return section(title, figure(boxes(rows, axis), caption))


def _selective(report: Json) -> str:
    title = "Risk against coverage"
    points = report["selective"]
    if not points:
        return section(title, note("No labelled record has a cascade score."))
    risks = tuple((one["coverage"], 1 - one["accuracy"]) for one in points)
    base = risks[-1][1]
    ticks = ticks_to(max(risk for _, risk in risks) or 0.1)
    plot = curves(
        [Line(risks)],
        _named(_SHARE, "coverage: share answered, least uncertain first"),
        Axis(0, ticks[-1], ticks, "share of those wrong", percent=True),
        [Line(((0, base), (1, base)))],
    )
    picked = [one for one in points if round(100 * one["coverage"]) in (10, 25, 50, 75, 90, 100)]
    cells = [[percent(one["coverage"]), percent(one["accuracy"])] for one in picked]
    caption = "Ordered by cascade, expected value over ties. Dashed: answering everything."
    return section(title, figure(plot, caption) + table(["coverage", "accuracy"], cells))


def _calibration(report: Json) -> str:
    found = report["calibration"]
    title = "Calibration of the cascade score"
    if found["ece"] is None:
        return section(title, note("Not measured: it takes right and wrong answers, scored."))
    lines = [
        Line(tuple((b["said"], b["wrong"]) for b in one["bins"]), series, dots=True)
        for series, one in enumerate((found, found["platt"]))
    ]
    plot = curves(
        lines,
        _named(_SHARE, "P(wrong) as said"),
        _named(_SHARE, "share wrong"),
        [Line(((0, 0), (1, 1)))],
    )
    caption = (
        '15 bins of equal mass: <span class="key0">as it stands</span>, <span class="key1">after '
        "Platt scaling</span> fitted on other folds."
    )
    cells = [
        [name, number(one["ece"]), number(one["brier"])]
        for name, one in (("as it stands", found), ("Platt, held out", found["platt"]))
    ]
    return section(
        title, figure(plot, caption, markup=True) + table(["score", "ECE", "Brier"], cells)
    )


def _dependence(report: Json) -> str:
    found = report["dependence"]
    pairs = [pair for pair in found["pairs"] if pair["r"] is not None]
    if not pairs:
        return ""
    cells = [
        [
            " · ".join(pair["signals"]),
            number(pair["r"], 2),
            number(pair["mutual_information"], 3),
            str(pair["n"]),
        ]
        for pair in pairs
    ]
    body = table(["signals", "r", f"mutual information, {found['unit']}", "n"], cells)
    how = note(f"Mutual information: {found['estimator']}.")
    summary = f"<summary>{len(pairs)} pairs</summary>"
    return section("Dependence of the signals", f"<details>{summary}{how}{body}</details>")


def _cost(report: Json) -> str:
    cost = report["cost"]
    if cost["relative_mean"] is None:
        return ""
    cells = [[name, number(value, 2)] for name, value in cost["by_stage"].items()]
    cells.append(["in all, the main call included", number(cost["relative_mean"], 2)])
    return section("Mean cost, in main calls", table(["stage", "cost"], cells))


def _five(quantiles: Sequence[float]) -> tuple[float, float, float, float, float]:
    a, b, c, d, e = quantiles
    return a, b, c, d, e


def _named(axis: Axis, label: str) -> Axis:
    return Axis(axis.low, axis.high, axis.ticks, label, axis.percent)
