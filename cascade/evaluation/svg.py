"""Small plots as SVG text: a curve, intervals by name, boxes by name. No script, no library.

Knows numbers and labels, not what they measure. Colours are the CSS variables of the page, by
series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 210, 20, 12, 44
ROW = 26
_LONG = 28  # letters that have room in the type of ticks
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
    """A value with its interval; ``series`` chooses the colour, 0 … 5."""

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
    most = max((len(marks) for _, marks in rows), default=0)
    tall = max(ROW, (most + 1) * _SERIES)
    inside = [row_label(middle(i, tall), name) for i, (name, _) in enumerate(rows)]
    for i, (_, marks) in enumerate(rows):
        for j, mark in enumerate(marks):
            at = middle(i, tall) + (j - (len(marks) - 1) / 2) * _SERIES
            inside.append(_mark(mark, axis, at))
    return horizontal(len(rows) * tall, axis, guide, inside)


def boxes(rows: Sequence[tuple[str, Box]], axis: Axis) -> str:
    """One box per name."""
    inside = [row_label(middle(i), name) for i, (name, _) in enumerate(rows)]
    inside += [_box(box, axis, middle(i)) for i, (_, box) in enumerate(rows)]
    return horizontal(len(rows) * ROW, axis, None, inside)


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes around a field of ``wide`` by ``high``, and where a point lies in it."""

    x: Axis
    y: Axis
    wide: int = WIDTH
    high: int = 260

    @property
    def left(self) -> int:
        """Where the field begins; the scale of the upward axis stands before it."""
        return 70

    @property
    def across(self) -> int:
        """How wide the field is."""
        return self.wide - self.left - _RIGHT

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point in pixels; what lies outside the axes is drawn at their ends."""
        x, y = self.x.share(point[0]), self.y.share(point[1])
        return self.left + x * self.across, _TOP + (1 - y) * self.high

    def drawn(self, inside: Sequence[str]) -> str:
        """The plot: scales and labels below what is ``inside``."""
        parts = []
        for value in self.y.ticks:
            _, at = self.place((self.x.low, value))
            parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.left + self.across}" '
                f'y1="{at:.1f}" y2="{at:.1f}"/>'
            )
            parts.append(text(self.left - 8, at + 4, self.y.tick(value), "end"))
        bottom = _TOP + self.high
        for value in self.x.ticks:
            at, _ = self.place((value, self.y.low))
            parts.append(text(at, bottom + 18, self.x.tick(value), "middle"))
        centre = self.left + self.across / 2
        parts.append(text(centre, bottom + 38, self.x.label, "middle", "axis"))
        middle = _TOP + self.high / 2
        parts.append(
            f'<text class="axis" text-anchor="middle" transform="translate(16 {middle:.0f}) '
            f'rotate(-90)">{escape(self.y.label)}</text>'
        )
        return _svg(bottom + _BOTTOM, [*parts, *inside], self.wide)


def curves(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    guides: Sequence[Line] = (),
    *,
    wide: int = WIDTH,
) -> str:
    """Lines over two axes; ``guides`` are dashed."""
    frame = Frame(x, y, wide)
    parts = [f'<polyline class="guide" points="{_path(frame, line.points)}"/>' for line in guides]
    for line in lines:
        if line.dots:
            parts += [
                f'<circle class="s{line.series}" cx="{cx:.1f}" cy="{cy:.1f}" r="4"/>'
                for cx, cy in map(frame.place, line.points)
            ]
        else:
            path = _path(frame, line.points)
            parts.append(f'<polyline class="s{line.series} line" points="{path}"/>')
    return frame.drawn(parts)


def _path(frame: Frame, points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(frame.place, points))


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


def horizontal(high: int, axis: Axis, guide: float | None, inside: Sequence[str]) -> str:
    """``inside`` over rows of that height together, one scale below them all."""
    bottom = _TOP + high
    parts = []
    for value in axis.ticks:
        at = across(axis, value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(text(at, bottom + 16, axis.tick(value), "middle"))
    if guide is not None:
        at = across(axis, guide)
        parts.append(f'<line class="guide" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
    centre = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(text(centre, bottom + 36, axis.label, "middle", "axis"))
    return _svg(bottom + _BOTTOM, [*parts, *inside])


def _mark(mark: Mark, axis: Axis, y: float) -> str:
    line = ""
    if mark.interval:
        low, high = (across(axis, end) for end in mark.interval)
        line = (
            f'<line class="s{mark.series} line" x1="{low:.1f}" x2="{high:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    return (
        line
        + f'<circle class="s{mark.series}" cx="{across(axis, mark.value):.1f}" cy="{y:.1f}" r="4"/>'
    )


def _box(box: Box, axis: Axis, y: float) -> str:
    a, b, c, d, e = (across(axis, value) for value in box.quantiles)
    series = f"s{box.series}"
    return (
        f'<line class="{series} line" x1="{a:.1f}" x2="{e:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<rect class="{series} box" x="{b:.1f}" y="{y - 7:.1f}" width="{max(d - b, 1):.1f}" '
        f'height="14"/>'
        f'<line class="median" x1="{c:.1f}" x2="{c:.1f}" y1="{y - 7:.1f}" y2="{y + 7:.1f}"/>'
    )


def across(axis: Axis, value: float) -> float:
    """Where a value lies beside the names of rows, in pixels."""
    return _LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT)


def middle(row: int, tall: int = ROW) -> float:
    """The height of a row's middle."""
    return _TOP + (row + 0.5) * tall


def row_label(height: float, name: str) -> str:
    """The name of a row, at its left."""
    kind = "tick" if len(name) <= _LONG else "tick long"
    return text(_LEFT - 10, height + 4, name, "end", kind)


def text(x: float, y: float, words: str, anchor: str, kind: str = "tick") -> str:
    """Words at a place, escaped; ``anchor`` is start, middle or end."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def _svg(height: float, parts: Sequence[str], wide: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {wide} {height:.0f}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
