"""Small plots as SVG text: a curve, intervals by name, boxes by name. No script, no library.

Knows numbers and labels, not what they measure. Colours are the CSS variables of the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 210, 20, 12, 44
_ROW = 26
_SERIES = 11  # between the marks of one row


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from ``low`` to ``high`` with a tick at each of ``ticks``."""

    low: float
    high: float
    ticks: tuple[float, ...]
    label: str
    percent: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, cut off at them, 0 … 1."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def tick(self, value: float) -> str:
        """A tick's label."""
        return f"{100 * value:.0f} %" if self.percent else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval; ``series`` chooses the colour, 0 or 1."""

    value: float
    interval: tuple[float, float] | None = None
    series: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    """Five quantiles, ascending: whisker, box, median, box, whisker."""

    quantiles: tuple[float, float, float, float, float]
    series: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined in order, or only shown as dots."""

    points: tuple[tuple[float, float], ...]
    series: int = 0
    dots: bool = False


def intervals(
    rows: Sequence[tuple[str, Sequence[Mark]]], axis: Axis, guide: float | None = None
) -> str:
    """One row per name, its marks below each other; a dashed line at ``guide``."""
    inside = [_row_label(i, name) for i, (name, _) in enumerate(rows)]
    for i, (_, marks) in enumerate(rows):
        for j, mark in enumerate(marks):
            inside.append(_mark(mark, axis, _middle(i) + (j - (len(marks) - 1) / 2) * _SERIES))
    return _horizontal(len(rows), axis, guide, inside)


def boxes(rows: Sequence[tuple[str, Box]], axis: Axis) -> str:
    """One box per name."""
    inside = [_row_label(i, name) for i, (name, _) in enumerate(rows)]
    inside += [_box(box, axis, _middle(i)) for i, (_, box) in enumerate(rows)]
    return _horizontal(len(rows), axis, None, inside)


def curves(lines: Sequence[Line], x: Axis, y: Axis, guides: Sequence[Line] = ()) -> str:
    """Lines over two axes; ``guides`` are dashed."""
    left, top, wide, high = 70, _TOP, WIDTH - 70 - _RIGHT, 260

    def place(point: tuple[float, float]) -> str:
        return f"{left + x.share(point[0]) * wide:.1f},{top + (1 - y.share(point[1])) * high:.1f}"

    parts = []
    for value in y.ticks:
        at = top + (1 - y.share(value)) * high
        parts.append(
            f'<line class="grid" x1="{left}" x2="{left + wide}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(_text(left - 8, at + 4, y.tick(value), "end"))
    parts += [
        _text(left + x.share(value) * wide, top + high + 18, x.tick(value), "middle")
        for value in x.ticks
    ]
    parts.append(_text(left + wide / 2, top + high + 38, x.label, "middle", "axis"))
    middle = top + high / 2
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(16 {middle:.0f}) '
        f'rotate(-90)">{escape(y.label)}</text>'
    )
    for line in guides:
        path = " ".join(map(place, line.points))
        parts.append(f'<polyline class="guide" points="{path}"/>')
    for line in lines:
        if line.dots:
            parts += [
                f'<circle class="s{line.series}" cx="{cx}" cy="{cy}" r="4"/>'
                for cx, cy in (place(point).split(",") for point in line.points)
            ]
        else:
            path = " ".join(map(place, line.points))
            parts.append(f'<polyline class="s{line.series} line" points="{path}"/>')
    return _svg(top + high + _BOTTOM, parts)


def ticks_to(high: float) -> tuple[float, ...]:
    """About five round ticks from 0 to at least ``high``."""
    step = 10.0**-6
    while high / step > 5:
        for factor in (2.0, 2.5, 2.0):
            step *= factor
            if high / step <= 5:
                break
    count = max(1, -int(-high // step))
    return tuple(round(i * step, 9) for i in range(count + 1))


def _horizontal(rows: int, axis: Axis, guide: float | None, inside: Sequence[str]) -> str:
    bottom = _TOP + rows * _ROW
    parts = []
    for value in axis.ticks:
        at = _x(axis, value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(_text(at, bottom + 16, axis.tick(value), "middle"))
    if guide is not None:
        at = _x(axis, guide)
        parts.append(f'<line class="guide" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
    centre = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(_text(centre, bottom + 36, axis.label, "middle", "axis"))
    return _svg(bottom + _BOTTOM, [*parts, *inside])


def _mark(mark: Mark, axis: Axis, y: float) -> str:
    line = ""
    if mark.interval:
        low, high = (_x(axis, end) for end in mark.interval)
        line = (
            f'<line class="s{mark.series} line" x1="{low:.1f}" x2="{high:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    return (
        line
        + f'<circle class="s{mark.series}" cx="{_x(axis, mark.value):.1f}" cy="{y:.1f}" r="4"/>'
    )


def _box(box: Box, axis: Axis, y: float) -> str:
    a, b, c, d, e = (_x(axis, value) for value in box.quantiles)
    series = f"s{box.series}"
    return (
        f'<line class="{series} line" x1="{a:.1f}" x2="{e:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<rect class="{series} box" x="{b:.1f}" y="{y - 7:.1f}" width="{max(d - b, 1):.1f}" '
        f'height="14"/>'
        f'<line class="median" x1="{c:.1f}" x2="{c:.1f}" y1="{y - 7:.1f}" y2="{y + 7:.1f}"/>'
    )


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT)


def _middle(row: int) -> float:
    return _TOP + (row + 0.5) * _ROW


def _row_label(row: int, name: str) -> str:
    return _text(_LEFT - 10, _middle(row) + 4, name, "end")


def _text(x: float, y: float, words: str, anchor: str, kind: str = "tick") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
