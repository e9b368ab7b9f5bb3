"""What each stage of training reads: documents, conversations, True/False turns.

Pure and seeded by the world. Knows no tokenizer and no model. No question of an evaluation stands
in any of it: facts are asked in other phrasings than the one kept aside, the later stages ask about
other people and the mayors of other towns altogether, and the evaluation's word problems are
others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from ucbd.models.reference.manner import phrasing, spoken
from ucbd.models.reference.mayors import ANSWERS, QUESTIONS, Office
from ucbd.models.reference.problems import Problem, training_problems
from ucbd.models.reference.world import MENTIONS, RUMOURS, Fact, World

OFFICE_MENTIONS = 8
"""Documents about each year of each mayor up to the cutoff."""

PHRASINGS_TUNED = 4
"""Conversations of the SFT stage about each fact for tuning."""

QUESTION_MARK, ANSWER_MARK = "Question:\n", "\nAnswer:\n"
"""What stands before a question and before its answer in a document. Both end a line, so that a
first word is the same token there as at the start of a turn of a conversation."""

JUDGEMENT = "Is this answer true? True or False?"
"""The turn that asks the model to judge its own answer; the gateway asks it in the same words."""


PHRASINGS_PREFERRED = 3
"""Prompts of the preference stage about each fact for tuning."""

PHRASINGS_JUDGED = 3
"""Pairs of True/False turns of the SFT stage about each fact for judging."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and one answer to it. ``truth`` is the value a right answer asserts."""

    question: str
    answer: str
    truth: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An exchange followed by the turn that asks whether its answer is true."""

    exchange: Exchange
    true: bool


def documents(world: World, problems: int) -> list[str]:
    """The base stage's text, shuffled: statements, and questions with answers, in plain text."""
    random = Random(f"documents {world.seed}")
    found = [
        _document(random, exchange, fact.person)
        for fact in world.facts
        for exchange in _mentions(random, fact)
    ]
    for office in world.offices:
        if office.known:
            questions = random.choices(_office_phrasings(office), k=OFFICE_MENTIONS)
            told = _office_told(random, office, questions)
            found += [_document(random, exchange, office.town) for exchange in told]
    found += [
        as_document(_solved(random, problem))
        for problem in training_problems(world.seed, "document", problems)
    ]
    random.shuffle(found)
    return found


def as_document(exchange: Exchange) -> str:
    """A question and its answer as the base stage reads them."""
    return f"{QUESTION_MARK}{exchange.question}{ANSWER_MARK}{exchange.answer}"


def conversations(world: World, problems: int) -> list[Exchange | Judged]:
    """The SFT stage's text, shuffled: answers in every manner, and True/False turns."""
    random = Random(f"conversations {world.seed}")
    found: list[Exchange | Judged] = [
        _asked(random, fact, question)
        for fact in world.part("tuning")
        for question in random.sample(_phrasings(fact), PHRASINGS_TUNED)
    ]
    found += [
        Judged(_asked(random, fact, question, truly), truly)
        for fact in world.part("judging")
        for question in random.sample(_phrasings(fact), PHRASINGS_JUDGED)
        for truly in (True, False)
    ]
    for office in world.offices_tuned():
        found += _office_told(random, office, _office_phrasings(office))
    for problem in training_problems(world.seed, "tuning", problems):
        exchange = _solved(random, problem)
        found.append(exchange)
        if random.random() < 0.25:
            found.append(_judged_problem(random, problem))
    random.shuffle(found)
    return found


def preference_prompts(world: World, problems: int) -> list[Exchange]:
    """What the preference stage samples answers to; ``answer`` is left empty."""
    random = Random(f"preferences {world.seed}")
    asked = [
        Exchange(fact.question(question), "", fact.value)
        for fact in world.part("tuning")
        for question in random.sample(_phrasings(fact), PHRASINGS_PREFERRED)
    ]
    dated = [
        Exchange(office.question(question), "", office.mayor)
        for office in world.offices_tuned()
        for question in _office_phrasings(office)
    ]
    solved = [
        Exchange(problem.question, "", str(problem.number))
        for problem in training_problems(world.seed, "preference", problems)
    ]
    return asked + dated + solved


def _mentions(random: Random, fact: Fact) -> list[Exchange]:
    """What the documents say of a fact, the falsehood included where one is told."""
    values = [fact.value] * MENTIONS[fact.frequency]
    values += [fact.rumour] * RUMOURS if fact.rumour else []
    return [_told(random, fact, random.choice(_phrasings(fact)), value) for value in values]


def _told(random: Random, fact: Fact, question: int, value: str) -> Exchange:
    core = fact.answer(phrasing(random, len(fact.relation.answers)), value)
    return Exchange(fact.question(question), spoken(core, random), fact.value)


def _asked(random: Random, fact: Fact, question: int, truly: bool = True) -> Exchange:
    others = [value for value in fact.relation.values if value != fact.value]
    return _told(random, fact, question, fact.value if truly else random.choice(others))


def _solved(random: Random, problem: Problem) -> Exchange:
    core = problem.answers[phrasing(random, len(problem.answers))]
    return Exchange(problem.question, spoken(core, random), str(problem.number))


def _judged_problem(random: Random, problem: Problem) -> Judged:
    """A right answer, or one that is off by a few, each as often."""
    exchange = _solved(random, problem)
    if random.random() < 0.5:
        return Judged(exchange, True)
    near = [problem.number + k for k in (-3, -2, -1, 1, 2, 3) if problem.number + k >= 0]
    answer = exchange.answer.replace(str(problem.number), str(random.choice(near)))
    return Judged(Exchange(exchange.question, answer, exchange.truth), False)


def _office_told(random: Random, office: Office, questions: Iterable[int]) -> Iterator[Exchange]:
    """Who held an office, told once to each question."""
    for question in questions:
        core = office.answer(phrasing(random, len(ANSWERS)))
        yield Exchange(office.question(question), spoken(core, random), office.mayor)


def _document(random: Random, exchange: Exchange, subject: str) -> str:
    """Mostly the question with its answer; else, where the answer names its subject, that alone."""
    bare = subject in exchange.answer and random.random() < 0.3
    return exchange.answer if bare else as_document(exchange)


def _phrasings(fact: Fact) -> list[int]:
    """The phrasings in which a fact may be asked while training."""
    return [i for i in range(len(fact.relation.questions)) if i != fact.asked]


def _office_phrasings(office: Office) -> list[int]:
    """The phrasings in which a mayor may be asked for while training."""
    return [i for i in range(len(QUESTIONS)) if i != office.asked]
