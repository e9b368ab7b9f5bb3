"""A comparison as one page that needs nothing beside itself: several runs over each other.

Reads what was compared and the runs' reports, so that page and JSON cannot differ. Knows no
statistics. Names are escaped.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.evaluation import plots
from ucbd.cascade.evaluation.cells import (
    document,
    ends,
    figure,
    interval,
    number,
    panels,
    percent,
    section,
    table,
)
from ucbd.cascade.evaluation.compare import Run
from ucbd.cascade.evaluation.differences_page import paired
from ucbd.cascade.evaluation.style import STYLE
from ucbd.cascade.evaluation.svg import Axis, Mark, intervals

Json = Mapping[str, Any]


def page(found: Json, runs: Sequence[Run]) -> str:
    """The comparison as HTML: self-contained, light or dark as the reader's system is."""
    body = "".join(
        [
            _head(found, runs),
            panels([_risk(found, runs), _reliability(found, runs)]),
            _signals(found, runs),
            _roc(runs),
            paired(found),
            _rates(found, runs),
            _clusters(runs),
            _histograms(runs),
            _cost(runs),
        ]
    )
    return document("Comparison of runs", STYLE, body)


def _head(found: Json, runs: Sequence[Run]) -> str:
    header = [
        "run", "model", "policy", "labelled", "accuracy [95 %]", "answered", "wrong of those",
        "cost, main calls",
    ]  # fmt: skip
    rows = [
        [
            one["name"],
            ", ".join(map(str, one["models"])) or "not named",
            one["policy"] or "not named",
            str(one["n"]),
            percent(one["accuracy"]) + interval(one["accuracy_ci"], percent=True),
            percent(one["decisions"]["coverage"]),
            percent(one["decisions"]["risk"]) + interval(one["decisions"]["risk_ci"], percent=True),
            number(one["relative_cost"], 2),
        ]
        for one in found["runs"]
    ]
    names = plots.keys([run.name for run in runs])
    return (
        f"<h1>{len(runs)} runs compared</h1><p>{names}. The first is what the others are held "
        f"against. Higher scores are less certain.</p>{table(header, rows)}"
    )


def _risk(found: Json, runs: Sequence[Run]) -> str:
    if not any(run.report["selective"] for run in runs):
        return ""
    plot = plots.risk([run.report for run in runs])
    risks = [
        {round(100 * at["coverage"]): at["risk"] for at in one["selective_risk"]}
        for one in found["runs"]
    ]
    rows = [[f"{at} %", *(percent(by.get(at)) for by in risks)] for at in plots.COVERAGES]
    header = ["wrong at coverage", *(run.name for run in runs)]
    caption = f"{_keys(runs)}. Each ordered by its own cascade; dashed: answering everything."
    return section(
        "Risk against coverage", figure(plot, caption, markup=True) + table(header, rows)
    )


def _reliability(found: Json, runs: Sequence[Run]) -> str:
    if not any(run.report["calibration"]["bins"] for run in runs):
        return ""
    plot = plots.reliability([run.report["calibration"]["bins"] for run in runs])
    rows = []
    for one in found["runs"]:
        raw, scaled = one["calibration"], one["calibration"]["platt"]
        values = (raw["ece"], raw["brier"], scaled["ece"], scaled["brier"])
        rows.append([one["name"], *map(number, values)])
    header = ["cascade score", "ECE", "Brier", "ECE, Platt", "Brier, Platt"]
    caption = f"{_keys(runs)}: the cascade score as it stands, 15 bins of equal mass."
    return section("Reliability", figure(plot, caption, markup=True) + table(header, rows))


def _signals(found: Json, runs: Sequence[Run]) -> str:
    names = _every(found["runs"], "signals", "auroc")
    if not names:
        return ""
    axis = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), "AUROC; 0.5 does not rank")
    plot = intervals(_marks(found, names, "signals", "auroc"), axis, 0.5)
    cells = _cells(
        found, names, "signals", lambda one: number(one["auroc"]) + interval(one["auroc_ci"])
    )
    return section(
        "Ranking wrong answers above right ones: AUROC",
        figure(plot, f"{_keys(runs)}. Each on its own labelled records.", markup=True, wide=True)
        + table(["signal", *(run.name for run in runs)], cells),
    )


