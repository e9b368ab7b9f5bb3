"""Plots of bars as SVG text: how often values fall where, and what a total is made of.

Knows numbers and labels, not what they measure; the axes are those of ``svg``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ucbd.cascade.evaluation.svg import (
    ROW,
    WIDTH,
    Axis,
    Frame,
    across,
    horizontal,
    middle,
    row_label,
)


@dataclass(frozen=True, slots=True)
class Heights:
    """The height of a bar over each bin; ``series`` chooses the colour."""

    heights: Sequence[float]
    series: int = 0


def histogram(
    edges: Sequence[float], bars: Sequence[Heights], x: Axis, y: Axis, *, wide: int = WIDTH
) -> str:
    """Bars between neighbouring ``edges``; those of several series lie over each other, clear."""
    frame = Frame(x, y, wide, 200)
    parts = []
    for one in bars:
        for (low, high), value in zip(pairwise(edges), one.heights, strict=True):
            if value > 0:
                (left, top), (right, bottom) = frame.place((low, value)), frame.place((high, y.low))
                parts.append(
                    f'<rect class="s{one.series} bar" x="{left + 0.5:.1f}" y="{top:.1f}" '
                    f'width="{max(right - left - 1, 0.5):.1f}" height="{bottom - top:.1f}"/>'
                )
    return frame.drawn(parts)


def stacked(rows: Sequence[tuple[str, Sequence[tuple[float, int]]]], axis: Axis) -> str:
    """One bar per name, of parts (length, series) side by side."""
    parts = []
    for i, (name, lengths) in enumerate(rows):
        height, done = middle(i), axis.low
        parts.append(row_label(height, name))
        for length, series in lengths:
            left, right = across(axis, done), across(axis, done + length)
            done += length
            if length > 0:
                parts.append(
                    f'<rect class="s{series} bar" x="{left:.1f}" y="{height - 8:.1f}" '
                    f'width="{max(right - left, 0.5):.1f}" height="16"/>'
                )
    return horizontal(len(rows) * ROW, axis, None, parts)
