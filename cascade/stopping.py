"""When enough samples are drawn: what all N will say, as foreseen from the first n.

Samples fall into clusters like the balls of an urn in which what was drawn becomes likelier and
something new stays possible (Pitman & Yor 1997). How much of either is not known, so every pair of
the urn's two parameters on a grid is equally likely at first, and what was drawn tells between
them. Nothing is fitted and nothing is simulated: the probabilities are exact. Knows sizes of
clusters, not texts; what a decision is, it is told.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ucbd.cascade.entropy import discrete_semantic_entropy

Array = NDArray[np.float64]

_STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 13.0, 25.0, 60.0)
_DISCOUNTS = (0.0, 0.25, 0.5, 0.75)
_STRENGTH, _DISCOUNT = np.array(list(product(_STRENGTHS, _DISCOUNTS))).T
LARGEST = 24
"""The most samples that can be foreseen: the states grow as the partitions of N do."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sizes of the clusters drawn so far.

    ``own`` is how many samples say what the served answer says, None where there is no answer;
    ``others`` are the sizes of the other clusters, largest first. The answer itself is a ball of
    the urn and no sample.
    """

    own: int | None
    others: tuple[int, ...]

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return (self.own or 0) + sum(self.others)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the clusters of samples, largest first."""
        return tuple(sorted((*self.others, *([self.own] if self.own else ())), reverse=True))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What all planned samples are expected to say.

    ``decisions`` has the probability of each, summing to 1. ``semantic_entropy`` (nats) and
    ``support``, the share of samples that say what the answer says, are expected values.
    """

    decisions: dict[Hashable, float]
    semantic_entropy: float
    support: float

    def settled(self, error: float) -> bool:
        """Whether one decision has a probability of at least ``1 - error``."""
        return max(self.decisions.values()) >= 1 - error

    @property
    def likeliest(self) -> Hashable:
        """The decision with the highest probability."""
        return max(self.decisions, key=self.decisions.__getitem__)


class Foresight:
    """What a decision over ``planned`` samples will be, from the first of them.

    ``decide`` tells the decision of a state of all ``planned`` samples; it is asked once for each.
    Raises ValueError when ``planned`` is above ``LARGEST``.
    """

    def __init__(
        self, planned: int, decide: Callable[[Drawn], Hashable], *, served: bool = True
    ) -> None:
        if not 2 <= planned <= LARGEST:
            raise ValueError(f"from 2 to {LARGEST} samples can be foreseen, not {planned}")
        self._planned = planned
        self._served = served
        places: dict[Hashable, list[int]] = {}
        for place, state in enumerate(_levels(planned, served)[-1].states):
            places.setdefault(decide(state), []).append(place)
        self._places = places

    def outlook(self, state: Drawn) -> Outlook:
        """What is to be expected after what was drawn."""
        reach = _reach(state, self._planned, self._served)
        entropies, supports = _last(self._planned, self._served)
        return Outlook(
            {decision: float(reach[places].sum()) for decision, places in self._places.items()},
            float(reach @ entropies),
            float(reach @ supports),
        )


@lru_cache(8)
def _last(planned: int, served: bool) -> tuple[Array, Array]:
    """Semantic entropy and support of every state of all ``planned`` samples."""
    states = _levels(planned, served)[-1].states
    entropies = [discrete_semantic_entropy(state.sizes) for state in states]
    return np.array(entropies), np.array([(state.own or 0) / planned for state in states])


@lru_cache(512)
def _reach(state: Drawn, planned: int, served: bool) -> Array:
    """How likely each state of all ``planned`` samples is after what was drawn: (states,)."""
    levels = _levels(planned, served)
    chances = np.zeros((len(_STRENGTH), len(levels[state.samples].states)))
    chances[:, levels[state.samples].places[state]] = 1
    for level, following in pairwise(levels[state.samples :]):
        chances = level.step(chances, len(following.states))
    reached: Array = _posterior(state) @ chances
    return reached


class _Level:
    """The states of n samples, and the urn's next draw from each of them."""

    def __init__(self, states: Sequence[Drawn], following: "_Level | None") -> None:
        self.states = states
        self.places = {state: i for i, state in enumerate(states)}
        if following is None:
            return
        edges = [
            (following.places[after], slope) for state in states for after, slope in _draws(state)
        ]
        counts = [sum(1 for _ in _draws(state)) for state in states]
        self._counts = np.array(counts)
        starts = np.cumsum([0, *counts[:-1]])
        self._to = np.array([to for to, _ in edges])
        slopes = np.array([slope for _, slope in edges]).T  # constant, strength, discount
        weight = slopes[0] + np.outer(_STRENGTH, slopes[1]) + np.outer(_DISCOUNT, slopes[2])
        self._chance = weight / np.add.reduceat(weight, starts, axis=1).repeat(counts, axis=1)

    def step(self, chances: Array, following: int) -> Array:
        """Chances of the ``following`` states one draw later: (grid, following)."""
        moved = np.repeat(chances, self._counts, axis=1) * self._chance
        after = np.zeros((len(chances), following))
        np.add.at(after.T, self._to, moved.T)
        return after


@lru_cache(8)
def _levels(planned: int, served: bool) -> tuple[_Level, ...]:
    """The states of 0 … ``planned`` samples."""
    states: list[list[Drawn]] = [[Drawn(0 if served else None, ())]]
    for _ in range(planned):
        after = (following for state in states[-1] for following, _ in _draws(state))
        states.append(list(dict.fromkeys(after)))
    levels = [_Level(states[-1], None)]
    for some in reversed(states[:-1]):
        levels.append(_Level(some, levels[-1]))
    return tuple(reversed(levels))


_Slope = tuple[float, float, float]
"""An unnormalised chance as a constant, and its slopes in the urn's strength and discount."""


def _draws(state: Drawn) -> Iterator[tuple[Drawn, _Slope]]:
    """What the next sample may do: join a cluster, the answer, or open one of its own."""
    clusters = len(state.others) + (state.own is not None)
    if state.own is not None:
        yield Drawn(state.own + 1, state.others), (state.own + 1, 0, -1)
    for size, many in Counter(state.others).items():
        others = list(state.others)
        others[others.index(size)] += 1  # the first of its size: still largest first
        yield Drawn(state.own, tuple(others)), (many * size, 0, -many)
    yield Drawn(state.own, (*state.others, 1)), (0, 1, clusters)


@lru_cache(65536)
def _posterior(state: Drawn) -> Array:
    """How likely each pair of parameters is after what was drawn: (grid,), by the urn's EPPF."""
    balls = [*state.others, *([state.own + 1] if state.own is not None else [])]
    if not balls:
        return np.full(len(_STRENGTH), 1 / len(_STRENGTH))
    opened = np.arange(1, len(balls))[:, None]
    log = np.log(_STRENGTH + opened * _DISCOUNT).sum(axis=0)
    log += gammaln(_STRENGTH + 1) - gammaln(_STRENGTH + sum(balls))
    log += sum(gammaln(size - _DISCOUNT) - gammaln(1 - _DISCOUNT) for size in balls)
    likelihood = np.exp(log - log.max())
    posterior: Array = likelihood / likelihood.sum()
    return posterior
