"""Interleaved pairs: how one thing compares with another that was measured just before or after.

A machine's speed drifts; the ratio of two neighbours does not.
"""

import argparse
import statistics
from collections.abc import Sequence


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Median of the rounds' ratios, with the extremes of the middle half and of all."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    named = {"median": middle, "q1": low, "q3": high, "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in named.items()}


def round_count(text: str) -> int:
    """An argument: of how many rounds there is a spread. At least two."""
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be at least 2, is {text}: one has no spread")
    return value
