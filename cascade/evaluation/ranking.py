"""How well a score ranks wrong answers above right ones: AUROC, its interval, risk at coverage.

Scores are oriented so that higher means less certain; ``wrong`` is a mask of the same length. Pure
functions over arrays without gaps: which records have the score, and a label, is the caller's to
say. Knows no signal and no record.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ranked = tuple[ArrayLike, ArrayLike]
"""Scores, and which answers are wrong."""

RESAMPLES = 1000
_CELLS = 4_000_000  # entries of one block of resamples: 4 MB of counts, 32 MB of their sums


def auroc(scores: ArrayLike, wrong: ArrayLike) -> float:
    """P(a wrong answer scores above a right one), a tie counting half: 0 … 1, 0.5 = no ranking.

    Raises:
        ValueError: only one class, different lengths, or a score that is NaN.
    """
    one = np.ones((1, len(np.asarray(scores))))
    return float(_weighted_auroc(*_checked(scores, wrong), one.T)[0])


def auroc_interval(
    scores: ArrayLike, wrong: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of ``auroc``, over questions: one record is one question.

    Questions are drawn with replacement, both classes together; draws that happen to hold one
    class have no AUROC and are left out. Of a perfect ranking it has no width: resampling cannot
    see what was not drawn. The same arguments give the same interval.

    Raises:
        ValueError: as ``auroc``.
    """
    return _interval(_resampled(*_checked(scores, wrong), resamples, seed))


