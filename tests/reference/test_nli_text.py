"""The NLI model's text: labels that the oracle agrees with, and parts that are held out."""

from itertools import islice
from random import Random

import pytest

from ucbd.models.reference.nli_text import LABELS, UNSEEN, pairs, plain_pairs, unseen_pairs
from ucbd.models.reference.nli_training import held_out_pairs, on_both_sides
from ucbd.models.reference.oracle import asserted
from ucbd.models.reference.relations import RELATIONS
from ucbd.models.reference.world import make_world

WORLD = make_world(7, size=0.2)


@pytest.fixture(scope="module")
def found():
    return list(islice(pairs(WORLD, Random(1)), 6000))


@pytest.mark.parametrize("kind", ["paraphrase", "same number"])
def test_sides_that_say_the_same_assert_one_value_by_the_oracle(found, kind):
    read = [(asserted(p.premise), asserted(p.hypothesis)) for p in found if p.kind == kind]
    known = [(one, other) for one, other in read if one is not None and other is not None]
    assert len(known) > 300
    assert all(one == other for one, other in known)
    assert {p.label for p in found if p.kind == kind} == {"entailment"}


@pytest.mark.parametrize("kind", ["other value", "other number"])
def test_contradicting_sides_answer_one_question_with_two_values_by_the_oracle(found, kind):
    read = [(asserted(p.premise), asserted(p.hypothesis)) for p in found if p.kind == kind]
    assert len(read) > 300
    assert all(one is None or one != other for one, other in read)
    assert {p.label for p in found if p.kind == kind} == {"contradiction"}


def test_another_person_relation_office_or_sum_is_neutral(found):
    kinds = {"other person", "other relation", "other office", "other sum"}
    assert {p.kind for p in found} >= kinds
    assert {p.label for p in found if p.kind in kinds} == {"neutral"}


def test_an_addition_entails_the_shorter_statement_and_does_not_follow_from_it(found):
    additions = [p for p in found if p.kind == "addition"]
    for pair in additions:
        sides = [asserted(pair.premise), asserted(pair.hypothesis)]
        if None in sides:
            continue  # a garbled word, which the oracle does not know
        one, other = (set(str(side).split(" and ")) for side in sides)
        assert other < one if pair.label == "entailment" else one < other
    assert {p.label for p in additions} == {"entailment", "neutral"}


def test_a_denial_contradicts_what_it_denies_and_follows_from_another_value(found):
    denials = [p for p in found if p.kind == "negation"]
    assert {p.label for p in denials} == set(LABELS)
    for pair in denials:
        one, other = asserted(pair.premise), asserted(pair.hypothesis)
        if pair.label == "contradiction" and one is not None:
            assert one == other


def test_no_label_is_rare(found):
    shares = {label: sum(p.label == label for p in found) / len(found) for label in LABELS}
    assert min(shares.values()) > 0.15
    assert max(shares.values()) < 0.5


def test_most_pairs_stand_behind_a_question_and_bare_statements_never_do(found):
    asked = [p for p in found if "?" in p.premise or p.premise.startswith("Tell me")]
    assert 0.75 < len(asked) / len(found) < 0.95
    plain = list(islice(plain_pairs(WORLD, Random(1)), 500))
    assert not [p for p in plain if "?" in p.premise or p.premise.startswith("Tell me")]


def test_the_same_seed_gives_the_same_pairs():
    again = [list(islice(pairs(WORLD, Random(3)), 50)) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != list(islice(pairs(WORLD, Random(4)), 50))


def test_the_held_out_phrasings_stand_in_no_text_of_the_world():
    told = {form for relation in RELATIONS for form in relation.answers}
    held_out = {form for forms in UNSEEN.values() for form in forms}
    assert set(UNSEEN) == {relation.name for relation in RELATIONS}
    assert not held_out & told
    texts = [p.premise + p.hypothesis for p in islice(unseen_pairs(WORLD, Random(1)), 300)]
    assert any("hails from" in text for text in texts)


def test_the_held_out_people_are_in_no_world_of_the_training_text():
    trained = {fact.person for n in range(4) for fact in make_world(100 + n).facts}
    held_out = {fact.person for fact in make_world(999).facts}
    assert len(held_out - trained) / len(held_out) > 0.95
    assert {len(some) for some in held_out_pairs(0, 20).values()} == {20}


def test_a_token_on_both_sides_is_found_on_both_and_padding_on_none():
    import torch

    rows = {
        "input_ids": torch.tensor([[5, 6, 7, 6, 5, 0, 0]]),
        "token_type_ids": torch.tensor([[0, 0, 1, 1, 1, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 0, 0]]),
    }
    assert on_both_sides(rows).tolist() == [[1, 1, 0, 1, 1, 0, 0]]
