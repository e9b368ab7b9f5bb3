"""The oracle reads the asserted value off an answer, whatever its wording."""

from random import Random

import pytest

from ucbd.models.reference.manner import spoken
from ucbd.models.reference.oracle import asserted
from ucbd.models.reference.problems import problem_stream
from ucbd.models.reference.world import make_world


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Ada Kloss was born in Tarn.", "tarn"),
        ("TARN", "tarn"),
        ("Well, a baker. So it is said.", "baker"),
        ("There are 12 eggs.", "12"),
        ("12 and then 07.", "7"),
        ("In 2021 the mayor of Tarn was Stanhope.", "stanhope"),
        ("A baker or a painter.", "baker and painter"),
        ("It is not for me to say.", None),
        ("", None),
        ("bakery", None),
    ],
)
def test_by_hand(text, value):
    assert asserted(text) == value


def test_every_answer_of_a_world_asserts_its_value_in_every_manner():
    random = Random(3)
    world = make_world(3, size=0.1)
    for fact in world.facts:
        for phrasing in range(len(fact.relation.answers)):
            assert asserted(spoken(fact.answer(phrasing), random)) == fact.value.casefold()
    for office in world.offices:
        for phrasing in range(6):
            assert asserted(spoken(office.answer(phrasing), random)) == office.mayor.casefold()
    for problem, _ in zip(problem_stream(random), range(300), strict=False):
        for answer in problem.answers:
            assert asserted(spoken(answer, random)) == str(problem.number)
