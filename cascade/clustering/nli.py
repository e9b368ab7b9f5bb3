"""Clustering by entailment: two answers say the same when each follows from the other.

The paper's third clusterer (method.md section 2), after Kuhn et al. 2023 and Farquhar et al. 2024.
They go through the answers once and compare each with one member of every cluster so far, which
makes the partition depend on the order of the samples wherever entailment is not transitive. Here
all pairs are asked, in one batch, and clusters are the connected components: of any order, and
never more than theirs. The price is that a chain of near-paraphrases becomes one cluster.
Knows what the model says of a pair, and nothing of what is true.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.models.nli import NliModel


class Nli:
    """Components of bidirectional entailment with probability ≥ ``threshold``, both ways.

    At 0.5 an edge means that entailment is the likeliest of the three labels in both directions.
    Answers are read behind their question, ``"{question} {answer}"`` on both sides, as in Kuhn et
    al., so that "Tarn." and "She was born in Tarn." can agree.
    """

    name = "nli"

    def __init__(self, model: NliModel, threshold: float = 0.5) -> None:
        self.model = model
        self._threshold = threshold

    def __str__(self) -> str:
        return f"nli({self.model.name},threshold={self._threshold:g})"

    async def cluster(
        self, answer: str, samples: Sequence[str], *, question: str = ""
    ) -> Clustering:
        """See ``Clusterer``. Equal texts are one, without asking the model."""
        unique = list(dict.fromkeys((*samples, answer) if answer else samples))
        mutual = await self._mutual([asked(question, text) for text in unique])
        said = {text: i for i, text in enumerate(unique)}
        sampled = len(set(samples))  # the answer, if it is none of them, stands behind them
        edges = mutual[:sampled, :sampled] >= self._threshold
        _, groups = connected_components(csr_array(edges), directed=False)
        labels = in_order_of_appearance([int(groups[said[text]]) for text in samples])
        if not answer:
            return Clustering(labels, None)
        nearness = mutual[said[answer], [said[text] for text in samples]]
        best = int(np.argmax(nearness))
        return Clustering(labels, labels[best] if nearness[best] >= self._threshold else None)

    async def _mutual(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(N, N), symmetric: the smaller probability of entailment of the two directions."""
        one_way = np.eye(len(texts))
        ordered = list(permutations(range(len(texts)), 2))
        judged = await self.model.judge([(texts[i], texts[j]) for i, j in ordered])
        for place, judgement in zip(ordered, judged, strict=True):
            one_way[place] = judgement.entailment
        return np.minimum(one_way, one_way.T)


def asked(question: str, text: str) -> str:
    """An answer behind its question, as the model reads it."""
    return f"{question} {text}".strip()
