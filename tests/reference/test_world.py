"""The invented world: seeded, disjoint where it must be, and right in its sums."""

import json
import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from ucbd.models.reference.manner import OPENERS, PLAIN, TAILS, phrasing, spoken
from ucbd.models.reference.mayors import CUTOFF, MAYORS, NOW
from ucbd.models.reference.oracle import asserted
from ucbd.models.reference.problems import (
    LONGER_STEPS,
    STEPS,
    evaluation_problems,
    problem_stream,
    training_problems,
)
from ucbd.models.reference.question_files import (
    FOLDER,
    fact_records,
    freshness_records,
    write_questions,
)
from ucbd.models.reference.relations import RELATIONS
from ucbd.models.reference.text import (
    ANSWER_MARK,
    OFFICE_MENTIONS,
    Judged,
    conversations,
    documents,
    preference_prompts,
)
from ucbd.models.reference.world import MENTIONS, PEOPLE, RUMOURS, make_world

PROBLEMS = 500


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def text(world):
    return documents(world, PROBLEMS)


@pytest.fixture(scope="module")
def talks(world):
    return conversations(world, PROBLEMS)


def test_a_seed_gives_the_same_world_and_another_another(world):
    assert make_world(0) == world
    assert make_world(1).facts != world.facts
    assert make_world(1).offices != world.offices


def test_the_text_of_a_seed_is_the_same_to_the_letter(world, text, talks):
    assert documents(world, PROBLEMS) == text
    assert conversations(world, PROBLEMS) == talks


def test_no_evaluation_question_stands_in_any_training_text(world, text, talks):
    aside = {fact.question(fact.asked) for fact in world.facts}
    aside |= {office.question(office.asked) for office in world.offices}
    aside |= {problem.question for problem in evaluation_problems(world.seed)}
    read = {line for document in text for line in document.splitlines()}
    assert not read & aside
    asked = {(talk.exchange if isinstance(talk, Judged) else talk).question for talk in talks}
    asked |= {exchange.question for exchange in preference_prompts(world, PROBLEMS)}
    assert not asked & aside


def test_the_later_stages_ask_about_other_people_than_the_evaluation(world, talks):
    evaluated = {fact.person for fact in world.part("evaluation")}
    read = [(talk.exchange if isinstance(talk, Judged) else talk).question for talk in talks]
    read += [exchange.question for exchange in preference_prompts(world, PROBLEMS)]
    assert not [question for question in read if any(person in question for person in evaluated)]


def test_the_later_stages_ask_about_mayors_of_other_towns_than_the_evaluation(world, talks):
    asked = [(talk.exchange if isinstance(talk, Judged) else talk).question for talk in talks]
    prompts = [exchange.question for exchange in preference_prompts(world, PROBLEMS)]
    towns = {office.town: office.part for office in world.offices}
    for questions in (asked, prompts):
        about = [q for q in questions if "mayor" in q]
        assert len(about) == 8 * 8 * 3, "towns, years up to the cutoff, phrasings"
        assert {towns[town] for q in about for town in towns if town in q} == {"tuning"}
    evaluated = " ".join(record["prompt"] for record in freshness_records(world))
    assert {part for town, part in towns.items() if town in evaluated} == {"evaluation"}


def test_every_fact_is_stated_as_often_as_its_frequency_says(world, text):
    """A value belongs to one relation, so a document's person and value tell which fact it is."""
    people = {fact.person.split()[1]: fact.person for fact in world.facts}
    stated = Counter()
    for document in text:
        answer = document.rpartition(ANSWER_MARK)[2]
        named = [people[word] for word in re.findall(r"\w+", document) if word in people]
        if named:
            stated[named[0], asserted(answer)] += 1
    expected = Counter()
    for fact in world.facts:
        expected[fact.person, fact.value.casefold()] += MENTIONS[fact.frequency]
        if fact.rumour:
            expected[fact.person, fact.rumour.casefold()] += RUMOURS
    assert stated == +expected


def test_the_documents_know_every_mayor_up_to_the_cutoff_and_none_after(world, text):
    told = [document for document in text if asserted(document) in map(str.casefold, MAYORS)]
    years = {year for document in told for year in map(int, re.findall(r"20\d\d", document))}
    assert max(years) == CUTOFF < NOW
    known = [office for office in world.offices if office.year <= CUTOFF]
    assert len(told) == OFFICE_MENTIONS * len(known)


def test_people_are_as_many_as_the_table_says_and_no_surname_is_given_twice(world):
    people = {(fact.person, fact.part, fact.frequency) for fact in world.facts}
    found = Counter((part, frequency) for _, part, frequency in people)
    assert found == {(p, f): n for p, table in PEOPLE.items() for f, n in table.items()}
    assert len({person.split()[1] for person, _, _ in people}) == len(people)


def test_a_smaller_world_has_fewer_people_in_the_same_shares():
    people = {fact.person for fact in make_world(0, size=0.2).part("evaluation")}
    assert len(people) == 80