def auroc_difference(
    one: ArrayLike, other: ArrayLike, wrong: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """AUROC of ``one`` minus that of ``other`` on the same questions, with its 95 % interval.

    Paired: both are computed on the same draws of questions, as ``auroc_interval`` draws them.

    Raises:
        ValueError: as ``auroc``.
    """
    return auroc_difference_of((one, wrong), (other, wrong), resamples, seed)


def auroc_difference_of(
    one: Ranked, other: Ranked, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """As ``auroc_difference``, where each has its own wrong answers to the same questions.

    Raises:
        ValueError: as ``auroc``.
    """
    first, second = _checked(*one), _checked(*other)
    drawn = _resampled(*first, resamples, seed) - _resampled(*second, resamples, seed)
    return auroc(*first) - auroc(*second), *_interval(drawn)


def mean_difference(
    one: ArrayLike, other: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of ``one`` minus that of ``other`` on the same questions, with its 95 % interval.

    Raises:
        ValueError: no questions, or not the same.
    """
    apart = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    n = len(apart)
    if not n:
        raise ValueError("a mean needs at least one question")
    drawn = np.concatenate([apart @ times / n for times in _draws(n, resamples, seed)])
    return float(apart.mean()), *_interval(drawn)


def risk_difference(
    one: Ranked, other: Ranked, coverage: float, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Risk of ``one`` minus that of ``other``, each answering that share of the same questions.

    The expected value over ties, with its 95 % interval; paired as ``auroc_difference``.

    Raises:
        ValueError: as ``expected_errors``.
    """
    n = len(_same_length(*one)[0])
    apart = [
        _weighted_risk(*_same_length(*one), times, coverage)
        - _weighted_risk(*_same_length(*other), times, coverage)
        for times in _draws(n, resamples, seed)
    ]
    whole = risk_at(*one, coverage) - risk_at(*other, coverage)
    return whole, *_interval(np.concatenate(apart))


def risk_at(scores: ArrayLike, wrong: ArrayLike, coverage: float) -> float:
    """Expected share of wrong answers when the least uncertain ``coverage`` is given, above 0.

    Raises:
        ValueError: as ``expected_errors``.
    """
    values, wrongs = _same_length(scores, wrong)
    return float(_weighted_risk(values, wrongs, np.ones((len(values), 1)), coverage)[0])


def roc(scores: ArrayLike, wrong: ArrayLike, false_alarms: ArrayLike) -> list[float]:
    """Share of the wrong answers that score above a cut, for each share of the right ones that do.

    Both 0 … 1; where the curve is upright, its upper end. A tie is a straight line, as if its
    answers came in random order; the area under the whole curve is ``auroc``.

    Raises:
        ValueError: as ``auroc``.
    """
    values, wrongs = _checked(scores, wrong)
    _, tie = np.unique(-values, return_inverse=True)
    caught = np.concatenate([[0.0], np.cumsum(np.bincount(tie, weights=wrongs))]) / wrongs.sum()
    alarms = np.concatenate([[0.0], np.cumsum(np.bincount(tie, weights=~wrongs))])
    alarms /= (~wrongs).sum()
    wanted = np.asarray(false_alarms, dtype=np.float64)
    # The last point at or before each, and the line from there to the next one.
    at = np.minimum(np.searchsorted(alarms, wanted, "right") - 1, len(alarms) - 2)
    run, rise = np.diff(alarms)[at], np.diff(caught)[at]
    share = np.divide(wanted - alarms[at], run, out=np.ones(len(at)), where=run > 0)
    return [float(value) for value in caught[at] + np.minimum(share, 1) * rise]


def expected_errors(scores: ArrayLike, wrong: ArrayLike) -> Floats:
    """(n + 1,): errors expected among the k least uncertain answers, for k = 0 … n.

    Tied answers come in random order: each carries the mean error of its tie.

    Raises:
        ValueError: different lengths, or a score that is NaN.
    """
    values, wrongs = _same_length(scores, wrong)
    _, tie, size = np.unique(values, return_inverse=True, return_counts=True)
    mean = np.bincount(tie, weights=wrongs, minlength=len(size)) / size
    return np.concatenate([[0.0], np.cumsum(np.repeat(mean, size))])


def aurc(scores: ArrayLike, wrong: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean over k = 1 … n of the error rate of the k surest.

    0 … 1, lower is better; the expected value over ties (Geifman et al. 2019, arXiv 1805.08206).

    Raises:
        ValueError: no answers, different lengths, or a score that is NaN.
    """
    errors = expected_errors(scores, wrong)[1:]
    if not len(errors):
        raise ValueError("AURC needs at least one answer")
    return float(np.mean(errors / np.arange(1, len(errors) + 1)))


def accuracy_at(scores: ArrayLike, wrong: ArrayLike, coverages: ArrayLike) -> list[float | None]:
    """Expected accuracy when the least uncertain share of the answers is given, per coverage.

    A share that cuts an answer takes that fraction of it. None where it is not one whole answer.

    Raises:
        ValueError: as ``expected_errors``.
    """
    errors = expected_errors(scores, wrong)
    n = len(errors) - 1
    # A product such as 0.29 * 100 lies a hair off the whole number that is meant.
    kept = np.round(np.asarray(coverages, dtype=np.float64) * n, 9)
    at = np.interp(kept, np.arange(n + 1), errors)
    return [1 - float(e / k) if k >= 1 else None for e, k in zip(at, kept, strict=True)]


def _resampled(values: Floats, wrong: Mask, resamples: int, seed: int) -> Floats:
    """(resamples,): AUROCs of questions drawn with replacement; NaN where a class is missing."""
    areas = [
        _weighted_auroc(values, wrong, times) for times in _draws(len(values), resamples, seed)
    ]
    return np.concatenate(areas)


def _draws(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """(n, B) counts of each question in each resample, some columns at a time."""
    block = max(1, min(resamples, _CELLS // n))
    for done in range(0, resamples, block):
        yield _times_drawn(n, min(block, resamples - done), seed, done)


def _weighted_risk(scores: Floats, wrong: Mask, times: NDArray[Any], coverage: float) -> Floats:
    """(B,): share of wrong answers among the least uncertain ``coverage``, by (n, B) counts.

    A tie that the coverage cuts gives that share of its errors.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(scores[order]) > 0))
    drawn = times[order].astype(np.float64)
    sizes = np.add.reduceat(drawn, starts, axis=0)
    errors = np.add.reduceat(drawn * wrong[order, None], starts, axis=0)
    kept = np.zeros((len(starts) + 1, drawn.shape[1]))
    np.cumsum(sizes, axis=0, out=kept[1:])
    aim = coverage * len(scores)
    cut = np.minimum((kept[1:] < aim).sum(axis=0), len(starts) - 1)
    column = np.arange(drawn.shape[1])
    before = np.where(np.arange(len(starts))[:, None] < cut, errors, 0).sum(axis=0)
    part = np.divide(
        aim - kept[cut, column],
        sizes[cut, column],
        out=np.zeros(len(column)),
        where=sizes[cut, column] > 0,
    )
    found: Floats = (before + part * errors[cut, column]) / aim
    return found


def _interval(drawn: Floats) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(low), float(high)


@lru_cache(maxsize=4)  # every signal of a report asks for the same
def _times_drawn(n: int, resamples: int, seed: int, block: int) -> NDArray[np.uint8]:
    """(n, resamples): how often each question was drawn, n draws with replacement per column."""
    rng = np.random.default_rng((seed, block))
    drawn = rng.integers(n, size=(n, resamples)) * resamples + np.arange(resamples)
    counts = np.bincount(drawn.ravel(), minlength=n * resamples).reshape(n, resamples)
    # 255 draws of one question have a probability below 1e-300.
    found: NDArray[np.uint8] = counts.astype(np.uint8)
    found.flags.writeable = False
    return found


def _weighted_auroc(scores: Floats, wrong: Mask, weights: NDArray[Any]) -> Floats:
    """(B,): AUROC for each column of (n, B) weights; NaN where a class weighs nothing."""
    order = np.argsort(scores[~wrong], kind="stable")
    right = scores[~wrong][order]
    below = np.zeros((len(right) + 1, weights.shape[1]))
    np.cumsum(weights[~wrong][order], axis=0, out=below[1:])
    mine = weights[wrong].astype(np.float64)
    beaten = below[np.searchsorted(right, scores[wrong], "left")]
    beaten += below[np.searchsorted(right, scores[wrong], "right")]
    won = np.einsum("ib,ib->b", mine, beaten) / 2
    pairs = mine.sum(axis=0) * below[-1]
    areas = np.full(len(won), np.nan)
    np.divide(won, pairs, out=areas, where=pairs > 0)
    return areas


def _checked(scores: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Mask]:
    values, wrongs = _same_length(scores, wrong)
    if wrongs.all() or not wrongs.any():
        raise ValueError("AUROC needs both wrong and right answers")
    return values, wrongs


def _same_length(scores: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Mask]:
    values, wrongs = np.asarray(scores, dtype=np.float64), np.asarray(wrong, dtype=np.bool_)
    if values.ndim != 1 or values.shape != wrongs.shape:
        raise ValueError(f"scores of shape {values.shape}, wrong of shape {wrongs.shape}")
    if np.isnan(values).any():
        raise ValueError("a score is NaN: leave out the records that do not have it")
    return values, wrongs
