"""Scored records in, ``report.json`` out (contract.md, "Report").

Every number that the records do not allow is None. Rankings, selective answering and calibration
are over records with a label; rates of clusters are over all records with at least two usable
samples. Knows no text and no clusterer.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ucbd.cascade.evaluation import calibrated
from ucbd.cascade.evaluation.decisions import decisions
from ucbd.cascade.evaluation.dependence import ESTIMATOR, dependence
from ucbd.cascade.evaluation.distributions import cluster_counts, histograms
from ucbd.cascade.evaluation.ranking import (
    RESAMPLES,
    Floats,
    Mask,
    accuracy_at,
    aurc,
    auroc,
    auroc_interval,
    roc,
)
from ucbd.cascade.evaluation.rates import Clustered, Rate, homogenization
from ucbd.cascade.evaluation.recorded import CASCADE
from ucbd.cascade.evaluation.score import SIGNALS, ScoredRecord
from ucbd.cascade.evaluation.tally import Partitions, Tally, tallied

SCHEMA = 1
FALSE_ALARMS = tuple(i / 50 for i in range(51))
COVERAGES = tuple(i / 100 for i in range(1, 101))
ENTROPY = "mean_token_entropy"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Json = dict[str, Any]


def report(records: Iterable[ScoredRecord], default_clusterer: str) -> Json:
    """The report on scored records; ``default_clusterer`` defines the single-cluster stratum."""
    return report_on(tallied(records), default_clusterer)


def report_on(tally: Tally, default_clusterer: str, policy: Json | None = None) -> Json:
    """As ``report``, on records that went by, decided by ``policy`` (``decisions.policy_of``).

    ``n`` counts the records with a label, ``n_unlabelled`` the others. One record is one question.
    """
    known = ~np.isnan(tally.right)
    wrong = tally.right[known] == 0
    inside = _single(tally, default_clusterer)[known]
    columns = {name: tally.column(name) for name in signal_names(tally)}
    right = Rate(int((~wrong).sum()), len(wrong))
    cascade = columns[CASCADE][known]
    return {
        "schema": SCHEMA,
        "n": len(wrong),
        "n_unlabelled": tally.n - len(wrong),
        "accuracy": right.value,
        "accuracy_ci": _listed(right.interval),
        "signals": {
            name: _signal(values[known], wrong, inside) for name, values in columns.items()
        },
        "single_cluster": {
            "clusterer": default_clusterer,
            "n": int(inside.sum()),
            "wrong": int(wrong[inside].sum()),
        },
        "homogenization": {
            name: _homogenization(tally, found) for name, found in tally.partitions.items()
        },
        "token_entropy": _token_entropy(tally, default_clusterer),
        "dependence": {"unit": "bits", "estimator": ESTIMATOR, "pairs": _pairs(columns)},
        "false_alarms": list(FALSE_ALARMS),
        "histograms": histograms(tally),
        "policy": policy,
        "decisions": decisions(tally),
        "selective": _selective(cascade, wrong),
        "cost": _cost(tally),
        "calibration": _calibration(cascade, wrong),
        "intervals": f"95 %: percentile bootstrap by question ({RESAMPLES} draws); rates: Wilson",
        "models": tally.models,
        "sampling": tally.sampling,
    }


def signal_names(tally: Tally) -> list[str]:
    """Every signal that a record names, those of the contract first, others by name."""
    return [*SIGNALS, *sorted(set(tally.signals) - set(SIGNALS))]


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
        "aurc": aurc(scores[known], wrong[known]) if area is not None else None,
        "roc": roc(scores[known], wrong[known], FALSE_ALARMS) if area is not None else None,
    }


def _auroc(scores: Floats, wrong: Mask) -> tuple[float | None, list[float] | None, int, int]:
    n, bad = len(wrong), int(wrong.sum())
    if not _two_classes(wrong):
        return None, None, n, bad
    return auroc(scores, wrong), list(auroc_interval(scores, wrong)), n, bad


def _two_classes(wrong: Mask) -> bool:
    return bool(wrong.any() and not wrong.all())


def _single(tally: Tally, clusterer: str) -> Mask:
    """(n,): whether a record's samples, two and more, fell into one cluster."""
    found = tally.partitions.get(clusterer)
    return found.single(tally.n) if found else np.zeros(tally.n, dtype=np.bool_)


def _homogenization(tally: Tally, found: Partitions) -> Json:
    """The rates by one clusterer, each with its interval and its counts."""
    entropies, samples = found.entropies(tally.n), found.samples(tally.n)
    usable = np.flatnonzero(~np.isnan(entropies))
    rates = homogenization(
        [
            Clustered(int(count), float(entropy), None if math.isnan(right) else bool(right == 0))
            for count, entropy, right in zip(
                found.counts(tally.n)[usable], entropies[usable], tally.right[usable], strict=True
            )
        ]
    )
    sizes = samples[samples > 1]
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
        "cluster_counts": cluster_counts(found, tally.n),
        "excluded": int(found.clustered(tally.n).sum()) - len(usable),
        "samples": [int(sizes.min()), int(sizes.max())] if len(sizes) else None,
        "clusterer": found.names,
        "reasoning": "kept" if found.reasoning else "stripped",
    }


def _with_counts(name: str, rate: Rate) -> Json:
    return {
        name: rate.value,
        f"{name}_ci": _listed(rate.interval),
        f"{name}_counts": [rate.hits, rate.n],
    }


def _token_entropy(tally: Tally, clusterer: str) -> Json:
    """Mean token entropy inside and outside the stratum, of right, wrong and unlabelled answers."""
    groups = []
    entropies, right, single = tally.column(ENTROPY), tally.right, _single(tally, clusterer)
    clusters = tally.partitions.get(clusterer, Partitions())
    usable = (clusters.samples(tally.n) > 1) & ~np.isnan(entropies)
    labels = {True: right == 1, False: right == 0, None: np.isnan(right)}
    for one in (True, False):
        for correct, labelled in labels.items():
            values = entropies[usable & labelled & (single == one)]
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
        "signal": ENTROPY,
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


def _cost(tally: Tally) -> Json:
    """Mean cost per request in units of its main call, in all and by stage (skipped costs 0)."""
    totals = tally.costs[~np.isnan(tally.costs)]
    return {
        "relative_mean": math.fsum(totals) / len(totals) if len(totals) else None,
        "by_stage": {name: math.fsum(found) / len(found) for name, found in tally.stages.items()},
        "n": len(totals),
    }


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


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return list(interval) if interval else None
