"""Any clusterer behind the guard: answers with different values are taken apart again.

Splits the clusters of the clusterer it wraps, and never merges. Knows no similarity.
"""

from collections import Counter
from collections.abc import Sequence

from ucbd.cascade.clustering.clusterer import (
    Clusterer,
    Clustering,
    beside_the_loop,
    in_order_of_appearance,
)
from ucbd.cascade.clustering.guard import Values, differ, values_of


class Guarded:
    """No two answers that give different values for the same thing share a cluster.

    Also not through a third that gives none: of the groups a cluster falls into, such an answer
    joins the first that it does not differ from, the commonest answers having made theirs first.
    """

    def __init__(self, clusterer: Clusterer) -> None:
        self.name = clusterer.name
        self._clusterer = clusterer

    def __str__(self) -> str:
        return f"guarded({self._clusterer})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``."""
        whole = await self._clusterer.cluster(answer, samples, question=question)
        return await beside_the_loop(
            (answer, *samples), lambda: _taken_apart(whole, answer, samples, question)
        )


def _taken_apart(
    whole: Clustering, answer: str, samples: Sequence[str], question: str
) -> Clustering:
    given = values_of(question)
    said = {text: values_of(text) for text in {answer, *samples}}
    groups = _Groups(said, given)
    counts = Counter(zip(whole.labels, samples, strict=True))
    for label, text in sorted(counts, key=lambda key: (-counts[key], key[1])):
        groups.place(label, text)
    found = [groups.of(label, text) for label, text in zip(whole.labels, samples, strict=True)]
    numbers = {group: i for i, group in enumerate(dict.fromkeys(found))}
    home = None if whole.answer is None else groups.home(whole.answer, answer)
    labels = in_order_of_appearance([numbers[group] for group in found])
    return Clustering(labels, None if home is None else numbers[home])


_Group = tuple[int, int]
"""A cluster's label and the number of a group within it."""


class _Groups:
    """The groups that each cluster falls into."""

    def __init__(self, said: dict[str, Values], given: Values) -> None:
        self._said = said
        self._given = given
        self._members: dict[int, list[list[str]]] = {}
        self._placed: dict[tuple[int, str], int] = {}

    def place(self, label: int, text: str) -> None:
        """Into the first group of its cluster that holds nothing it differs from, or a new one."""
        groups = self._members.setdefault(label, [])
        number = self._fitting(groups, text)
        if number is None:
            number = len(groups)
            groups.append([])
        groups[number].append(text)
        self._placed[label, text] = number

    def of(self, label: int, text: str) -> _Group:
        """Where a sample was placed."""
        return label, self._placed[label, text]

    def home(self, label: int, answer: str) -> _Group | None:
        """Where the answer belongs: with its like, else with what it does not differ from."""
        if (label, answer) in self._placed:
            return self.of(label, answer)
        number = self._fitting(self._members[label], answer)
        return None if number is None else (label, number)

    def _fitting(self, groups: Sequence[Sequence[str]], text: str) -> int | None:
        own = self._said[text]
        for number, group in enumerate(groups):
            if not any(differ(own, self._said[other], self._given) for other in group):
                return number
        return None
