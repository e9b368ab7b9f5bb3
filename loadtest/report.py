"""A run as text: tables for people in milliseconds, one JSON object for programs in seconds."""

import json
from collections.abc import Sequence
from typing import Any

from loadtest.crosscheck import disagreements

_MISSING = "–"


def table(phases: Sequence[dict[str, Any]]) -> str:
    """One line a phase, then what each stage took, and every disagreement with the gateway."""
    rows = [_row(figures) for figures in phases]
    heads = ("phase", "offered", "answered/s", "errors", "shed", "cost")
    times = ("p50", "p95", "p99", "token p50", "p99", "added p50", "outside")
    lines = [
        "Times in ms from when a request was due; added: by the gateway, beside the engine.",
        "",
    ]
    lines += _columns([(*heads, *times), *rows])
    lines += ["", *_columns([("stage", "phase", "ran", "p50", "p95", "p99"), *_stage_rows(phases)])]
    for figures in phases:
        for code, count in figures["errors"].items():
            lines.append(f"{figures['name']}: {count} × {code}")
        if figures["late"] and figures["late"]["p99"] > 0.01:
            late = _ms(figures["late"]["p99"])
            lines.append(
                f"{figures['name']}: sent up to {late} ms late (p99): this client had no time"
            )
        if figures.get("memory_slope") is not None:
            hourly = 3600 * figures["memory_slope"] / 2**20
            lines.append(
                f"{figures['name']}: the gateway's memory grew by {hourly:.1f} MiB an hour"
            )
        lines += [f"{figures['name']}: {text}" for text in disagreements(_checked(figures))]
    return "\n".join(lines)


def last_line(run: dict[str, Any]) -> str:
    """The JSON object, rounded to six digits."""
    return json.dumps(_rounded(run), ensure_ascii=False, allow_nan=False)


def _row(figures: dict[str, Any]) -> tuple[str, ...]:
    closed = figures["loop"] == "closed"
    offered = f"{figures['concurrency']} open" if closed else f"{figures['rate']:.1f}/s"
    latency, first = figures["latency"] or {}, figures["first_token"] or {}
    cost, checked = figures["relative_cost"] or {}, _checked(figures)
    overhead = (checked["overhead"] or {}).get("p50")
    return (
        figures["name"],
        offered,
        f"{figures['throughput']:.1f}",
        f"{100 * figures['error_share']:.1f} %",
        f"{100 * figures['degraded_share']:.1f} %",
        f"{cost['mean']:.2f}" if cost else _MISSING,
        *(_ms(latency.get(rank)) for rank in ("p50", "p95", "p99")),
        *(_ms(first.get(rank)) for rank in ("p50", "p99")),
        f"{_ms(overhead[0])}…{_ms(overhead[1])}" if overhead else _MISSING,
        _ms(checked["outside_mean"]),
    )


def _stage_rows(phases: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Steps of a ramp are left out where there are other phases: there would be a hundred lines."""
    rest = [figures for figures in phases if not figures["name"].startswith("ramp ")]
    rows = [
        (name, figures["name"], str(told["n"]), *(_ms(told[r]) for r in ("p50", "p95", "p99")))
        for figures in rest or phases
        for name, told in figures["stages"].items()
    ]
    return sorted(rows, key=lambda row: row[0])


def _checked(figures: dict[str, Any]) -> dict[str, Any]:
    return figures.get("crosscheck") or {"checks": [], "overhead": None, "outside_mean": None}


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if place == 0 else text.rjust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return _MISSING
    if seconds == float("inf"):
        return "∞"
    ms = 1000 * seconds
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def _rounded(value: Any) -> Any:
    """Six significant digits; an edge at infinity is null, which JSON can say."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return None if value == float("inf") else float(f"{value:.6g}")
    return value
