"""The page's sections in words: what went wrong, the comparison, what it cost, the method.

Reads only the report. Knows no plot.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from ucbd.cascade.diagnosis.sentences import tokens
from ucbd.cascade.evaluation.cells import interval, note, number, percent, section, table

Json = Mapping[str, Any]
_CHANGED = 12  # questions in the comparison's list


def notes(report: Json) -> str:
    """What a reader must know before the numbers; nothing when there is nothing."""
    if not report["notes"]:
        return ""
    items = "".join(f"<li>{escape(words)}</li>" for words in report["notes"])
    return f'<aside class="notes"><ul>{items}</ul></aside>'


def comparison(report: Json) -> str:
    """Against another model, or an earlier diagnosis."""
    found = report.get("comparison")
    if not found:
        return ""
    cells = [
        [
            name,
            percent(one["scr_before"]),
            percent(one["scr_after"]),
            f"{100 * one['shift']:+.1f}{interval(one['shift_ci'], percent=True)}",
            f"{one['p']:.2g}",
            f"{100 * one['detectable']:.1f}",
            f"{number(one['mean_clusters_before'], 2)} → {number(one['mean_clusters_after'], 2)}",
        ]
        for name, one in found["clusterers"].items()
    ]
    header = ["clusterer", "before", "now", "shift, points [95 %]", "p", "detectable", "clusters"]
    verdict = ""
    if found["max_shift"] is not None:
        words = "exceeds" if found["exceeded"] else "is within"
        kind = "wrong" if found["exceeded"] else "right"
        limit = f"{100 * found['max_shift']:g}"
        verdict = f'<p><b class="{kind}">The shift {words} the {limit} points allowed.</b></p>'
    changed = [
        [one["prompt"], f"{one['clusters_before']} → {one['clusters_after']}"]
        for one in found["changed"][:_CHANGED]
    ]
    title = f"Against {found['before']['model']}"
    rest = "".join(note(words) for words in found["notes"])
    body = f"<p>{escape(found['sentence'])}</p>{verdict}{table(header, cells)}{rest}"
    if changed:
        body += (
            f"<details><summary>{len(found['changed'])} questions changed sides</summary>"
            f"{table(['question', 'clusters'], changed)}</details>"
        )
    return section(title, body)


def about(report: Json) -> str:
    """What was asked, what came back, and what it cost."""
    spent, asked = report["spent"], report["asked"]
    cells = [
        ["server", report["server"]],
        ["model", report["model"]],
        ["when", report["created"]],
        ["questions", f"{report['answered']} of {report['planned']}, {report['source']}"],
        ["samples", f"{asked['samples']} each, temperature {asked['temperature']:g}, top-p 1"],
        ["longest answer", f"{asked['max_tokens']} tokens"],
        ["requests", f"{spent['requests']:,}"],
        ["tokens", tokens(spent)],
        ["asked in", f"{spent['seconds']:.0f} s"],
    ]
    counted = [
        [name.replace("_", " "), str(report["answers"]["main"][name]), str(number_)]
        for name, number_ in report["answers"]["samples"].items()
    ]
    return section(
        "What was asked, and what it cost",
        f'<div class="columns">{table(["", ""], cells)}'
        f"{table(['came back', 'answers', 'samples'], counted)}</div>",
    )


def method(report: Json) -> str:
    """What the numbers mean and what they do not say."""
    named = "; ".join(
        name for found in report["homogenization"].values() for name in found["clusterer"]
    )
    return section(
        "How to read this",
        note(
            "The single-cluster rate (SCR) is the share of questions whose samples all fall into "
            "one cluster of meaning. There every score that counts clusters is constant, whether "
            "the answer is right or wrong. One cluster is not certainty, and not error either: "
            "such answers are often better than the others, never all right. The rate belongs to "
            "these questions, this number of samples and this clusterer; do not compare it with "
            "one that has others."
        )
        + note(
            f"Clusterers: {named}. Empty, refused and all-reasoning answers are no cluster; "
            "questions with fewer than two usable samples are left out. Intervals are 95 %: "
            "Wilson's for rates, bootstrap by question for AUROC. Method: M. Liu, arXiv 2603.24124."
        ),
    )
