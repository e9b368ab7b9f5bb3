"""The guard: which values are different ones for the same thing, on listed pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.cascade.clustering.clusterer import Clustering, in_order_of_appearance
from ucbd.cascade.clustering.guard import differ, read_values, values_of
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard

WORDS_THAT_MATTER = ["Two", "twenty-", "one", " ", "ninety", "no", "not", "Cannot", "doubt", "only"]
WORDS_THAT_MATTER += ["isn't", "isn’t", "n't", "May", "5", "1931", "٣", "²", "-", "−", "$", "%"]
WORDS_THAT_MATTER += ["km", "million", ".", ",", "º", "Tarn", "nor"]

DIFFERENT = [
    ("She was born in 1931.", "She was born in 1932."),
    ("It is 5 km long.", "It is 5 miles long."),
    ("It is in Europe.", "It is not in Europe."),
    ("It isn't.", "It is."),
    ("$5 million", "$6 million"),
    ("12 May 1931", "13 May 1931"),
    ("May 5, 1931", "June 5, 1931"),
    ("3 children", "four children"),
    ("twenty-seven", "28"),
    ("20 °C", "20 °F"),
    ("-3", "3"),
    ("There are 11 eggs.", "Now 12."),
    ("90 minutes", "2 hours"),
    ("1,000", "1,001"),
    ("10 %", "20 percent"),
    ("the 1960s", "the 1970s"),
]
SAME = [
    ("It was in 1931.", "It was on 12 May 1931."),
    ("May 12, 1931", "the 12th of May 1931"),
    ("three", "3"),
    ("Twenty-seven", "There are 27."),
    ("1,000", "1000"),
    ("1 km", "1000 m"),
    ("$5 million", "5,000,000 dollars"),
    ("twenty percent", "20%"),
    ("It was Tarn. No doubt.", "It was Tarn."),
    ("Not only Tarn", "Tarn"),
    ("Wilhelm Röntgen", "Wilhelm Röntgen, born in 1845"),
    ("in 1901", "in 1901, and he received 150,782 SEK"),
    ("5", "5 km"),
    ("90 minutes", "1.5 hours"),
    ("212 °F", "100 °C"),
    ("6 feet", "1.83 m"),
    ("5 km", "30 minutes"),
    ("One of them was Tarn.", "Tarn"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_values_for_the_same_thing_differ_both_ways(one, other):
    assert differ(values_of(one), values_of(other))
    assert differ(values_of(other), values_of(one))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_values_and_values_of_one_side_only_do_not_differ(one, other):
    assert not differ(values_of(one), values_of(other))
    assert not differ(values_of(other), values_of(one))


def test_what_the_question_gives_counts_on_neither_side():
    one, other = values_of("In 2019 it was Tarn."), values_of("After 2020 it was Tarn.")
    assert differ(one, other)
    assert not differ(one, other, values_of("Who was it in 2019?"))


@given(st.text(max_size=40))
def test_no_text_differs_from_itself_and_none_is_too_odd_to_read(text):
    assert not differ(values_of(text), values_of(text))


class Everything:
    """A clusterer that takes all answers for one."""

    name = "everything"

    def __str__(self) -> str:
        return "everything"

    async def cluster(self, answer, samples, *, question=""):
        return Clustering((0,) * len(samples), 0 if answer else None)


async def test_different_values_never_share_a_cluster_also_not_through_a_third():
    samples = ["a town", "in 1931", "in 1932", "in 1931", "in the town, 1932"]
    clusters = await Guarded(Everything()).cluster("1932", samples)
    # "in 1931" is the commonest, "a town" gives no year and joins it
    assert clusters == Clustering((0, 0, 1, 0, 1), 1)


async def test_an_answer_unlike_every_group_belongs_to_none():
    samples = ["in 1931", "in 1932"]
    assert (await Guarded(Everything()).cluster("in 1933", samples)).answer is None
    assert (await Guarded(Everything()).cluster("", samples)).answer is None


def test_the_guard_shows_in_the_name():
    assert str(Guarded(Jaccard(0.4))) == "guarded(jaccard(threshold=0.4))"


@given(st.lists(st.sampled_from(["1", "2", "3", "a", "not a", "1 km", "1 m"]), min_size=1))
async def test_it_keeps_the_contract_of_a_clusterer(samples):
    clusterer = Guarded(Everything())
    found = await clusterer.cluster(samples[0], samples)
    assert found.labels == in_order_of_appearance(found.labels)
    assert found.answer == found.labels[0]
    for i, one in enumerate(samples):
        for j, other in enumerate(samples):
            if found.labels[i] == found.labels[j]:
                assert not differ(values_of(one), values_of(other))
            if one == other:
                assert found.labels[i] == found.labels[j]
    backward = await clusterer.cluster(samples[0], samples[::-1])
    assert len(set(backward.labels)) == len(set(found.labels))


@given(st.lists(st.sampled_from(WORDS_THAT_MATTER), max_size=6).map("".join))
def test_a_text_that_is_not_read_has_no_values(text):
    """The quick look that spares most texts the rules never overlooks what a rule would find."""
    assert values_of(text) == read_values(text.casefold())
