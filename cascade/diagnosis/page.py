"""``report.html``: a diagnosis as one page that needs nothing beside itself; its top is a slide.

Reads only the report, so that page and ``report.json`` cannot differ. What models and files say is
escaped, whatever it is. Knows no statistics.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ucbd.cascade.diagnosis.page_cards import collapsed, scattered
from ucbd.cascade.diagnosis.page_plots import (
    by_clusterer,
    by_kind,
    by_samples,
    by_temperature,
    token_entropy,
)
from ucbd.cascade.diagnosis.page_style import STYLE
from ucbd.cascade.diagnosis.page_words import about, comparison, method, notes
from ucbd.cascade.diagnosis.sentences import because, blind, short_share, still_ranks
from ucbd.cascade.diagnosis.waffle import waffle
from ucbd.cascade.evaluation.cells import (
    document,
    interval,
    note,
    number,
    percent,
    rate,
    section,
    table,
)

Json = Mapping[str, Any]


def page(report: Json) -> str:
    """The report as HTML: self-contained, light or dark as the reader's system is."""
    body = "".join(
        [
            _slide(report),
            notes(report),
            comparison(report),
            _columns([by_clusterer(report), by_kind(report)]),
            _columns([by_samples(report), by_temperature(report)]),
            _columns([token_entropy(report), _ranking(report)]),
            collapsed(report),
            scattered(report),
            _by_language(report),
            about(report),
            method(report),
        ]
    )
    return document(f"Diagnosis of {report['model']}", STYLE, body)


def _slide(report: Json) -> str:
    found = report["homogenization"].get(report["clusterer"]) or {}
    big = short_share(found["scr"]) if found.get("n") else "–"
    hidden = " ".join(words for words in (blind(report), still_ranks(report)) if words)
    plot = waffle(report["questions"], report["clusterer"])
    key = '<span class="key one"></span>all samples say one thing'
    key += '<span class="key several"></span>they differ'
    if any(question["correct"] is False for question in report["questions"]):
        key += '<span class="key wrong">×</span>the answer is wrong'
    return (
        '<header class="slide"><div class="said">'
        f'<p class="eyebrow">{escape(report["model"])}</p><p class="big">{escape(big)}</p>'
        f"<h1>{escape(report['sentence'])}</h1>"
        + (f'<p class="hidden">{escape(hidden)}</p>' if hidden else "")
        + f'<p class="note">{escape(because(report))}</p></div>'
        f'<figure class="questions">{plot}<figcaption>{key}</figcaption></figure></header>'
    )


def _columns(parts: Sequence[str]) -> str:
    there = [part for part in parts if part]
    return f'<div class="columns">{"".join(there)}</div>' if there else ""


def _ranking(report: Json) -> str:
    """With labels: what is wrong where, and which signal still ranks inside the stratum."""
    found = report["homogenization"].get(report["clusterer"])
    if not found or not report["n"]:
        return ""
    shares = [
        [title, rate(found, name)]
        for title, name in (
            ("wrong, where all samples agree", "wrong_given_one"),
            ("wrong, where they differ", "wrong_given_several"),
            ("blind mass: wrong answers where all agree", "blind_mass"),
        )
    ]
    signals = [
        [words, number(one["auroc"]) + interval(one["auroc_ci"]), _inside(one)]
        for name, words in (
            ("semantic_entropy", "semantic entropy"),
            ("mean_token_entropy", "token entropy"),
            ("mean_token_entropy(lower)", "token entropy, lower bound"),
        )
        if (one := report["signals"].get(name)) and one["auroc"] is not None
    ]
    text = (
        f"{report['n']} questions have a reference answer and are judged by its words: accuracy "
        f"{percent(report['accuracy'])}{interval(report['accuracy_ci'], percent=True)}."
    )
    body = note(text) + table(["share [95 %]", ""], shares)
    if signals:
        body += table(["tells wrong answers: AUROC", "everywhere", "where all agree"], signals)
    return section("Where the errors are", body)


def _inside(one: Json) -> str:
    if one["auroc_single_cluster"] is None:
        return "–"
    return number(one["auroc_single_cluster"]) + interval(one["auroc_single_cluster_ci"])


def _by_language(report: Json) -> str:
    by = report["by_language"].get(report["clusterer"]) or {}
    if len(by) < 2:
        return ""
    cells = [
        [name, percent(one["scr"]) + interval(one["scr_ci"], percent=True), str(one["n"])]
        for name, one in by.items()
    ]
    body = note("Few questions each: wide intervals.") + table(
        ["language", "SCR [95 %]", "n"], cells
    )
    return section(
        "By language", f"<details><summary>{len(by)} languages</summary>{body}</details>"
    )
