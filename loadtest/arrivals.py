"""When requests arrive in an open loop: a process in units of one, stretched by a rate over time.

The same seed gives the same arrivals. Knows nothing of requests, nor whether anybody answers.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """So many seconds with so many arrivals a second in the mean; a rate of 0 is a pause."""

    seconds: float
    rate: float

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("rate", self.rate)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: must be 0 or more and finite, is {value}")


def even() -> Iterator[float]:
    """0, 1, 2, …: constant arrivals, the first at once."""
    number = 0
    while True:
        yield float(number)
        number += 1


def poisson(seed: int) -> Iterator[float]:
    """A Poisson process of rate 1: independent gaps, exponential with mean 1."""
    chance, at = random.Random(seed), 0.0
    while True:
        at += chance.expovariate(1.0)
        yield at


def process(name: str, seed: int) -> Iterator[float]:
    """``constant`` or ``poisson``."""
    return even() if name == "constant" else poisson(seed)


def arrivals(pieces: Iterable[Piece], unit: Iterable[float]) -> Iterator[float]:
    """Seconds from the start at which requests arrive, in order, as long as the pieces last.

    ``unit`` is a process of rate 1. Its point u arrives when the rate's integral reaches u, so that
    a Poisson process stays one, with the pieces' rate (time rescaling: Daley & Vere-Jones 2003,
    theorem 7.4.I).
    """
    points = iter(unit)
    point = next(points, math.inf)
    began, before = 0.0, 0.0  # where the piece begins, and the rate's integral there
    for piece in pieces:
        after = before + piece.seconds * piece.rate
        while point < after:
            yield began + (point - before) / piece.rate
            point = next(points, math.inf)
        began, before = began + piece.seconds, after


def steady(rate: float, seconds: float) -> list[Piece]:
    """One rate throughout: also what a soak is, for hours."""
    return [Piece(seconds, rate)]


def bursts(rate: float, peak: float, every: float, length: float, seconds: float) -> list[Piece]:
    """``rate``, and for the last ``length`` seconds of each ``every`` the ``peak``."""
    if not 0 < length < every:
        raise ValueError(f"length: must be above 0 and below every ({every:g}), is {length:g}")
    rounds = max(1, round(seconds / every))
    return [Piece(every - length, rate), Piece(length, peak)] * rounds


def ramp(first: float, factor: float, steps: int) -> list[float]:
    """The rates of a ramp: ``first``, and each ``factor`` times the one before."""
    if factor <= 1:
        raise ValueError(f"factor: must be above 1, is {factor:g}")
    return [first * factor**step for step in range(steps)]
