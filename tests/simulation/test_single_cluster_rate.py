"""The single-cluster rate that the gateway measures, against the one that its traffic has.

The figures of docs/measurements/2026-11-25-single-cluster-rate.md are what the ``verify`` test
prints (``-s``).
"""

import logging
from collections.abc import Iterator, Sequence

import pytest
from scipy.stats import binom

from tests.simulation.traffic import Measured, measure
from ucbd.cascade.evaluation.rates import wilson

SHARE = 5.0  # tokens of draws ÷ tokens of requests: p is a half where nothing lowers it


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A line a request would be a million lines."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_the_rate_is_covered_where_the_sampled_requests_are_off() -> None:
    windows = measure(0.5, windows=20, requests=300, share=SHARE, seed=1)
    _check(0.5, windows)


@pytest.mark.verify
@pytest.mark.parametrize(("rate", "requests"), [(0.5, 400), (0.1, 400), (0.01, 1500)])
def test_the_interval_covers_the_rate_in_95_of_100_windows(rate: float, requests: int) -> None:
    windows = measure(rate, windows=200, requests=requests, share=SHARE, seed=2)
    _check(rate, windows)


def _check(rate: float, windows: Sequence[Measured]) -> None:
    """Covered as often as 95 % allows but for a chance of 1 in 200; the naive share at most 3/4."""
    covered = sum(_covers(window, rate) for window in windows)
    mean = sum(window.ours.value for window in windows) / len(windows)
    naive = sum(w.cascade_single for w in windows) / sum(w.cascade_all for w in windows)
    naive_off = sum(_naive_misses(window, rate) for window in windows)
    timeouts = sum(window.timeouts for window in windows)
    requests = sum(window.answered for window in windows) + timeouts
    effective = sum(window.ours.effective for window in windows) / len(windows)
    print(
        f"\n| {rate:.0%} | {len(windows)} × {requests / len(windows):.0f} | {effective:.0f} "
        f"| {mean:.2%} | {covered / len(windows):.1%} | {naive:.2%} "
        f"| {1 - naive_off / len(windows):.1%} | {timeouts / requests:.1%} |"
    )
    assert timeouts > 0
    assert covered >= binom.ppf(0.005, len(windows), 0.95)
    assert naive < 0.75 * rate
    assert mean == pytest.approx(rate, rel=0.1)


def _covers(window: Measured, rate: float) -> bool:
    low, high = window.ours.interval
    return low <= rate <= high


def _naive_misses(window: Measured, rate: float) -> bool:
    """Whether Wilson's interval of the requests that the cascade sampled misses the rate."""
    low, high = wilson(window.cascade_single, window.cascade_all)
    return not low <= rate <= high