def _roc(runs: Sequence[Run]) -> str:
    drawn = []
    for name in plots.RANKING:
        rates = [(run.report["signals"].get(name) or {}).get("roc") for run in runs]
        if any(rates):
            plot = plots.roc(rates, runs[0].report["false_alarms"])
            has = [rate is not None for rate in rates]
            names = plots.keys([run.name for run in runs], has)
            drawn.append(figure(plot, f"{name}: {names}.", markup=True))
    return section("What a cut catches: ROC, by signal", panels(drawn)) if drawn else ""


def _rates(found: Json, runs: Sequence[Run]) -> str:
    names = _every(found["runs"], "single_cluster_rate", "scr")
    if not names:
        return ""
    axis = plots.shares("questions whose samples all say the same")
    plot = intervals(_marks(found, names, "single_cluster_rate", "scr"), axis)
    cells = _cells(
        found,
        names,
        "single_cluster_rate",
        lambda one: percent(one["scr"]) + interval(one["scr_ci"], percent=True) + f" of {one['n']}",
    )
    return section(
        "Single-cluster rate, by clusterer",
        figure(plot, f"{_keys(runs)}.", markup=True, wide=True)
        + table(["clusterer", *(run.name for run in runs)], cells),
    )


def _clusters(runs: Sequence[Run]) -> str:
    """By the clusterers that every run has: beside each other they must mean the same."""
    shared = [
        name
        for name in runs[0].report["homogenization"]
        if all(sum(_counts(run, name)) for run in runs)
    ]
    parts = []
    for name in shared:
        most = max(len(_counts(run, name)) for run in runs)
        drawn = [
            figure(plots.clusters(_filled(_counts(run, name), most)), f"{run.name}, by {name}.")
            for run in runs
        ]
        parts.append(panels(drawn))
    return section("Clusters per question", "".join(parts)) if parts else ""


def _counts(run: Run, clusterer: str) -> Sequence[int]:
    found: Sequence[int] = (run.report["homogenization"].get(clusterer) or {}).get(
        "cluster_counts", []
    )
    return found


def _filled(counts: Sequence[int], most: int) -> list[int]:
    return [*counts, *[0] * (most - len(counts))]


def _histograms(runs: Sequence[Run]) -> str:
    parts = []
    for name in dict.fromkeys(name for run in runs for name in run.report["histograms"]):
        having = [run for run in runs if name in run.report["histograms"]]
        highest = max(run.report["histograms"][name]["edges"][-1] for run in having)
        label = f"{name.replace('_', ' ')}, nats"
        drawn = [
            figure(
                plots.histogram_of(run.report["histograms"][name], label, highest),
                f"{plots.keys(('right', 'wrong'))}: {escape(run.name)}.",
                markup=True,
            )
            for run in having
        ]
        parts.append(panels(drawn))
    return section("Entropy of right and wrong answers", "".join(parts)) if parts else ""


def _cost(runs: Sequence[Run]) -> str:
    paid = [(r.name, r.report) for r in runs if r.report["cost"]["relative_mean"] is not None]
    if not paid:
        return ""
    stages = plots.paid_stages([report for _, report in paid])
    caption = f"{plots.keys(('main call', *stages))}. Stages that cost nothing have no bar."
    return section(
        "Mean cost of a request, in main calls",
        figure(plots.cost(paid), caption, markup=True, wide=True),
    )


def _every(runs: Sequence[Json], part: str, value: str) -> list[str]:
    """Names that a run has the value of, in the order of the first that has each."""
    names = dict.fromkeys(name for run in runs for name in run[part])
    return [
        n for n in names if any((run[part].get(n) or {}).get(value) is not None for run in runs)
    ]


def _marks(
    found: Json, names: Sequence[str], part: str, value: str
) -> list[tuple[str, list[Mark]]]:
    rows = []
    for name in names:
        having = [(i, run[part].get(name)) for i, run in enumerate(found["runs"])]
        marks = [
            Mark(one[value], ends(one[f"{value}_ci"]), i)
            for i, one in having
            if one and one[value] is not None
        ]
        rows.append((name, marks))
    return rows


def _cells(
    found: Json, names: Sequence[str], part: str, told: Callable[[Json], str]
) -> list[list[str]]:
    return [
        [name, *(told(run[part][name]) if name in run[part] else "–" for run in found["runs"])]
        for name in names
    ]


def _keys(runs: Sequence[Run]) -> str:
    return plots.keys([run.name for run in runs])
