"""The plots of reports: what is drawn of one run, or of several over each other, by series.

Reads reports only. Knows no statistics and no page.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.evaluation.bars import Heights, histogram, stacked
from ucbd.cascade.evaluation.svg import Axis, Line, curves, ticks_to

Json = Mapping[str, Any]
WIDTH = 460
"""Of plots that stand beside each other."""
COVERAGES = (10, 25, 50, 75, 90, 100)
"""Those in tables, in percent."""
RANKING = ("cascade", "mean_token_entropy", "semantic_entropy", "p_true")
"""Signals with a ROC curve on the page; the report has it of every one."""
SERIES = 6
"""Colours that there are."""
_MOST_CLUSTERS = 20


def shares(label: str) -> Axis:
    """From nothing to all."""
    return Axis(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), label, percent=True)


def keys(names: Sequence[str], shown: Sequence[bool] = ()) -> str:
    """The names of series in their colours, as markup; of those ``shown`` where not all are."""
    return ", ".join(
        f'<span class="key{i % SERIES}">{escape(name)}</span>'
        for i, name in enumerate(names)
        if not shown or shown[i]
    )


def risk(reports: Sequence[Json], wide: int = WIDTH) -> str:
    """Selective risk against coverage; dashed what answering everything costs each."""
    lines = [
        Line(tuple((one["coverage"], 1 - one["accuracy"]) for one in report["selective"]), i)
        for i, report in enumerate(reports)
    ]
    highest = max((y for line in lines for _, y in line.points), default=0.0)
    ticks = ticks_to(highest or 0.1)
    ends = [line.points[-1][1] for line in lines if line.points]
    return curves(
        lines,
        shares("coverage: share answered, least uncertain first"),
        Axis(0, ticks[-1], ticks, "share of those wrong", percent=True),
        [Line(((0, end), (1, end))) for end in ends],
        wide=wide,
    )


def roc(rates: Sequence[Sequence[float] | None], false_alarms: Sequence[float]) -> str:
    """Wrong answers caught against right ones flagged; dashed a score that does not rank."""
    lines = [
        Line(((0.0, 0.0), *zip(false_alarms, one, strict=True)), i)
        for i, one in enumerate(rates)
        if one is not None
    ]
    return curves(
        lines,
        shares("right answers flagged"),
        shares("wrong answers flagged"),
        [Line(((0, 0), (1, 1)))],
        wide=WIDTH,
    )


def reliability(bins: Sequence[Sequence[Json]]) -> str:
    """What was wrong against what was said, a dot for each bin, joined."""
    lines = []
    for i, one in enumerate(bins):
        points = tuple((b["said"], b["wrong"]) for b in one)
        lines += [Line(points, i), Line(points, i, dots=True)]
    return curves(
        lines,
        shares("P(wrong) as said"),
        shares("share wrong"),
        [Line(((0, 0), (1, 1)))],
        wide=WIDTH,
    )


def histogram_of(found: Json, label: str, highest: float | None = None) -> str:
    """Shares of the right answers and of the wrong ones, bin by bin, on an axis to ``highest``."""
    edges = found["edges"]
    bars = [Heights(_normed(found[kind]), i) for i, kind in enumerate(("right", "wrong"))]
    ticks = ticks_to(edges[-1] if highest is None else highest)
    return histogram(edges, bars, Axis(0, ticks[-1], ticks, label), _up(bars, "share"), wide=WIDTH)


def clusters(counts: Sequence[int]) -> str:
    """Questions by how many clusters they fell into; one cluster has the other colour."""
    shown = [*counts[: _MOST_CLUSTERS - 1], sum(counts[_MOST_CLUSTERS - 1 :])]
    if len(counts) < _MOST_CLUSTERS:
        shown = list(counts)
    heights = _normed(shown)
    one, several = [heights[0], *[0.0] * (len(heights) - 1)], [0.0, *heights[1:]]
    bars = [Heights(one, 1), Heights(several, 0)]
    edges = [i + 0.5 for i in range(len(shown) + 1)]
    step = 1 if len(shown) <= 12 else 2
    x = Axis(0.5, edges[-1], tuple(range(1, len(shown) + 1, step)), "clusters")
    return histogram(edges, bars, x, _up(bars, "questions"), wide=WIDTH)


def paid_stages(reports: Sequence[Json]) -> list[str]:
    """Stages that cost something in one of them, in their order."""
    names = dict.fromkeys(name for one in reports for name in one["cost"]["by_stage"])
    return [n for n in names if any(one["cost"]["by_stage"].get(n) for one in reports)]


def cost(runs: Sequence[tuple[str, Json]]) -> str:
    """One bar per run: the main call, and what each stage adds."""
    stages = paid_stages([report for _, report in runs])
    rows = []
    for name, report in runs:
        by = report["cost"]["by_stage"]
        parts = [(1.0, 0), *((by.get(stage, 0.0), i + 1) for i, stage in enumerate(stages))]
        rows.append((name, parts))
    ticks = ticks_to(max(sum(length for length, _ in parts) for _, parts in rows))
    return stacked(rows, Axis(0, ticks[-1], ticks, "main calls"))


def _normed(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _up(bars: Sequence[Heights], label: str) -> Axis:
    ticks = ticks_to(max(height for one in bars for height in one.heights) or 0.1)
    return Axis(0, ticks[-1], ticks, label, percent=True)
