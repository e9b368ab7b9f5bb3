"""What a signal knows beyond length: rankings within strata, and the gain over length alone.

A long answer, or a long problem, is wrong more often; a score that only follows length adds nothing
to counting. Pure functions over a table; higher scores mean less certain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import log_loss  # type: ignore[import-untyped]
from sklearn.model_selection import StratifiedKFold, cross_val_predict  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from ucbd.cascade.alignment_tax.measures import signal
from ucbd.cascade.alignment_tax.observations import Floats, Mask, Observations
from ucbd.cascade.evaluation.ranking import auroc

FOLDS = 10
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Within:
    """AUROC over pairs of a wrong and a right answer of the same stratum.

    ``pairs`` is how many there are, ``strata`` how many strata have any.
    """

    value: float
    low: float
    high: float
    pairs: int
    strata: int


@dataclass(frozen=True, slots=True)
class Gain:
    """A logistic model of ``wrong`` with length, and the same with a signal added.

    AUROCs are of held-out predictions (tenfold), ``gain`` their difference with its 95 % bootstrap
    interval over questions; ``p`` is of the likelihood-ratio test of the nested models (1 degree of
    freedom, fitted on all).
    """

    length_alone: float
    with_signal: float
    gain: float
    low: float
    high: float
    p: float
    n: int
    wrong: int


def length(table: Observations, name: str) -> Floats:
    """``answer_tokens``, or ``steps``: the number that a word problem's group begins with."""
    if name != "steps":
        return table.number(name)
    starts = [group.split(" ")[0] for group in table.texts["group"]]
    return np.array([float(start) if start.isdigit() else np.nan for start in starts])


def strata(lengths: Floats, most: int = 4) -> NDArray[np.int64]:
    """The stratum of each length: every value its own when there are few, else quarters.

    What has no length is in stratum -1.
    """
    known = ~np.isnan(lengths)
    values = np.unique(lengths[known])
    if len(values) > 2 * most:
        values = np.unique(np.quantile(lengths[known], np.arange(most) / most))
    return np.where(known, np.searchsorted(values, lengths, side="right") - 1, -1)


def within_strata(table: Observations, name: str, lengths: Floats) -> Within | None:
    """How a signal ranks among answers of like length; None without a pair to rank."""
    scores, wrong, of = signal(table, name), table.number("correct") == 0, strata(lengths)
    known = ~np.isnan(scores) & ~np.isnan(table.number("correct")) & (of >= 0)
    scores, wrong, of = scores[known], wrong[known], of[known]
    if len(set(wrong.tolist())) < 2:
        return None
    times = _draws(len(scores))
    above, pairs = np.zeros(len(times)), np.zeros(len(times))
    used = 0
    for stratum in np.unique(of):
        inside = of == stratum
        first, second = times[:, inside & wrong], times[:, inside & ~wrong]
        wins = _wins(scores[inside], wrong[inside])
        above += np.einsum("bi,ij,bj->b", first, wins, second, optimize=True)
        pairs += first.sum(axis=1) * second.sum(axis=1)
        used += bool(first[0].sum() * second[0].sum())
    if not pairs[0]:
        return None
    return Within(float(above[0] / pairs[0]), *_quantiles(above, pairs), int(pairs[0]), used)


def gain(table: Observations, name: str, lengths: Sequence[str]) -> Gain | None:
    """What a signal adds to these lengths; None with fewer than ``FOLDS`` of either class."""
    scores, correct = signal(table, name), table.number("correct")
    alone = np.column_stack([length(table, one) for one in lengths])
    both = np.column_stack([alone, scores])
    known = ~np.isnan(both).any(axis=1) & ~np.isnan(correct)
    alone, both, wrong = alone[known], both[known], correct[known] == 0
    if min(wrong.sum(), (~wrong).sum()) < FOLDS:
        return None
    first, second = _held_out(alone, wrong), _held_out(both, wrong)
    areas = float(auroc(first, wrong)), float(auroc(second, wrong))
    low, high = _interval(first, second, wrong)
    ratio = 2 * (_log_likelihood(both, wrong) - _log_likelihood(alone, wrong))
    p = float(chi2.sf(max(ratio, 0.0), both.shape[1] - alone.shape[1]))
    return Gain(*areas, areas[1] - areas[0], low, high, p, len(wrong), int(wrong.sum()))


def _draws(n: int) -> Floats:
    """How often each of ``n`` questions is drawn: once each first, then ``RESAMPLES`` bootstraps.

    Weights instead of copies, so that thousands of AUROCs are a few products of matrices.
    """
    random = np.random.default_rng(0)
    return np.vstack([np.ones(n), random.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)])


def _wins(scores: Floats, wrong: Mask) -> Floats:
    """(wrong, right): 1 where the wrong answer scores higher, one half where they tie."""
    first, second = scores[wrong][:, None], scores[~wrong][None, :]
    return np.where(first == second, 0.5, first > second)


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, max_iter=1000))


def _held_out(features: Floats, wrong: Mask) -> Floats:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    found: Floats = cross_val_predict(
        _model(), features, wrong, cv=folds, method="decision_function"
    )
    return found


def _log_likelihood(features: Floats, wrong: Mask) -> float:
    fitted = _model().fit(features, wrong)
    return -float(log_loss(wrong, fitted.predict_proba(features)[:, 1], normalize=False))


def _interval(first: Floats, second: Floats, wrong: Mask) -> tuple[float, float]:
    """Of the difference of two AUROCs over the same questions."""
    times = _draws(len(wrong))
    ours, others = times[:, wrong], times[:, ~wrong]
    better = _wins(second, wrong) - _wins(first, wrong)
    pairs = ours.sum(axis=1) * others.sum(axis=1)
    gained = np.einsum("bi,ij,bj->b", ours, better, others, optimize=True)
    return _quantiles(gained, pairs)


def _quantiles(above: Floats, pairs: Floats) -> tuple[float, float]:
    """The middle 95 % of the bootstraps that have a pair."""
    drawn = pairs > 0
    drawn[0] = False  # the questions themselves
    low, high = np.quantile(above[drawn] / pairs[drawn], (0.025, 0.975))
    return float(low), float(high)
