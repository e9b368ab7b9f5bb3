"""Scored records in, ``report.json`` out (contract.md, "Report").

Every number that the records do not allow is None. Rankings, selective answering and calibration
are over records with a label; rates of clusters are over all records with at least two usable
samples. Knows no text and no clusterer.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ucbd.cascade.evaluation import calibrated
from ucbd.cascade.evaluation.dependence import ESTIMATOR, dependence
from ucbd.cascade.evaluation.ranking import (
    RESAMPLES,
    Floats,
    Mask,
    accuracy_at,
    aurc,
    auroc,
    auroc_interval,
)
from ucbd.cascade.evaluation.rates import Clustered, Rate, homogenization
from ucbd.cascade.evaluation.recorded import CASCADE
from ucbd.cascade.evaluation.score import SIGNALS, ScoredRecord

COVERAGES = tuple(i / 100 for i in range(1, 101))
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Json = dict[str, Any]


def report(records: Sequence[ScoredRecord], default_clusterer: str) -> Json:
    """The report on scored records; ``default_clusterer`` defines the single-cluster stratum.

    ``n`` counts the records with a label, ``n_unlabelled`` the others. One record is one question.
    """
    labelled = [record for record in records if record.correct is not None]
    wrong = np.array([not record.correct for record in labelled], dtype=np.bool_)
    inside = np.array([_single(record, default_clusterer) for record in labelled], dtype=np.bool_)
    names = signal_names(records)
    right = Rate(int((~wrong).sum()), len(wrong))
    cascade = column(labelled, CASCADE)
    return {
        "n": len(labelled),
        "n_unlabelled": len(records) - len(labelled),
        "accuracy": right.value,
        "accuracy_ci": _listed(right.interval),
        "signals": {name: _signal(column(labelled, name), wrong, inside) for name in names},
        "single_cluster": {
            "clusterer": default_clusterer,
            "n": int(inside.sum()),
            "wrong": int(wrong[inside].sum()),
        },
        "homogenization": {
            name: _homogenization(records, name) for name in clusterer_names(records)
        },
        "token_entropy": _token_entropy(records, default_clusterer),
        "dependence": {
            "unit": "bits",
            "estimator": ESTIMATOR,
            "pairs": _pairs({name: column(records, name) for name in names}),
        },
        "selective": _selective(cascade, wrong),
        "cost": _cost(records),
        "calibration": _calibration(cascade, wrong),
        "intervals": f"95 %: percentile bootstrap by question ({RESAMPLES} draws); rates: Wilson",
        "models": _distinct(record.model for record in records),
        "sampling": _distinct(_plain(record.sampling) for record in records),
    }


def signal_names(records: Iterable[ScoredRecord]) -> list[str]:
    """Every signal that a record names, those of the contract first, others by name."""
    found = {name for record in records for name in record.scores} | set(SIGNALS)
    return [*SIGNALS, *sorted(found - set(SIGNALS))]


def clusterer_names(records: Iterable[ScoredRecord]) -> list[str]:
    """Every clusterer of the records, in the order in which they first appear."""
    return list(dict.fromkeys(name for record in records for name in record.clusters))


def column(records: Sequence[ScoredRecord], name: str) -> Floats:
    """One signal of every record; NaN where it is None, missing or not finite."""
    values = [record.scores.get(name) for record in records]
    return np.array([_finite(value) for value in values], dtype=np.float64)


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.nan


def _signal(scores: Floats, wrong: Mask, inside: Mask) -> Json:
    """How one signal ranks: all records that have it, and those of the stratum."""
    known = ~np.isnan(scores)
    area, interval, n, n_wrong = _auroc(scores[known], wrong[known])
    within = known & inside
    area_in, interval_in, n_in, wrong_in = _auroc(scores[within], wrong[within])
    return {
        "auroc": area,
        "auroc_ci": interval,
        "n": n,
        "wrong": n_wrong,
        "auroc_single_cluster": area_in,
        "auroc_single_cluster_ci": interval_in,
        "n_single_cluster": n_in,
        "wrong_single_cluster": wrong_in,
        "aurc": aurc(scores[known], wrong[known]) if _two_classes(wrong[known]) else None,
    }


def _auroc(scores: Floats, wrong: Mask) -> tuple[float | None, list[float] | None, int, int]:
    n, bad = len(wrong), int(wrong.sum())
    if not _two_classes(wrong):
        return None, None, n, bad
    return auroc(scores, wrong), list(auroc_interval(scores, wrong)), n, bad


def _two_classes(wrong: Mask) -> bool:
    return bool(wrong.any() and not wrong.all())


def _single(record: ScoredRecord, clusterer: str) -> bool:
    found = record.clusters.get(clusterer)
    return found is not None and found.count == 1 and len(found.labels) > 1


def _homogenization(records: Sequence[ScoredRecord], name: str) -> Json:
    """The rates by one clusterer, each with its interval and its counts."""
    clusters = [(record, record.clusters[name]) for record in records if name in record.clusters]
    usable = [
        Clustered(found.count, entropy, None if record.correct is None else not record.correct)
        for record, found in clusters
        if (entropy := found.semantic_entropy) is not None
    ]
    rates = homogenization(usable)
    sizes = sorted({len(found.labels) for _, found in clusters if len(found.labels) > 1})
    return {
        "scr": rates.single.value,
        "scr_ci": _listed(rates.single.interval),
        "mean_clusters": rates.mean_clusters,
        "mean_semantic_entropy": rates.mean_semantic_entropy,
        **_with_counts("wrong_given_one", rates.wrong_given_one),
        **_with_counts("wrong_given_several", rates.wrong_given_several),
        **_with_counts("blind_mass", rates.blind_mass),
        "n": rates.single.n,
        "single": rates.single.hits,
        "excluded": len(clusters) - len(usable),
        "samples": [sizes[0], sizes[-1]] if sizes else None,
        "clusterer": _distinct(found.clusterer for _, found in clusters),
        "reasoning": "kept" if any(found.reasoning for _, found in clusters) else "stripped",
    }


def _with_counts(name: str, rate: Rate) -> Json:
    return {
        name: rate.value,
        f"{name}_ci": _listed(rate.interval),
        f"{name}_counts": [rate.hits, rate.n],
    }


def _token_entropy(records: Sequence[ScoredRecord], clusterer: str) -> Json:
    """Mean token entropy inside and outside the stratum, of right, wrong and unlabelled answers."""
    groups = []
    for one in (True, False):
        for correct in (True, False, None):
            found = [
                record
                for record in records
                if record.correct is correct
                and clusterer in record.clusters
                and len(record.clusters[clusterer].labels) > 1
                and _single(record, clusterer) is one
            ]
            values = column(found, "mean_token_entropy")
            values = values[~np.isnan(values)]
            if len(values):
                groups.append(
                    {
                        "clusters": "one" if one else "several",
                        "correct": correct,
                        "n": len(values),
                        "mean": float(values.mean()),
                        "quantiles": np.quantile(values, QUANTILES).tolist(),
                    }
                )
    return {
        "signal": "mean_token_entropy",
        "unit": "nats",
        "clusterer": clusterer,
        "levels": list(QUANTILES),
        "groups": groups,
    }


def _pairs(columns: Mapping[str, Floats]) -> list[Json]:
    """Dependence of every two signals that some record has."""
    present = [name for name, values in columns.items() if not np.isnan(values).all()]
    pairs = []
    for i, one in enumerate(present):
        for other in present[i + 1 :]:
            found = dependence(columns[one], columns[other])
            pairs.append(
                {
                    "signals": [one, other],
                    "r": found.r,
                    "mutual_information": found.mutual_information,
                    "n": found.n,
                }
            )
    return pairs


def _selective(cascade: Floats, wrong: Mask) -> list[Json]:
    """Accuracy of the least uncertain answers at every hundredth of coverage; empty without any."""
    known = ~np.isnan(cascade)
    found = accuracy_at(cascade[known], wrong[known], COVERAGES)
    return [
        {"coverage": coverage, "accuracy": accuracy}
        for coverage, accuracy in zip(COVERAGES, found, strict=True)
        if accuracy is not None
    ]


def _cost(records: Sequence[ScoredRecord]) -> Json:
    """Mean cost per request in units of its main call, in all and by stage (skipped costs 0)."""
    totals: list[float] = []
    by_stage: dict[str, list[float]] = {}
    for record in records:
        costs = {str(s["name"]): float(s.get("cost") or 0.0) for s in _stages(record)}
        if costs:
            totals.append(1 + math.fsum(costs.values()))
        for name, cost in costs.items():
            by_stage.setdefault(name, []).append(cost)
    return {
        "relative_mean": math.fsum(totals) / len(totals) if totals else None,
        "by_stage": {name: math.fsum(costs) / len(costs) for name, costs in by_stage.items()},
        "n": len(totals),
    }


def _stages(record: ScoredRecord) -> list[Mapping[str, Any]]:
    """The record's stages as plain mappings; none when nobody ran a cascade."""
    return [_plain(stage) for stage in getattr(record, "stages", None) or ()]


