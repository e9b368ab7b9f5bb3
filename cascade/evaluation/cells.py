"""Cells, tables and figures of the page, as HTML text. Everything is escaped here, once."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

NONE = "–"


def document(title: str, style: str, body: str) -> str:
    """A whole page that needs nothing beside itself."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A part of the page under its heading."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def figure(plot: str, caption: str, markup: bool = False, wide: bool = False) -> str:
    """A plot above its caption, which is escaped unless it is ``markup``.

    One that is ``wide`` scrolls by itself where the page is narrow.
    """
    words = caption if markup else escape(caption)
    kind = ' class="rows"' if wide else ""
    return f"<figure{kind}>{plot}<figcaption>{words}</figcaption></figure>"


def panels(parts: Sequence[str]) -> str:
    """Parts beside each other where there is room; those that are empty are left out."""
    return f'<div class="panels">{"".join(part for part in parts if part)}</div>'


def tiles(facts: Sequence[tuple[str, str]]) -> str:
    """A few numbers to see first, each with what it is."""
    cells = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
        for what, value in facts
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def note(words: str) -> str:
    """A quiet paragraph."""
    return f'<p class="note">{escape(words)}</p>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself when it is wide."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'


def rate(one: Mapping[str, Any], name: str) -> str:
    """A rate of the report with its interval and counts; a dash when it is a share of nothing."""
    hits, n = one[f"{name}_counts"]
    if not n:
        return NONE
    return f"{percent(one[name])}{interval(one[f'{name}_ci'], percent=True)} ({hits}/{n})"


def percent(value: float | None) -> str:
    """A share in percent, one decimal."""
    return NONE if value is None else f"{100 * value:.1f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many decimals."""
    return NONE if value is None else f"{value:.{digits}f}"


def interval(ends: Sequence[float] | None, percent: bool = False) -> str:
    """An interval behind a value; nothing when there is none."""
    if ends is None:
        return ""
    low, high = ends
    return f" [{100 * low:.1f}, {100 * high:.1f}]" if percent else f" [{low:.3f}, {high:.3f}]"


def ends(ends: Sequence[float] | None) -> tuple[float, float] | None:
    """The ends of an interval of the report."""
    return None if ends is None else (ends[0], ends[1])
