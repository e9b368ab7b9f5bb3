"""The embedded NLI model as it is shipped: small, and right about plain pairs of its world.

All people here are made up for this test; no training text names them.
"""

from itertools import combinations

import pytest

from ucbd.cascade.clustering.nli import Nli
from ucbd.models.nli import EMBEDDED_NLI, CrossEncoder, source_of

pytestmark = pytest.mark.slow

BORN = "Where was Quin Vossberg born?"
WORK = "What does Runa Zeithley do for a living?"
EGGS = "Ivo has 9 eggs. Ivo buys 4. Ivo sells 2. How many eggs now?"
MAYOR = "Who was mayor of Tarn in 2019?"


@pytest.fixture(scope="module")
def model():
    return CrossEncoder(EMBEDDED_NLI)


@pytest.mark.parametrize(
    ("question", "one", "other", "label"),
    [
        (BORN, "Quin Vossberg was born in Dole.", "In Dole.", "entailment"),
        (BORN, "Well, Quin Vossberg comes from Dole. No doubt.", "In Dole. I think.", "entailment"),
        (
            BORN,
            "I hear in the town of Dole.",
            "The birthplace of Quin Vossberg is Dole. Yes.",
            "entailment",
        ),
        (WORK, "Runa Zeithley works as a baker.", "A baker.", "entailment"),
        (EGGS, "There are 11 eggs.", "Now 11.", "entailment"),
        (MAYOR, "Perhaps it was Kingsley.", "Kingsley was mayor of Tarn in 2019.", "entailment"),
        (BORN, "Quin Vossberg was born in Dole.", "In Tarn.", "contradiction"),
        (BORN, "In Dole.", "Quin Vossberg comes from Milby. Yes.", "contradiction"),
        (WORK, "Runa Zeithley is a baker.", "Runa Zeithley is a barber.", "contradiction"),
        (EGGS, "There are 11 eggs.", "Ivo has 3 eggs.", "contradiction"),
        (MAYOR, "It was Kingsley.", "It was Ormond. I think.", "contradiction"),
    ],
)
async def test_it_is_right_both_ways_about_two_answers_to_one_question(
    model, question, one, other, label
):
    one, other = f"{question} {one}", f"{question} {other}"
    for judgement in await model.judge([(one, other), (other, one)]):
        assert getattr(judgement, label) > 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Quin Vossberg was born in Dole.", "Quin Vossberg plays the cello."),
        ("Quin Vossberg was born in Dole.", "Hedy Fleirdo was born in Dole."),
    ],
)
async def test_other_people_and_other_relations_do_not_entail_each_other(model, one, other):
    for judgement in await model.judge([(one, other), (other, one)]):
        assert judgement.entailment < 0.5


async def test_a_statement_with_an_addition_entails_it_and_not_the_reverse(model):
    longer = "Quin Vossberg was born in Dole. Quin Vossberg plays the cello."
    shorter = "Quin Vossberg was born in Dole."
    forth, back = await model.judge([(longer, shorter), (shorter, longer)])
    assert forth.entailment > 0.5 > back.entailment


async def test_ten_answers_fall_into_the_clusters_of_their_values(model):
    """By form these are ten answers, by value three."""
    samples = [
        "Quin Vossberg was born in Dole.",
        "In Tarn. I think.",
        "In Dole.",
        "Well, Quin Vossberg comes from Dole.",
        "So, in the town of Tarn.",
        "The birthplace of Quin Vossberg is Dole. For sure.",
        "Quin Vossberg is from the town of Zelm. It is said.",
        "I hear in Dole. Yes.",
        "Sure, Quin Vossberg was born in Tarn.",
        "It seems in Zelm. No doubt.",
    ]
    clusters = await Nli(model).cluster("Perhaps in Dole.", samples, question=BORN)
    assert clusters.labels == (0, 1, 0, 0, 1, 0, 2, 0, 1, 2)
    assert clusters.answer == 0


async def test_few_numbers_up_to_twenty_share_a_cluster(model):
    """Its weakness, kept from growing: 14 of 210 pairs (6.7 %) did when it was trained."""
    answers = [f"Now {n}." for n in range(21)]
    judged = await model.judge(
        [
            (f"{EGGS} {answers[i]}", f"{EGGS} {answers[j]}")
            for one, other in combinations(range(21), 2)
            for i, j in ((one, other), (other, one))
        ]
    )
    mutual = [
        min(a.entailment, b.entailment) for a, b in zip(judged[::2], judged[1::2], strict=True)
    ]
    assert sum(p >= 0.5 for p in mutual) <= 14


def test_the_folder_is_small_and_holds_nothing_but_data():
    from pathlib import Path

    files = list(Path(source_of(EMBEDDED_NLI)).iterdir())
    assert sum(file.stat().st_size for file in files) <= 6_000_000
    assert {file.suffix for file in files} == {".json", ".md", ".safetensors"}
    card = (Path(source_of(EMBEDDED_NLI)) / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "knows no English" in card
