"""Fitting: P(wrong) for every set of evidence, where to aim, and where no further stage is needed.

Logistic regression and isotonic regression are scikit-learn's. Everything here may look at labels,
so nothing here certifies anything: that is done on other records (``certify``).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

from ucbd.cascade.calibration.certify import at, p_value
from ucbd.cascade.calibration.evidence import Evidence
from ucbd.cascade.calibration.probability import (
    EvidenceModel,
    Isotonic,
    Platt,
    logit,
    model_for,
)
from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.ladder import LADDER, runs

LEAST = 20
"""Right and wrong answers, each, that a model takes; a set of evidence with fewer has none.
The stratum's own rate takes as many together."""

_FOLDS = 5
_DIGITS = 6


def fit_models(evidence: Evidence) -> tuple[EvidenceModel, ...]:
    """A model for each set of evidence that the cascade can stop with, on any rung.

    A stage whose weight comes out below 0 would read doubt as certainty: it is left out, and the
    set's model is that of the others.
    """
    found: dict[tuple[tuple[str, ...], bool], EvidenceModel] = {}
    for stages, homogenized in _sets(evidence):
        known = evidence.measured(stages, homogenized=homogenized)
        if stages:
            model = _fitted(evidence, stages, homogenized, known)
        else:
            model = _rate(evidence.wrong[known])
        if model is not None:
            found[model.stages, homogenized] = model
    return tuple(found.values())


def probabilities(
    evidence: Evidence, models: Sequence[EvidenceModel], stages: Iterable[str]
) -> Floats:
    """(n,): P(wrong) by what these stages found; NaN where no model reads any of it."""
    places = [(stage, evidence.stages.index(stage)) for stage in stages]
    sampled = any(stage == "sampling" for stage, _ in places)
    out = np.full(len(evidence), math.nan)
    for i, row in enumerate(evidence.uncertainties):
        available = {s: float(row[place]) for s, place in places if not math.isnan(row[place])}
        homogenized = sampled and bool(evidence.homogenized[i])
        model = model_for(models, available, homogenized=homogenized)
        if model is not None:
            out[i] = model.wrong_probability(available)
    return out


def aim(scores: Floats, wrong: Mask, alpha: float, delta: float) -> float | None:
    """The loosest threshold that these records would certify, had they not been fitted to.

    Where the certified one will be, about. None where no threshold would pass.
    """
    passing = None
    for threshold in np.unique(scores[np.isfinite(scores)]):
        one = at(float(threshold), scores, wrong)
        if p_value(one.wrong, one.answered, alpha) <= delta:
            passing = float(threshold)
    return passing


@dataclass(frozen=True, slots=True)
class Exits:
    """Combined uncertainties below ``accept`` or above ``high``: no further stage is needed."""

    accept: float | None
    high: float | None


def exits(early: Floats, stands: Mask, error: float) -> Exits:
    """Where all stages would decide otherwise with a probability of at most ``error``, below 0.5.

    ``early`` (n,) is P(wrong) by the stages up to one, ``stands`` (n,) whether the answer does by
    all of them. How the one depends on the other is an isotonic regression.
    """
    known = ~np.isnan(early)
    if known.sum() < LEAST:
        return Exits(None, None)
    falling = IsotonicRegression(increasing=False).fit(early[known], stands[known])
    at, share = falling.X_thresholds_, falling.y_thresholds_
    sure, lost = at[share >= 1 - error], at[share <= error]
    return Exits(
        accept=float(sure.max()) if len(sure) else None,
        high=float(lost.min()) if len(lost) else None,
    )


def _sets(evidence: Evidence) -> list[tuple[tuple[str, ...], bool]]:
    """Every set of stages that some record has after a stage of some rung, and the stratum's."""
    found: dict[tuple[tuple[str, ...], bool], None] = {}
    patterns = np.unique(
        np.column_stack([~np.isnan(evidence.uncertainties), evidence.homogenized])[
            ~evidence.unasked
        ],
        axis=0,
    )
    for *present, homogenized in patterns:
        for rung in LADDER:
            names = [
                stage
                for stage, there in zip(evidence.stages, present, strict=True)
                if there and runs(stage, rung)
            ]
            for length in range(1, len(names) + 1):
                found[tuple(names[:length]), False] = None
            if homogenized and rung == "all":
                found[tuple(names), True] = None
    return list(found)


