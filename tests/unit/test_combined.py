"""The default clusterer: what it reads of a text, similarities by hand, what it tells apart."""

import pytest

from ucbd.cascade.clustering.clusterer import Clustering
from ucbd.cascade.clustering.combined import Combined, similarity
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.wording import wording

QUESTION = "In which town was Ada Crole born?"


def alike(one: str, other: str, question: str = QUESTION) -> float:
    return similarity(wording(one), wording(other), wording(question))


def test_words_are_stems_without_case_accents_articles_and_possessives():
    read = wording("The Röntgens' dog's collars, and Wilhelm's. They barked!")
    assert read.words == {"rontgen", "dog", "collar", "wilhelm", "bark"}
    assert read.sentence == {"rontgen", "dog", "collar", "wilhelm"}
    assert read.text == "rontgens dog s collars and wilhelm s they barked"


def test_the_values_are_those_of_the_first_sentence():
    assert wording("Tarn. It was in 1931.").values == wording("Tarn.").values
    assert wording("In 1931. It was Tarn.").values == wording("1931").values


def test_similarity_by_hand():
    # {tarn} in {town?, tarn}: "town" is the question's, so both are {tarn}
    assert alike("In Tarn.", "In the town of Tarn.") == 0.99
    # beyond the question {tarn} and {lovely, tarn}: containment 1, Jaccard 1/2
    assert alike("In Tarn.", "In lovely Tarn.") == 0.75
    # {tarn, hills} and {tarn, lake}: containment 1/2, Jaccard 1/3
    assert alike("Tarn, hills", "Tarn, lake") == pytest.approx(5 / 12)
    assert alike("In Tarn.", "In Dole.") == 0


def test_what_follows_the_first_sentence_counts_for_containment_only():
    # words {tarn} in {tarn, lovely, place}: 1; first sentences {tarn} and {tarn}: 1
    assert alike("Tarn", "Tarn. It is a lovely place.") == 0.99
    # words {tarn} in {lovely, place, tarn}: 1; first sentences {tarn} and {lovely, place}: 0
    assert alike("Tarn", "A lovely place. It is Tarn.") == 0.5


def test_only_equal_texts_are_wholly_alike():
    assert alike("In Tarn.", "in  tarn") == 1
    assert alike("Tarn", "Tarn born") == 0.99


def test_different_values_are_unlike_whatever_the_words():
    assert alike("He was born in 1931 in Tarn", "He was born in 1932 in Tarn") == 0
    assert alike("It was in Tarn", "It was not in Tarn") == 0


def test_a_choice_between_what_the_question_names_is_read_by_the_questions_words():
    question = "Which is larger, Tarn or Dole?"
    assert alike("Tarn", "Dole", question) == 0
    assert alike("Tarn", "The larger one is Tarn", question) == pytest.approx((1 + 1 / 3) / 2)
    assert alike("Now 5.", "Now 4.", "Of 5 hats and 4 coats, how many hats now?") == 0


def test_two_answers_without_any_word_are_alike_only_when_equal():
    assert alike("…", "…") == 1
    assert alike("The", "Of") == 0


async def test_clusters_do_not_grow_through_an_answer_that_names_both():
    # .75 from "both" to each, 0 between the two: on average .375 to a pair of them
    found = await Combined().cluster("Dole", ["Tarn", "Tarn, Dole", "Dole"], question=QUESTION)
    assert found == Clustering((0, 1, 1), 1)


async def test_of_equal_ties_the_same_is_taken_in_any_order():
    samples = ["Tarn", "Tarn, Dole", "Dole"]
    found = await Combined().cluster("Tarn", samples[::-1], question=QUESTION)
    assert found == Clustering((0, 0, 1), 1)


async def test_behind_the_guard_no_chain_joins_two_values():
    samples = ["Tarn, 1931", "Tarn", "Tarn, 1932"]
    found = await Guarded(Combined()).cluster("Tarn, 1932", samples, question=QUESTION)
    assert found.labels[0] != found.labels[2]
    assert found.answer == found.labels[2]
