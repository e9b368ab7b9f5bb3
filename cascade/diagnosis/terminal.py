"""A diagnosis as text for a terminal: the sentence, one table, what to know, what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from ucbd.cascade.diagnosis.sentences import because, blind, still_ranks, tokens

Json = Mapping[str, Any]


def text(report: Json) -> str:
    """The report in some thirty lines."""
    lines = [report["sentence"], because(report)]
    lines += [words for words in (blind(report), still_ranks(report)) if words]
    lines += ["", *_table(report)]
    if found := report.get("comparison"):
        lines += ["", f"Against {found['before']['model']}: {found['sentence']}", *found["notes"]]
    if report["notes"]:
        lines += ["", *(f"Note: {words}" for words in report["notes"])]
    spent = report["spent"]
    lines += [
        "",
        f"{report['answered']} of {report['planned']} questions, {spent['requests']:,} requests, "
        f"{tokens(spent)}, {spent['seconds']:.0f} s.",
    ]
    return "\n".join(lines)


def _table(report: Json) -> list[str]:
    """Single-cluster rates: kinds down, clusterers across."""
    names = [name for name, one in report["homogenization"].items() if one["scr"] is not None]
    if not names:
        return []
    kinds = list(report["by_kind"][names[0]])
    rows = [["one cluster among all samples", *names]]
    rows += [
        [kind.replace("_", " "), *(_cell(report["by_kind"][name][kind]) for name in names)]
        for kind in kinds
    ]
    rows.append(["all questions", *(_cell(report["homogenization"][name]) for name in names)])
    return _aligned(rows)


def _cell(one: Json) -> str:
    if one["scr"] is None:
        return "–"
    low, high = one["scr_ci"]
    return f"{100 * one['scr']:5.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
