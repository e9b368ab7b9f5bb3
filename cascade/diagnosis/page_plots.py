"""The page's plots: rates by clusterer, kind, N and temperature; token entropy in the stratum.

Reads only the report. Knows no statistics.
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
    section,
    table,
)
from ucbd.cascade.evaluation.svg import Axis, Box, Line, Mark, boxes, curves, intervals, ticks_to

Json = Mapping[str, Any]
_SHARE = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_ALIKE = "questions whose samples all say the same"
_COLOURS = (1, 0, 2)  # of the default clusterer and the stratum, of the next, of the others


def by_clusterer(report: Json) -> str:
    """Rates by clusterer, as a plot and a table."""
    by = {name: one for name, one in report["homogenization"].items() if one["scr"] is not None}
    if not by:
        return ""
    rows = [(name, [_mark(one, name == report["clusterer"])]) for name, one in by.items()]
    cells = [
        [
            name,
            percent(one["scr"]) + interval(one["scr_ci"], percent=True),
            str(one["n"]),
            number(one["mean_clusters"], 2),
        ]
        for name, one in by.items()
    ]
    text = (
        "exact is string equality, the least agreement there can be. The others read meaning "
        "from words (jaccard, combined) or from embeddings."
    )
    return section(
        "It depends on who judges sameness",
        figure(intervals(rows, _axis(_ALIKE)), text)
        + table(["clusterer", "SCR [95 %]", "n", "mean clusters"], cells),
    )


def by_kind(report: Json) -> str:
    """Rates by kind of question, by the default clusterer."""
    by = report["by_kind"].get(report["clusterer"]) or {}
    rows = [
        (f"{name.replace('_', ' ')} ({one['n']})", [_mark(one, True)])
        for name, one in by.items()
        if one["n"]
    ]
    if not rows:
        return ""
    text = f"By {report['clusterer']}, with 95 % intervals; number of questions in brackets."
    return section("By kind of question", figure(intervals(rows, _axis(_ALIKE)), text))


def by_samples(report: Json) -> str:
    """Rates at fewer samples; nothing with fewer than two points."""
    lines = _lines(report, report["by_samples"], "samples")
    if not lines or len(lines[0].points) < 2:
        return ""
    counts = [point["samples"] for point in report["by_samples"][report["clusterer"]]]
    x = Axis(counts[0], counts[-1], tuple(counts), "samples")
    text = (
        f"{_keys(report, report['by_samples'])} Exactly, over every choice of so many of the "
        "samples that were drawn. With more samples fewer questions are of one cluster."
    )
    return section(
        "Against the number of samples",
        figure(
            curves(lines, x, _axis("one cluster"), _band(report, "by_samples")), text, markup=True
        ),
    )


def by_temperature(report: Json) -> str:
    """Rates at other temperatures, where any were asked for."""
    points = report["by_temperature"].get(report["clusterer"]) or []
    lines = _lines(report, report["by_temperature"], "temperature")
    if len(points) < 2 or not lines:
        return ""
    heats = [point["temperature"] for point in points]
    x = Axis(0, max(heats), (0.0, *heats), "temperature")
    few, n = report["asked"]["fewer"], points[0]["n"]
    text = (
        f"{_keys(report, report['by_temperature'])} {few} samples on {n} of the questions: "
        "to be compared with each other, not with the rate above."
    )
    plot = curves(lines, x, _axis("one cluster"), _band(report, "by_temperature"))
    return section("Against temperature", figure(plot, text, markup=True))


def token_entropy(report: Json) -> str:
    """Token entropy inside and outside the stratum."""
    groups = report["token_entropy"]["bounds"]
    if not groups:
        return section(
            "Token entropy", note("The server offers no log-probabilities: nothing is known of it.")
        )
    exact = all(group["exact"] for group in groups)
    rows = [
        (
            f"{'one cluster' if group['clusters'] == 'one' else 'several'} ({group['n']})",
            Box(_five(group["lower"]["quantiles"]), int(group["clusters"] == "one")),
        )
        for group in groups
    ]
    ticks = ticks_to(max(box.quantiles[4] for _, box in rows) or 0.1)
    label = "mean token entropy of the answer, nats" + ("" if exact else " (at least)")
    text = (
        "It costs nothing and still varies where sampling is silent. Box: middle half, with the "
        "median; line: 5 to 95 %."
    )
    if not exact:
        text += " Lower bounds, from the largest log-probabilities of each token."
    return section(
        "Token entropy, inside and outside",
        figure(boxes(rows, Axis(0, ticks[-1], ticks, label)), text),
    )


def _mark(one: Json, chosen: bool) -> Mark:
    return Mark(one["scr"], ends(one["scr_ci"]), _COLOURS[0 if chosen else 1])


def _axis(label: str) -> Axis:
    return Axis(0, 1, _SHARE, label, percent=True)


def _names(report: Json, by: Mapping[str, Sequence[Json]]) -> list[str]:
    """The default clusterer first; ``exact`` is of strings, and no reading of meaning."""
    default = report["clusterer"]
    others = [name for name in by if name not in (default, "exact") and by[name]]
    return [default, *others] if by.get(default) else []


def _lines(report: Json, by: Mapping[str, Sequence[Json]], x: str) -> list[Line]:
    return [
        Line(
            tuple((one[x], one["scr"]) for one in by[name] if one["scr"] is not None),
            _COLOURS[min(place, 2)],
        )
        for place, name in enumerate(_names(report, by))
    ]


def _band(report: Json, key: str) -> list[Line]:
    """The ends of the default clusterer's intervals, dashed."""
    points = [one for one in report[key][report["clusterer"]] if one["scr_ci"]]
    x = key.removeprefix("by_")
    return [Line(tuple((one[x], one["scr_ci"][end]) for one in points)) for end in (0, 1)]


def _keys(report: Json, by: Mapping[str, Sequence[Json]]) -> str:
    keys = [
        f'<span class="key{_COLOURS[min(place, 2)]}">{escape(name)}</span>'
        for place, name in enumerate(_names(report, by))
    ]
    return f"{', '.join(keys)}; dashed: the first one's 95 % interval."


def _five(quantiles: Sequence[float]) -> tuple[float, float, float, float, float]:
    a, b, c, d, e = quantiles
    return a, b, c, d, e
