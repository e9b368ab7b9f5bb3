"""Clustering by string equality: two answers are one only when they are the same characters.

The finest partition there is, the *form* of what was said: every other clusterer merges more.
Against a clusterer by value it tells a model that says one thing from one that has one phrase.
"""

from collections.abc import Sequence

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance


class Exact:
    """Equality after outer white space is stripped; case and punctuation count."""

    name = "exact"

    def __str__(self) -> str:
        return "exact"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. An answer that no sample repeats belongs to no cluster."""
        number = {text: i for i, text in enumerate(dict.fromkeys(map(str.strip, samples)))}
        labels = in_order_of_appearance([number[text.strip()] for text in samples])
        return Clustering(labels, number.get(answer.strip()) if answer.strip() else None)
