"""The entailment clusterer, on probabilities made up by hand: who shares a cluster, and why."""

from collections.abc import Sequence

import pytest

from ucbd.cascade.clustering.clusterer import Clustering
from ucbd.cascade.clustering.nli import Nli
from ucbd.models.nli import Judgement


class Told:
    """An NLI model that knows the entailments it is told, and remembers what it was asked."""

    name = "told"

    def __init__(self, entailed: dict[tuple[str, str], float]) -> None:
        self._entailed = entailed
        self.asked: list[tuple[str, str]] = []

    async def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judgement]:
        self.asked += pairs
        probabilities = [self._entailed.get(pair, 0.1) for pair in pairs]
        return [Judgement(p, (1 - p) / 2, (1 - p) / 2) for p in probabilities]


def both_ways(one: str, other: str, p: float = 0.9) -> dict[tuple[str, str], float]:
    return {(one, other): p, (other, one): p}


async def test_two_answers_share_a_cluster_when_each_entails_the_other():
    model = Told(both_ways("a", "b"))
    assert (await Nli(model).cluster("a", ["a", "b", "c"])).labels == (0, 0, 1)


async def test_entailment_one_way_only_is_no_agreement():
    model = Told({("a", "b"): 0.9, ("b", "a"): 0.4})
    assert (await Nli(model).cluster("a", ["a", "b"])).labels == (0, 1)


async def test_a_probability_of_exactly_the_threshold_joins_and_a_lower_one_does_not():
    model = Told({("a", "b"): 0.5, ("b", "a"): 0.7})
    assert (await Nli(model).cluster("a", ["a", "b"])).labels == (0, 0)
    assert (await Nli(model, 0.51).cluster("a", ["a", "b"])).labels == (0, 1)


@pytest.mark.parametrize("samples", [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"]])
async def test_clusters_are_components_whatever_the_order_of_the_samples(samples):
    """b agrees with a and c, which do not agree: comparing c with a alone would split them."""
    model = Told(both_ways("a", "b") | both_ways("b", "c"))
    assert (await Nli(model).cluster("x", samples)).labels == (0, 0, 0)


async def test_the_answer_joins_the_sample_nearest_both_ways_and_merges_nothing():
    # to a the smaller direction is 0.6, to b it is 0.8; a and b stay apart
    entailed = {("x", "a"): 0.95, ("a", "x"): 0.6} | both_ways("x", "b", 0.8)
    assert await Nli(Told(entailed)).cluster("x", ["a", "b"]) == Clustering((0, 1), 1)


async def test_an_answer_that_agrees_with_no_sample_is_in_no_cluster():
    assert (await Nli(Told({})).cluster("x", ["a", "b"])).answer is None


async def test_both_sides_are_read_behind_the_question():
    model = Told(both_ways("Who? Ann.", "Who? It was Ann."))
    clusters = await Nli(model).cluster("Ann.", ["Ann.", "It was Ann."], question="Who?")
    assert clusters == Clustering((0, 0), 0)
    assert set(model.asked) == {
        ("Who? Ann.", "Who? It was Ann."),
        ("Who? It was Ann.", "Who? Ann."),
    }


async def test_equal_answers_are_asked_about_once():
    """Ten samples of two texts and an answer of a third are 3 x 2 ordered pairs."""
    model = Told({})
    await Nli(model).cluster("c", ["a", "b"] * 5)
    assert len(model.asked) == len(set(model.asked)) == 6


async def test_ten_equal_answers_need_no_model():
    model = Told({})
    assert await Nli(model).cluster("a", ["a"] * 10) == Clustering((0,) * 10, 0)
    assert model.asked == []


def test_the_name_carries_the_model_and_the_threshold():
    assert str(Nli(Told({}), 0.7)) == "nli(told,threshold=0.7)"
