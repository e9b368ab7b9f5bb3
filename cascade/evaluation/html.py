"""``report.html``: the report as one page that needs nothing beside itself, plots inside.

Reads only the report, so that page and ``report.json`` cannot differ. Knows no statistics. Names
that come from records are escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.evaluation import plots
from ucbd.cascade.evaluation.cells import (
    document,
    ends,
    figure,
    interval,
    note,
    number,
    panels,
    percent,
    rate,
    section,
    table,
)
from ucbd.cascade.evaluation.decisions_page import decided
from ucbd.cascade.evaluation.style import STYLE
from ucbd.cascade.evaluation.svg import Axis, Box, Mark, boxes, intervals, ticks_to

Json = Mapping[str, Any]


def page(report: Json) -> str:
    """The report as HTML: self-contained, light or dark as the reader's system is."""
    body = "".join(
        [
            _head(report),
            decided(report),
            panels([_selective(report), _roc(report)]),
            _signals(report),
            _homogenization(report),
            _clusters(report),
            _histograms(report),
            _token_entropy(report),
            _calibration(report),
            _cost(report),
            _dependence(report),
        ]
    )
    return document("Evaluation report", STYLE, body)


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
    plot = intervals(rows, plots.shares("questions whose samples all say the same"))
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
    return section(title, figure(plot, _clustered_how(by), wide=True) + "".join(tables))


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
        title,
        figure(intervals(rows, axis, 0.5), caption, markup=True, wide=True) + table(header, cells),
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
    return section(title, figure(boxes(rows, axis), caption, wide=True))


def _selective(report: Json) -> str:
    points = report["selective"]
    if not points:
        return section("Risk against coverage", note("No labelled record has a cascade score."))
    picked = [one for one in points if round(100 * one["coverage"]) in plots.COVERAGES]
    cells = [[percent(one["coverage"]), percent(1 - one["accuracy"])] for one in picked]
    caption = "Ordered by cascade, expected value over ties. Dashed: answering everything."
    return section(
        "Risk against coverage",
        figure(plots.risk([report]), caption) + table(["coverage", "wrong of those"], cells),
    )


def _roc(report: Json) -> str:
    names = [name for name in plots.RANKING if (report["signals"].get(name) or {}).get("roc")]
    if not names:
        return ""
    lines = [report["signals"][name]["roc"] for name in names]
    caption = f"{plots.keys(names)}. Of every cut: wrong answers above it, against right ones."
    plot = plots.roc(lines, report["false_alarms"])
    return section("What a cut catches: ROC", figure(plot, caption, markup=True))


def _histograms(report: Json) -> str:
    drawn = [
        figure(
            plots.histogram_of(one, f"{name.replace('_', ' ')}, {one['unit']}"),
            f"{plots.keys(('right', 'wrong'))} answers: {sum(one['right'])} and "
            f"{sum(one['wrong'])}.",
            markup=True,
        )
        for name, one in report["histograms"].items()
    ]
    if not drawn:
        return ""
    return section("Entropy of right and wrong answers", panels(drawn))


def _clusters(report: Json) -> str:
    by = {k: one for k, one in report["homogenization"].items() if sum(one["cluster_counts"])}
    if not by:
        return ""
    drawn = [
        figure(plots.clusters(one["cluster_counts"]), f"By {name}: {one['n']} questions.")
        for name, one in by.items()
    ]
    return section(
        "Clusters per question",
        note("The first bar is the single-cluster stratum: there sampling cannot rank answers.")
        + panels(drawn),
    )


def _calibration(report: Json) -> str:
    found = report["calibration"]
    title = "Reliability of the cascade score"
    if found["ece"] is None:
        return section(title, note("Not measured: it takes right and wrong answers, scored."))
    caption = (
        f"{plots.keys(('as it stands', 'after Platt scaling'))}, which is fitted on other folds. "
        "15 bins of equal mass; on the dashed line what is said is what happens."
    )
    cells = [
        [name, number(one["ece"]), number(one["brier"])]
        for name, one in (("as it stands", found), ("Platt, held out", found["platt"]))
    ]
    plot = plots.reliability([found["bins"], found["platt"]["bins"]])
    return section(
        title,
        panels([figure(plot, caption, markup=True), table(["score", "ECE", "Brier"], cells)]),
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
    stages = plots.paid_stages([report])
    cells = [[name, number(value, 3)] for name, value in cost["by_stage"].items()]
    cells.append(["in all, the main call included", number(cost["relative_mean"], 3)])
    caption = f"{plots.keys(('main call', *stages))}. Stages that cost nothing have no bar."
    return section(
        "Mean cost of a request, in main calls",
        figure(plots.cost([("mean request", report)]), caption, markup=True, wide=True)
        + table(["stage", "cost"], cells),
    )


def _five(quantiles: Sequence[float]) -> tuple[float, float, float, float, float]:
    a, b, c, d, e = quantiles
    return a, b, c, d, e
