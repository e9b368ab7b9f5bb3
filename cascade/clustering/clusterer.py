"""The protocol of a clusterer, and the linkages the clusterers share.

Knows similarities, not texts.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

_INLINE_CHARACTERS = 8000  # of all texts together: a millisecond or two


@dataclass(frozen=True, slots=True)
class Clustering:
    """Which samples share a cluster, and which cluster the served answer belongs to.

    ``labels`` has one entry per sample, numbered from 0 in order of first appearance. ``answer``
    is the label of the served answer's own cluster, None when it belongs to none. The answer joins
    the cluster most like it; it never merges two.
    """

    labels: tuple[int, ...]
    answer: int | None


class Clusterer(Protocol):
    """Groups answers by meaning. ``str()`` names it with every parameter that changes a label."""

    name: str

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """Cluster the non-empty ``samples``, and find the cluster of ``answer`` among them.

        An empty answer belongs to no cluster. ``question`` is what they answer, in words, for
        those that judge meaning given it; empty when it is not known.
        """
        ...


async def beside_the_loop(texts: Sequence[str], work: Callable[[], T]) -> T:
    """What ``work`` over these texts gives: at once where they are short, else from a thread.

    A thread switch takes longer than ten short answers; thirty long ones would hold every other
    request up for tens of milliseconds.
    """
    if sum(map(len, texts)) <= _INLINE_CHARACTERS:
        return work()
    return await asyncio.to_thread(work)


def in_order_of_appearance(labels: Sequence[int]) -> tuple[int, ...]:
    """The same partition, its labels numbered from 0 by first appearance."""
    order: dict[int, int] = {}
    return tuple(order.setdefault(label, len(order)) for label in labels)
