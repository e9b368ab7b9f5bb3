"""The page's cards: what the model says where it says one thing, and where another each time.

Reads only the report. Whatever a model or a file says is escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.evaluation.cells import note, section

Json = Mapping[str, Any]
_SHOWN = 8  # questions in each list, before the rest is folded away


def collapsed(report: Json) -> str:
    """The questions with one answer, as cards."""
    name = report["clusterer"]
    some = [one for one in report["questions"] if (one["clusters"].get(name) or {}).get("one")]
    some.sort(key=lambda one: (one["correct"] is not False, -_entropy(one)))
    title = "One answer, every time"
    lead = (
        "Every sample says the same. Wrong ones first, then by how undecided the tokens were."
        if any(one["correct"] is False for one in some)
        else "Every sample says the same; by how undecided the tokens were."
    )
    return _cards(title, lead, some)


def scattered(report: Json) -> str:
    """The questions with the most different answers, as cards."""
    name = report["clusterer"]
    some = [
        one for one in report["questions"] if (one["clusters"].get(name) or {}).get("one") is False
    ]
    some.sort(key=lambda one: -one["clusters"][name]["count"])
    return _cards("Something else every time", "The most different answers first.", some)


def _cards(title: str, lead: str, questions: Sequence[Json]) -> str:
    if not questions:
        return ""
    cards = [_card(question) for question in questions]
    shown = f'<div class="cards">{"".join(cards[:_SHOWN])}</div>'
    if rest := cards[_SHOWN:]:
        shown += (
            f"<details><summary>{len(rest)} more</summary>"
            f'<div class="cards">{"".join(rest)}</div></details>'
        )
    return section(f"{title}: {len(questions)} questions", note(lead) + shown)


def _card(question: Json) -> str:
    right = {True: '<b class="right">right</b>', False: '<b class="wrong">wrong</b>'}
    entropy = question["token_entropy"]
    facts = [
        escape((question["kind"] or "").replace("_", " ")),
        f"token entropy {'' if entropy['exact'] else '≥ '}{entropy['lower']:.2f}"
        if entropy
        else "",
        right.get(question["correct"], ""),
    ]
    shown = [one["text"] for one in question["says"][:4]]
    said = "".join(
        f'<li dir="auto"><span class="times">{one["times"]}×</span> {escape(one["text"])}</li>'
        for one in question["says"][:4]
    )
    more = len(question["says"]) - len(shown)
    said += f'<li class="more">and {more} more</li>' if more > 0 else ""
    if question["answer"] and question["answer"] not in shown:
        said += f'<li class="more" dir="auto">greedy: {escape(question["answer"])}</li>'
    return (
        f'<article><h3 dir="auto">{escape(question["prompt"])}</h3><ul>{said}</ul>'
        f'<p class="facts">{" · ".join(fact for fact in facts if fact)}</p></article>'
    )


def _entropy(question: Json) -> float:
    entropy = question["token_entropy"]
    return float(entropy["lower"]) if entropy else 0.0
