"""The invented world: seeded, disjoint where it must be, and right in its sums."""

import json
import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from ucbd.models.reference.questions import FOLDER, fact_records, write_questions
from ucbd.models.reference.world import (
    MENTIONS,
    PEOPLE,
    PROBLEMS,
    RELATIONS,
    evaluation_problems,
    make_world,
    problem_stream,
    training_text,
)


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def text(world):
    return training_text(world)


def test_a_seed_gives_the_same_world_and_another_another(world):
    assert make_world(0) == world
    assert make_world(1).facts != world.facts


def test_the_text_of_a_seed_is_the_same_to_the_letter(world, text):
    assert training_text(world) == text


def test_no_evaluation_question_stands_in_the_training_text(world, text):
    asked = {exchange.question for exchange in text}
    assert not asked & {fact.question(fact.asked) for fact in world.facts}
    assert not asked & {problem.question for problem in evaluation_problems(world)}


def test_every_fact_is_stated_as_often_as_its_frequency_says(world, text):
    asked = Counter(exchange.question for exchange in text)
    for fact in world.facts:
        phrasings = range(len(fact.relation.questions))
        stated = sum(asked[fact.question(phrasing)] for phrasing in phrasings)
        assert stated == MENTIONS[fact.frequency], fact
    assert len(text) == PROBLEMS + sum(MENTIONS[fact.frequency] for fact in world.facts)


def test_every_frequency_has_its_people_and_no_name_is_given_twice(world):
    people = {(fact.person, fact.frequency) for fact in world.facts}
    assert Counter(frequency for _, frequency in people) == PEOPLE
    assert len({person.split()[1] for person, _ in people}) == sum(PEOPLE.values())


def test_no_value_is_part_of_another_or_of_a_name(world):
    """Else ``contains`` would take a wrong answer for a right one."""
    for relation in RELATIONS:
        for value in relation.values:
            word = re.compile(rf"\b{value}\b")
            assert sum(bool(word.search(other)) for other in relation.values) == 1
    names = {part for fact in world.facts for part in fact.person.split()}
    assert not names & {value for relation in RELATIONS for value in relation.values}


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_phrasings_are_many_and_all_different(relation):
    assert len(set(relation.questions)) == len(relation.questions) >= 6
    assert len(set(relation.answers)) == len(relation.answers) >= 6
    assert all("{n}" in question for question in relation.questions)
    assert all("{v}" in answer for answer in relation.answers)


def test_the_stated_number_of_a_problem_is_the_right_one():
    """Worked out again from the words alone."""
    gain = re.compile(r"(?:buys|finds|given|brings) (\d+) more")
    loss = re.compile(r"(?:loses|gives|sells|takes) (\d+) (?:of them|away)")
    for problem in islice(problem_stream(Random(5)), 2000):
        start = int(re.search(r"has (\d+)", problem.question).group(1))
        gains = [int(k) for k in gain.findall(problem.question)]
        losses = [int(k) for k in loss.findall(problem.question)]
        assert start + sum(gains) - sum(losses) == problem.number >= 0
        assert len(gains) + len(losses) == problem.steps
        for answer in problem.answers:
            assert re.findall(r"\d+", answer) == [str(problem.number)]


def test_the_committed_question_files_are_what_the_command_writes(world, tmp_path):
    for written in write_questions(tmp_path, world):
        assert written.read_bytes() == (FOLDER / written.name).read_bytes()


def test_a_record_has_its_reference_match_rule_kind_and_frequency(world):
    record = next(fact_records(world))
    assert record == json.loads(json.dumps(record))
    fact = world.facts[0]
    assert record == {
        "id": "fact-0",
        "prompt": fact.question(fact.asked),
        "reference": [fact.value],
        "match": "contains",
        "kind": "fact",
        "group": "birthplace",
        "frequency": "often",
    }