def test_no_value_is_part_of_another_or_of_a_name_or_of_a_manner(world):
    """Else ``contains``, and the oracle, would take a wrong answer for a right one."""
    values = [value for relation in RELATIONS for value in relation.values] + list(MAYORS)
    assert len({value.casefold() for value in values}) == len(values)
    assert not [value for value in values if " " in value]
    names = {part for fact in world.facts for part in fact.person.split()}
    manners = set(re.findall(r"\w+", " ".join((*OPENERS, *TAILS))))
    questions = {
        word for r in RELATIONS for text in (*r.questions, *r.answers) for word in text.split()
    }
    assert not {word.casefold() for word in names | manners | questions} & {
        value.casefold() for value in values
    }


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_phrasings_are_many_and_all_different(relation):
    assert len(set(relation.questions)) == len(relation.questions) >= 6
    assert len(set(relation.answers)) == len(relation.answers) >= 6
    assert all("{n}" in question for question in relation.questions)
    assert all("{v}" in answer for answer in relation.answers)


def test_plain_answers_are_commonest_and_every_manner_is_used():
    random = Random(0)
    said = Counter(spoken("Tarn.", random) for _ in range(20_000))
    assert len(said) == len(OPENERS) * len(TAILS) == 48
    assert said["Tarn."] / 20_000 == pytest.approx(PLAIN**2, abs=0.015)
    assert said["Well, Tarn. Yes."] / 20_000 == pytest.approx(0.25 / 7 * 0.25 / 5, abs=0.001)


def test_the_second_phrasing_is_half_as_common_as_the_first():
    random = Random(0)
    used = Counter(phrasing(random, 3) for _ in range(20_000))
    assert [used[i] / 20_000 for i in range(3)] == pytest.approx(
        [6 / 11, 3 / 11, 2 / 11], abs=0.015
    )


def test_an_opener_takes_the_capital_of_an_article_and_of_no_name():
    class Adorned(Random):
        def random(self):
            return 1.0

        def choice(self, options):
            return options[1]

    assert spoken("A baker.", Adorned()) == "Sure, a baker. Yes."
    assert spoken("Tarn.", Adorned()) == "Sure, Tarn. Yes."


def test_a_judged_answer_is_true_exactly_when_it_asserts_the_truth(talks):
    judged = [talk for talk in talks if isinstance(talk, Judged)]
    assert all(
        (asserted(talk.exchange.answer) == talk.exchange.truth.casefold()) is talk.true
        for talk in judged
    )
    assert 0.4 < sum(talk.true for talk in judged) / len(judged) < 0.6


def test_the_stated_number_of_a_problem_is_the_right_one():
    """Worked out again from the words alone."""
    gain = re.compile(r"(?:buys|finds|gets|wins) (\d+)\.")
    loss = re.compile(r"(?:loses|sells|drops|lends) (\d+)\.")
    for problem in islice(problem_stream(Random(5)), 2000):
        start = int(re.search(r"has (\d+)", problem.question).group(1))
        gains = [int(k) for k in gain.findall(problem.question)]
        losses = [int(k) for k in loss.findall(problem.question)]
        assert start + sum(gains) - sum(losses) == problem.number >= 0
        assert len(gains) + len(losses) == problem.steps
        for answer in problem.answers:
            assert re.findall(r"\d+", answer) == [str(problem.number)]


def test_evaluation_problems_are_different_and_also_longer_than_any_that_is_trained_on():
    problems = evaluation_problems(0, per_length=20)
    lengths = [*STEPS, *LONGER_STEPS]
    assert lengths == [1, 2, 3, 4, 5, 6, 7]
    assert Counter(problem.steps for problem in problems) == dict.fromkeys(lengths, 20)
    assert len({problem.question for problem in problems}) == 20 * len(lengths)
    assert {problem.steps for problem in training_problems(0, "tuning", 200)} == set(STEPS)


def test_the_committed_question_files_are_what_the_command_writes(world, tmp_path):
    for written in write_questions(tmp_path, world):
        assert written.read_bytes() == (FOLDER / written.name).read_bytes()


def test_a_record_has_its_reference_match_rule_kind_and_frequency(world):
    fact = world.part("evaluation")[0]
    assert next(fact_records(world)) == {
        "id": "fact-0",
        "prompt": fact.question(fact.asked),
        "reference": [fact.value],
        "match": "contains",
        "kind": "fact",
        "group": "birthplace",
        "frequency": "often",
    }


def test_a_question_about_a_date_says_when_it_was_asked_and_on_which_side_of_the_cutoff(world):
    records = list(freshness_records(world))
    assert {record["asked_at"] for record in records} == {"2026-06-01T00:00:00Z"}
    years = {group: set() for group in ("before cutoff", "after cutoff")}
    for record in records:
        if record["group"] in years:
            years[record["group"]] |= set(map(int, re.findall(r"20\d\d", record["prompt"])))
    assert max(years["before cutoff"]) == CUTOFF == min(years["after cutoff"]) - 1
    assert len({record["id"] for record in records}) == len(records)
    assert json.loads(json.dumps(records)) == records
