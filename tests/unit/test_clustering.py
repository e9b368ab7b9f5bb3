"""Clusterers: hand-computed similarities, and the contract that every clusterer keeps."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard, marked, similarity
from ucbd.cascade.clustering.nli import Nli
from ucbd.models.nli import Judgement

texts = st.text(alphabet="ab c", min_size=1, max_size=8).filter(lambda text: text.strip())


class FixedEmbedder:
    """Unit vectors in the plane: a text is the angle it names in degrees, else one by its hash."""

    name = "angles"

    async def embed(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> np.ndarray:
        digest = hashlib.sha256(text.encode()).digest()
        degrees = float(text) if text.isdecimal() else int.from_bytes(digest[:4]) % 360
        angle = math.radians(degrees)
        return np.array([math.cos(angle), math.sin(angle)], dtype=np.float32)


class HashedNli:
    """A pair entails or not by its hash, one direction apart from the other."""

    name = "hashed"

    async def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judgement]:
        return [Judgement(p := self._entailment(pair), 1 - p, 0.0) for pair in pairs]

    def _entailment(self, pair: tuple[str, str]) -> float:
        return hashlib.sha256("\0".join(pair).encode()).digest()[0] / 255


CLUSTERERS = [
    Exact(),
    Jaccard(),
    Embedding(FixedEmbedder()),
    Nli(HashedNli()),
    Combined(),
    Guarded(Combined()),
    Guarded(Jaccard()),
]


def test_a_bigram_of_lower_cased_words_is_one_bit_and_a_lone_word_is_its_own():
    # the-cat 1, cat-sat 2; then tarn 4; "tarn lay" is another bigram than the word alone: 8
    assert marked(["The cat SAT", "the Cat", "Tarn", "  ", "tarn lay"]) == [3, 1, 4, 0, 8]
    assert marked(["to be to be"]) == [3]  # a bigram that comes twice counts once


def test_jaccard_similarity_by_hand():
    # {ab, bc, cd} and {ab, bc, ce}: 2 shared of 4
    assert similarity(*marked(["a b c d", "a b c e"])) == 0.5
    assert similarity(0, 0) == 0


async def test_jaccard_joins_at_exactly_the_threshold():
    # 2 shared bigrams of 5 in all = 0.4
    clusters = await Jaccard(0.4).cluster("x", ["a b c d", "a b c e f"])
    assert clusters.labels == (0, 0)
    clusters = await Jaccard(0.41).cluster("x", ["a b c d", "a b c e f"])
    assert clusters.labels == (0, 1)


async def test_jaccard_clusters_are_connected_components():
    # first~second and second~third at 0.5, first and third share 1 of 5 only
    chain = ["a b c d", "b c d e", "c d e f"]
    assert similarity(*marked([chain[0], chain[2]])) < 0.4
    assert (await Jaccard().cluster("x", chain)).labels == (0, 0, 0)


async def test_the_answer_joins_the_cluster_of_the_sample_most_like_it():
    clusters = await Jaccard().cluster("a b c d", ["z", "a b c d e", "a b c d"])
    assert clusters == Clustering((0, 1, 1), 1)
    assert (await Jaccard().cluster("q r s", ["z", "a b c"])).answer is None


async def test_embedding_clusters_by_average_linkage_at_a_cosine_of_085():
    # cos 30° = .866 joins. 50 is 20° from 30 (.940) and 50° from 0 (.643): on average .791 to
    # the pair {0, 30}; but 30 and 50 join first (.940), and then 0 is (.866 + .643)/2 = .754 away.
    assert (await Embedding(FixedEmbedder()).cluster("0", ["0", "30"])).labels == (0, 0)
    assert (await Embedding(FixedEmbedder()).cluster("0", ["0", "30", "50"])).labels == (0, 1, 1)


async def test_embedding_joins_at_exactly_the_threshold():
    threshold = float(np.float32(np.cos(np.radians(30.0))))
    assert (await Embedding(FixedEmbedder(), threshold).cluster("0", ["0", "30"])).labels == (0, 0)


async def test_an_answer_outside_every_cluster_has_none():
    assert (await Embedding(FixedEmbedder()).cluster("180", ["0", "10"])).answer is None
    assert (await Embedding(FixedEmbedder()).cluster("5", ["0", "10"])).answer == 0


def test_labels_are_numbered_by_first_appearance():
    assert in_order_of_appearance([7, 3, 7, 0]) == (0, 1, 0, 2)


@pytest.mark.parametrize("clusterer", CLUSTERERS, ids=str)
class TestContract:
    """What every clusterer must keep."""

    @given(samples=st.lists(texts, min_size=1, max_size=8), answer=texts)
    async def test_it_partitions_the_samples_and_places_the_answer(
        self, clusterer, samples, answer
    ):
        clusters = await clusterer.cluster(answer, samples)
        assert len(clusters.labels) == len(samples)
        assert clusters.labels == in_order_of_appearance(clusters.labels)
        assert clusters.answer is None or clusters.answer in clusters.labels

    @given(samples=st.lists(texts, min_size=1, max_size=8))
    async def test_equal_texts_share_a_cluster_and_an_equal_answer_is_in_it(
        self, clusterer, samples
    ):
        clusters = await clusterer.cluster(samples[0], [*samples, *samples])
        assert clusters.labels[: len(samples)] == clusters.labels[len(samples) :]
        assert clusters.answer == clusters.labels[0]

    @given(samples=st.lists(texts, min_size=2, max_size=7))
    async def test_the_number_of_clusters_does_not_depend_on_the_order(self, clusterer, samples):
        forward = await clusterer.cluster("x", samples)
        backward = await clusterer.cluster("x", samples[::-1])
        assert len(set(forward.labels)) == len(set(backward.labels))

    async def test_an_empty_answer_belongs_to_no_cluster(self, clusterer):
        assert (await clusterer.cluster("", ["a", "a b"])).answer is None

    async def test_one_sample_is_one_cluster(self, clusterer):
        assert (await clusterer.cluster("a", ["a"])).labels == (0,)


def test_every_clusterers_name_carries_its_parameters():
    assert [str(c) for c in CLUSTERERS] == [
        "exact",
        "jaccard(threshold=0.4)",
        "embedding(angles,threshold=0.85)",
        "nli(hashed,threshold=0.5)",
        "combined(threshold=0.65)",
        "guarded(combined(threshold=0.65))",
        "guarded(jaccard(threshold=0.4))",
    ]
    assert str(Jaccard(0.5)) != str(Jaccard(0.4))


async def test_exact_clusters_are_equal_strings_after_outer_space():
    samples = ["Tarn.", " Tarn.\n", "tarn.", "Tarn"]
    assert await Exact().cluster("Tarn. ", samples) == Clustering((0, 0, 1, 2), 0)
    assert await Exact().cluster("TARN.", samples) == Clustering((0, 0, 1, 2), None)
    assert await Exact().cluster("", samples) == Clustering((0, 0, 1, 2), None)
