"""Whether a score on [0, 1] can be read as P(wrong): calibration error and Brier score.

Both as the score stands and after Platt scaling, which is fitted on the other folds: what is
measured was never fitted on. Knows no threshold; a well calibrated score can still rank badly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ucbd.cascade.evaluation.ranking import Floats, Mask

BINS = 15
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Bin:
    """``n`` answers of neighbouring scores: P(wrong) as said, and the share that was wrong."""

    said: float
    wrong: float
    n: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Expected calibration error and Brier score of ``bins``, each 0 … 1, lower is better."""

    ece: float
    brier: float
    bins: tuple[Bin, ...]


def measure(said: ArrayLike, wrong: ArrayLike) -> Calibrated:
    """ECE over 15 equal-mass bins, and Brier score, of P(wrong) as ``said``.

    ``ECE = sum n_b/n |said_b - wrong_b|`` (Naeini et al. 2015, with equal mass as in Nguyen and
    O'Connor 2015). A tie that bins cut spreads its errors evenly: expected values, whatever the
    records' order. Below 15 answers each is a bin.

    Raises:
        ValueError: no answers, or a score outside [0, 1].
    """
    p, y = np.asarray(said, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    if not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("calibration is measured on probabilities, at least one")
    order = np.argsort(p, kind="stable")
    _, tie, size = np.unique(p, return_inverse=True, return_counts=True)
    spread = (np.bincount(tie, weights=y) / size)[tie]
    parts = np.array_split(order, min(BINS, len(p)))
    bins = [Bin(float(p[i].mean()), float(spread[i].mean()), len(i)) for i in parts]
    ece = sum(b.n * abs(b.said - b.wrong) for b in bins) / len(p)
    return Calibrated(float(ece), float(np.mean((p - y) ** 2)), tuple(bins))


def platt(scores: ArrayLike, wrong: ArrayLike, seed: int = 0) -> Floats | None:
    """Held-out P(wrong): ``1 / (1 + exp(-(a s + b)))``, a and b fitted on the other four folds.

    Folds are drawn within each class. None with fewer than 5 answers of either class. Targets are
    smoothed as in Platt 1999, so that a score which separates the classes does not run away.
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(wrong, dtype=np.bool_)
    if min(y.sum(), (~y).sum()) < FOLDS:
        return None
    fold = _folds(y, seed)
    held_out = np.empty(len(s))
    for k in range(FOLDS):
        a, b = _fit(s[fold != k], y[fold != k])
        held_out[fold == k] = expit(a * s[fold == k] + b)
    return held_out


def _folds(wrong: Mask, seed: int) -> NDArray[np.int64]:
    """Fold of each answer; each class is dealt out in random order."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(wrong), dtype=np.int64)
    for members in (np.flatnonzero(wrong), np.flatnonzero(~wrong)):
        fold[rng.permutation(members)] = np.arange(len(members)) % FOLDS
    return fold


def _fit(scores: Floats, wrong: Mask) -> tuple[float, float]:
    """Slope and intercept of greatest likelihood, in the scores' own unit."""
    bad, good = int(wrong.sum()), int((~wrong).sum())
    target = np.where(wrong, (bad + 1) / (bad + 2), 1 / (good + 2))
    centre, scale = float(scores.mean()), float(scores.std()) or 1.0
    z = (scores - centre) / scale

    def loss(ab: Floats) -> tuple[float, Floats]:
        logit = ab[0] * z + ab[1]
        residual = expit(logit) - target
        value = float(np.sum(np.logaddexp(0, logit) - target * logit))
        return value, np.array([residual @ z, residual.sum()])

    a, b = minimize(loss, np.array([0.0, np.log(bad / good)]), jac=True, method="BFGS").x
    return float(a) / scale, float(b) - float(a) * centre / scale
