"""Scored records of a diagnosis in, its report out: ``report.json`` as docs/diagnose.md lists it.

The report of an evaluation (``evaluation.report``) with what a diagnosis adds: rates by kind and
language, against the number of samples and against temperature, bounds on token entropy inside and
outside the stratum, the questions themselves, and one sentence. Knows no server and no HTML.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ucbd.cascade.diagnosis.questions import KINDS, kind, language
from ucbd.cascade.diagnosis.sentences import headline
from ucbd.cascade.diagnosis.subsampling import mean_share, single_with
from ucbd.cascade.entropy import EntropySummary
from ucbd.cascade.evaluation.rates import Rate
from ucbd.cascade.evaluation.report import QUANTILES, report_on
from ucbd.cascade.evaluation.score import Clusters, ScoredRecord, token_entropy
from ucbd.cascade.evaluation.tally import tallied
from ucbd.cascade.reasoning import final_answer
from ucbd.models.generation import Missing

SCHEMA = "ucbd-diagnosis-1"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """What was asked and came back.

    ``default`` names the clusterer that defines the stratum. ``samples`` is N. ``heated`` has by
    temperature the same questions with a few samples each, the usual temperature among them.
    ``planned`` counts the questions that there are, answered or not.
    """

    records: Sequence[ScoredRecord]
    heated: Mapping[float, Sequence[ScoredRecord]]
    default: str
    samples: int
    planned: int


def summary(found: Diagnosed, about: Mapping[str, Any]) -> Json:
    """The report; ``about`` says whose answers they are, how they were got and what they cost."""
    names = list(dict.fromkeys(name for record in found.records for name in record.clusters))
    report = report_on(tallied(found.records), found.default)
    report["token_entropy"]["bounds"] = _entropy_bounds(found.records, found.default)
    report |= {
        "schema": SCHEMA,
        **about,
        "clusterer": found.default,
        "answered": len(found.records),
        "planned": found.planned,
        "by_kind": _grouped(found.records, names, kind, KINDS),
        "by_language": _grouped(found.records, names, language, ()),
        "by_samples": {name: _by_samples(found.records, name, found.samples) for name in names},
        "by_temperature": {name: _by_temperature(found.heated, name) for name in names},
        "answers": {
            "main": _endings(_one(record.answer) for record in found.records),
            "samples": _endings(
                _one(sample) for record in found.records for sample in record.samples or ()
            ),
        },
        "questions": [_question(record) for record in found.records],
    }
    return report | {"sentence": headline(report)}


def one_cluster(found: Clusters) -> bool | None:
    """Whether all usable samples are one cluster; None below two of them."""
    return found.count == 1 if len(found.labels) > 1 else None


def sizes(found: Clusters) -> list[int]:
    """Sizes of the clusters, largest first."""
    return sorted(Counter(found.labels).values(), reverse=True)


def _grouped(
    records: Sequence[ScoredRecord],
    names: Sequence[str],
    group: Callable[[ScoredRecord], str | None],
    order: Sequence[str],
) -> Json:
    """Single-cluster rates by clusterer and group: as ``order`` has them, then as they come."""
    groups = dict.fromkeys(name for record in records if (name := group(record)) is not None)
    known = [name for name in order if name in groups]
    known += [name for name in groups if name not in order]
    return {
        name: {one: _rate([r for r in records if group(r) == one], name) for one in known}
        for name in names
    }


def _rate(records: Iterable[ScoredRecord], name: str) -> Json:
    seen = [one_cluster(record.clusters[name]) for record in records if name in record.clusters]
    usable = [one for one in seen if one is not None]
    rate = Rate(sum(usable), len(usable))
    return {"scr": rate.value, "scr_ci": rate.interval, "single": rate.hits, "n": rate.n}


def _by_samples(records: Sequence[ScoredRecord], name: str, samples: int) -> list[Json]:
    """The rate at 2 … N samples, of the questions that have all N."""
    whole = [
        sizes(record.clusters[name])
        for record in records
        if name in record.clusters and len(record.clusters[name].labels) == samples
    ]
    if not whole:
        return []
    points = {n: mean_share([single_with(one, n) for one in whole]) for n in range(2, samples + 1)}
    return [
        {"samples": n, "scr": point.value, "scr_ci": point.interval, "n": point.n}
        for n, point in points.items()
    ]


def _by_temperature(heated: Mapping[float, Sequence[ScoredRecord]], name: str) -> list[Json]:
    return [
        {"temperature": temperature, **_rate(records, name)}
        for temperature, records in sorted(heated.items())
    ]


def _entropy_bounds(records: Sequence[ScoredRecord], default: str) -> list[Json]:
    """Token entropy of the answers inside and outside the stratum: bounds, equal where exact."""
    found: dict[bool, list[EntropySummary]] = {True: [], False: []}
    for record in records:
        single = one_cluster(record.clusters[default]) if default in record.clusters else None
        summed = token_entropy(record)
        if single is not None and not isinstance(summed, Missing):
            found[single].append(summed)
    return [
        {
            "clusters": "one" if single else "several",
            "n": len(some),
            "exact": all(one.exact for one in some),
            "lower": _spread([one.lower for one in some]),
            "upper": _spread([one.upper for one in some if one.upper is not None]),
        }
        for single, some in found.items()
        if some
    ]


def _spread(values: Sequence[float]) -> Json | None:
    if not values:
        return None
    quantiles = np.quantile(values, QUANTILES).tolist()
    return {"mean": float(np.mean(values)), "quantiles": quantiles, "n": len(values)}


def _endings(found: Iterable[str]) -> Json:
    """How many answers are of use, and how many are not, by why."""
    counts = Counter(found)
    return {"whole": 0, "cut_off": 0, "empty": 0, "refused": 0, "only_reasoning": 0} | counts


def _one(said: Any) -> str:
    """What an answer or a sample is worth: ``cut_off`` ones are used, and said to be."""
    if said.ended == "refused":
        return "refused"
    if final_answer(said.text):
        return "cut_off" if said.ended == "length" else "whole"
    return "only_reasoning" if said.reasoned or said.text.strip() else "empty"


def _question(record: ScoredRecord) -> Json:
    """A question as a later diagnosis, or a canary set, compares it."""
    summed = token_entropy(record)
    entropy = (
        None
        if isinstance(summed, Missing)
        else {"lower": summed.lower, "upper": summed.upper, "exact": summed.exact}
    )
    return {
        "id": record.id,
        "prompt": record.prompt,
        "kind": kind(record),
        "language": language(record),
        "answer": final_answer(record.answer.text) if record.answer else None,
        "correct": record.correct,
        "clusters": {
            name: {
                "one": one_cluster(found),
                "count": found.count if len(found.labels) > 1 else None,
                "samples": len(found.labels),
                "sizes": sizes(found),
            }
            for name, found in record.clusters.items()
        },
        "says": _says(record),
        "token_entropy": entropy,
    }


def _says(record: ScoredRecord) -> list[Json]:
    """Every different text among the samples and how often it came, the commonest first."""
    texts = Counter(text for sample in record.samples or () if (text := final_answer(sample.text)))
    return [{"text": text, "times": times} for text, times in texts.most_common()]