def _calibration(cascade: Floats, wrong: Mask) -> Json:
    """ECE and Brier score of ``cascade`` read as P(wrong): as it stands, and after Platt scaling.

    The top level is the score as it stands, which nothing here was fitted on.
    """
    known = ~np.isnan(cascade)
    said, bad = cascade[known], wrong[known]
    readable = _two_classes(bad) and bool(((said >= 0) & (said <= 1)).all())
    raw = calibrated.measure(said, bad) if readable else None
    held_out = calibrated.platt(said, bad) if readable else None
    scaled = calibrated.measure(held_out, bad) if held_out is not None else None
    return {
        "signal": CASCADE,
        **_calibrated(raw),
        "platt": {"folds": calibrated.FOLDS, **_calibrated(scaled)},
        "n": int(known.sum()),
    }


def _calibrated(found: calibrated.Calibrated | None) -> Json:
    bins = found.bins if found else ()
    return {
        "ece": found.ece if found else None,
        "brier": found.brier if found else None,
        "bins": [{"said": b.said, "wrong": b.wrong, "n": b.n} for b in bins],
    }


def _plain(value: Any) -> Any:
    """A pydantic model as a mapping; anything else as it is."""
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _distinct(values: Iterable[Any]) -> list[Any]:
    """What there is of the values, each once, in order; None left out."""
    found: list[Any] = []
    for value in values:
        if value is not None and value not in found:
            found.append(value)
    return found


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return list(interval) if interval else None
