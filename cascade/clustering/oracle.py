"""Clustering by asserted value: two answers are one when they claim the same of the embedded world.

The yardstick for every other clusterer, and only there: it parses answers about the invented world
of ``ucbd.models.reference`` and knows no other. It does not know which values are true.
"""

from collections.abc import Sequence

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.models.reference.oracle import asserted


class Oracle:
    """Equality of what is asserted; an answer that asserts nothing is like its exact repeats."""

    name = "oracle"

    def __str__(self) -> str:
        return "oracle"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. An answer whose value no sample asserts belongs to no cluster."""
        meanings = [_meaning(text) for text in samples]
        number = {meaning: i for i, meaning in enumerate(dict.fromkeys(meanings))}
        labels = in_order_of_appearance([number[meaning] for meaning in meanings])
        return Clustering(labels, number.get(_meaning(answer)) if answer.strip() else None)


def _meaning(text: str) -> tuple[bool, str]:
    value = asserted(text)
    return (False, text.strip()) if value is None else (True, value)
