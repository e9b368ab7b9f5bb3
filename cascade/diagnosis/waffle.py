"""Every question as one small square, by kind: those of one cluster filled, and wrong ones marked.

SVG text with the page's colours. Knows questions of a report.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_SIDE, _GAP, _LABEL, _ROW_GAP = 13, 3, 150, 9
_ACROSS = 32  # squares in a line

Json = Mapping[str, Any]


def waffle(questions: Sequence[Json], clusterer: str) -> str:
    """One square for each question that has a rate; its question and count as the tooltip."""
    kinds: dict[str, list[Json]] = {}
    for question in questions:
        found = question["clusters"].get(clusterer)
        if found and found["one"] is not None:
            kinds.setdefault(question["kind"] or "questions", []).append(question)
    parts: list[str] = []
    top = 0
    for kind, some in kinds.items():
        ordered = sorted(some, key=lambda one: one["clusters"][clusterer]["count"])
        parts.append(
            f'<text class="axis" x="{_LABEL - 12}" y="{top + 11}" text-anchor="end">'
            f"{escape(kind.replace('_', ' '))}</text>"
        )
        parts += [_square(one, place, top, clusterer) for place, one in enumerate(ordered)]
        lines = -(-len(ordered) // _ACROSS)
        top += lines * (_SIDE + _GAP) + _ROW_GAP
    width = _LABEL + _ACROSS * (_SIDE + _GAP)
    return (
        f'<svg class="waffle" viewBox="0 0 {width} {max(top - _ROW_GAP, 1)}" role="img" '
        f'aria-label="Every question, by kind; filled where all samples say the same" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _square(question: Json, place: int, top: int, clusterer: str) -> str:
    count = question["clusters"][clusterer]["count"]
    x = _LABEL + place % _ACROSS * (_SIDE + _GAP)
    y = top + place // _ACROSS * (_SIDE + _GAP)
    kind = "one" if count == 1 else "several"
    told = f"{count} cluster{'s' if count > 1 else ''}: {question['prompt']}"
    cross = ""
    if question["correct"] is False:
        a, b = 3.5, _SIDE - 3.5
        cross = (
            f'<path class="cross {kind}" d="M{x + a} {y + a}L{x + b} {y + b}M{x + b} {y + a}'
            f'L{x + a} {y + b}"/>'
        )
    return (
        f'<g><title>{escape(told)}</title><rect class="cell {kind}" x="{x}" y="{y}" '
        f'width="{_SIDE}" height="{_SIDE}" rx="2"/>{cross}</g>'
    )