def _fitted(
    evidence: Evidence, stages: tuple[str, ...], homogenized: bool, known: Mask
) -> EvidenceModel | None:
    wrong = evidence.wrong[known]
    if min(wrong.sum(), (~wrong).sum()) < LEAST:
        return None
    while stages:
        columns = [evidence.stages.index(stage) for stage in stages]
        logits = np.vectorize(logit)(evidence.uncertainties[known][:, columns])
        regression = LogisticRegression(max_iter=2000).fit(logits, wrong)
        weights = regression.coef_[0]
        if (weights >= 0).all():
            z = regression.decision_function(logits)
            return EvidenceModel(
                stages=stages,
                homogenized=homogenized,
                weights=tuple(_rounded(weights)),
                intercept=_rounded(regression.intercept_)[0],
                map=fit_map(z, wrong),
                answers=len(wrong),
                wrong=int(wrong.sum()),
            )
        stages = tuple(s for s, weight in zip(stages, weights, strict=True) if weight >= 0)
    return None


def _rate(wrong: Mask) -> EvidenceModel | None:
    """The stratum's own error rate, by the rule of succession: no 0 of few answers.

    A rate takes no two classes, only enough answers.
    """
    if len(wrong) < 2 * LEAST:
        return None
    rate = (wrong.sum() + 1) / (len(wrong) + 2)
    return EvidenceModel(
        stages=(),
        homogenized=True,
        weights=(),
        intercept=_rounded([math.log(rate / (1 - rate))])[0],
        map=Platt(slope=1, intercept=0),
        answers=len(wrong),
        wrong=int(wrong.sum()),
    )


def fit_map(z: Floats, wrong: Mask) -> Platt | Isotonic:
    """Platt's or the isotonic map of logits ``z``, whichever has the lower held-out Brier score."""
    maps: tuple[Callable[[Floats, Mask], Platt | Isotonic], ...] = (_platt, _isotonic)
    squares = [0.0 for _ in maps]
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    for known, new in folds.split(z, wrong):
        for i, fit in enumerate(maps):
            fitted = fit(z[known], wrong[known])
            said = np.array([fitted.probability(float(one)) for one in z[new]])
            squares[i] += float(((said - wrong[new]) ** 2).sum())
    return maps[int(np.argmin(squares))](z, wrong)


def _platt(z: Floats, wrong: Mask) -> Platt:
    """Targets are smoothed as in Platt 1999, so that a score which separates does not run away."""
    bad, good = int(wrong.sum()), int((~wrong).sum())
    target = np.where(wrong, (bad + 1) / (bad + 2), 1 / (good + 2))
    # A target between the classes is both, each with its share of the weight.
    both = np.concatenate([z, z])[:, None]
    labels = np.concatenate([np.ones(len(z)), np.zeros(len(z))])
    shares = np.concatenate([target, 1 - target])
    fitted = LogisticRegression(C=1e6, max_iter=2000).fit(both, labels, sample_weight=shares)
    slope, intercept = _rounded([fitted.coef_[0][0], fitted.intercept_[0]])
    return Platt(slope=max(0.0, slope), intercept=intercept)


def _isotonic(z: Floats, wrong: Mask) -> Isotonic:
    """Centred: straight between the middles of the steps, so that it ties no answers (Oron and
    Flournoy 2017, arXiv 1701.05964). A step of n answers without an error says 1 / (n + 2), and
    never that there can be none; so the other way round."""
    said = IsotonicRegression(y_min=0, y_max=1).fit_transform(z, wrong)
    levels, step = np.unique(said, return_inverse=True)
    size = np.bincount(step)
    middles = np.bincount(step, weights=z) / size
    if levels[0] == 0:
        levels[0] = min([1 / (size[0] + 2), *levels[1:2] / 2])
    if levels[-1] == 1:
        levels[-1] = 1 - min([1 / (size[-1] + 2), *(1 - levels[-2:-1]) / 2])
    points = dict(zip(_rounded(middles), _rounded(levels), strict=True))
    return Isotonic(z=tuple(points), p=tuple(points.values()))


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]
