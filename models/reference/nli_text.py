"""Pairs of sentences of the invented world with what one says of the other: the NLI model's text.

Labels follow from how a pair is made, never from a model: two phrasings of one fact entail each
other, the same question with another value contradicts, another person or relation is neutral, a
statement with an addition entails it and not the reverse. Pure: all randomness comes from the
generator that is passed in. Knows no tokenizer and no model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from ucbd.models.reference.manner import spoken
from ucbd.models.reference.mayors import ANSWERS, MAYORS, QUESTIONS, Office
from ucbd.models.reference.problems import Problem, problem_stream
from ucbd.models.reference.relations import Relation
from ucbd.models.reference.world import Fact, World

Label = Literal["contradiction", "entailment", "neutral"]
LABELS: tuple[Label, ...] = ("contradiction", "entailment", "neutral")
"""In the order of ``cross-encoder/nli-deberta-v3-*``."""

WITH_QUESTION = 0.8
"""Share of the pairs in which both sides begin with the question, as the clusterer asks them."""

_GARBLED = 0.15  # share of values that no world has, so that the model compares words it never met
_OTHER_PHRASING = 0.15  # share of the pairs whose sides ask in different words

_NEGATED = {
    "birthplace": ("{n} was not born in {v}.", "Not in {v}.", "{n} does not come from {v}."),
    "profession": ("{n} is not a {v}.", "Not a {v}.", "{n} does not work as a {v}."),
    "instrument": ("{n} does not play the {v}.", "Not the {v}.", "{n} never learned the {v}."),
    "pet": ("{n} does not keep a {v}.", "Not a {v}.", "The pet of {n} is not a {v}."),
    "dish": ("{n} does not like to eat {v}.", "Not {v}.", "{n} does not love {v}."),
}
UNSEEN = {
    "birthplace": ("{n} hails from {v}.", "It was in {v} that {n} was born."),
    "profession": ("By trade {n} is a {v}.", "{n} makes money as a {v}."),
    "instrument": ("{n} is heard on the {v}.", "The {v} is what {n} plays."),
    "pet": ("At home {n} has a {v}.", "{n}'s animal is a {v}."),
    "dish": ("{n} is fond of {v}.", "What {n} likes best is {v}."),
}
"""Phrasings that no world's text has: for evaluation only."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A premise and a hypothesis. ``kind`` says how the pair was made, for the evaluation."""

    premise: str
    hypothesis: str
    label: Label
    kind: str


def plain_pairs(world: World, random: Random) -> Iterator[Pair]:
    """Pairs without end of bare statements about people: the beginner's text."""
    return _fact_pairs(world, random, _PLAIN)


def unseen_pairs(world: World, random: Random) -> Iterator[Pair]:
    """As ``pairs`` about people, half of the plain statements in words no training text has."""
    return _fact_pairs(world, random, _UNSEEN)


def pairs(world: World, random: Random) -> Iterator[Pair]:
    """Pairs without end about a world's people, sums and mayors, as people speak there."""
    people = _fact_pairs(world, random, _SPOKEN)
    problems = problem_stream(random)
    while True:
        yield random.choices(
            (
                lambda: next(people),
                lambda: _sum_pair(random, next(problems), next(problems)),
                lambda: _office_pair(random, world.offices),
            ),
            (0.7, 0.2, 0.1),
        )[0]()


@dataclass(frozen=True, slots=True)
class _Style:
    """How the sides of a pair speak.

    ``phrase`` words a fact with a value, naming the person if it must; ``say`` is the manner;
    ``asked`` is the share of pairs whose sides begin with the question.
    """

    phrase: Callable[[Random, Fact, str, bool], str]
    say: Callable[[str, Random], str]
    asked: float


def _fact_pairs(world: World, random: Random, style: _Style) -> Iterator[Pair]:
    people = _by_person(world.facts)
    while True:
        yield _fact_pair(random, random.choice(people), people, style)


def _fact_pair(
    random: Random, facts: Sequence[Fact], people: Sequence[Sequence[Fact]], style: _Style
) -> Pair:
    """A pair about one fact of a person."""
    fact = random.choice(facts)
    asked = random.random() < style.asked
    value = _value(random, fact.relation) if random.random() < 0.5 else fact.value

    def say(fact: Fact, value: str) -> str:
        return style.say(style.phrase(random, fact, value, not asked), random)

    def named(fact: Fact, value: str) -> str:
        return style.say(_named(random, fact, value), random)

    kind = random.choices(
        ("paraphrase", "other value", "negation", "addition", "other person", "other relation"),
        (0.33, 0.33, 0.06, 0.08, 0.12, 0.08),
    )[0]
    one, other, about = say(fact, value), "", fact
    label: Label = "neutral"
    if kind == "paraphrase":
        other, label = say(fact, value), "entailment"
    elif kind == "other value":
        other, label = say(fact, _value(random, fact.relation, but=value)), "contradiction"
    elif kind == "negation":
        one, other, label = _negation(random, fact, value, one, not asked, style)
    elif kind == "addition":
        more = random.choice([f for f in facts if f.relation is not fact.relation])
        longer = f"{say(fact, value)} {named(more, more.value)}"
        one, other, label = (
            (longer, one, "entailment") if random.random() < 0.5 else (one, longer, "neutral")
        )
    elif kind == "other person":
        about = _namesake(random, fact, people)
        other = say(about, random.choice((value, _value(random, fact.relation))))
        if asked and random.random() < 0.5:  # one question, and an answer about somebody else
            other, about = named(about, value), fact
    else:
        about = random.choice([f for f in facts if f.relation is not fact.relation])
        other = named(about, about.value)
        about = random.choice((fact, about))
    if not asked:
        return Pair(one, other, label, kind)
    question, again = _questions(random, fact, about)
    return Pair(f"{question} {one}", f"{again} {other}", label, kind)


def _negation(
    random: Random, fact: Fact, value: str, plain: str, named: bool, style: _Style
) -> tuple[str, str, Label]:
    """What is not so: of the same value, or of another."""

    def deny(value: str) -> str:
        forms = [f for f in _NEGATED[fact.relation.name] if "{n}" in f or not named]
        return style.say(random.choice(forms).format(n=fact.person, v=value), random)

    another = _value(random, fact.relation, but=value)
    cases: tuple[tuple[str, str, Label], ...] = (
        (plain, deny(value), "contradiction"),
        (deny(value), plain, "contradiction"),
        (deny(value), deny(value), "entailment"),
        (plain, deny(another), "entailment"),
        (deny(another), plain, "neutral"),
    )
    return random.choice(cases)


def _sum_pair(random: Random, problem: Problem, another: Problem) -> Pair:
    """A word problem answered twice: the same number, another one, or another problem's answer."""
    number = random.choice((problem.number, random.randint(0, 20)))
    near = [n for n in range(number - 3, number + 4) if n >= 0 and n != number]
    kind = random.choices(("same number", "other number", "other sum"), (0.45, 0.45, 0.1))[0]
    one = _with_number(random, problem, number)
    if kind == "other sum":
        asked = f"{another.question} {_with_number(random, another, another.number)}"
        return Pair(f"{problem.question} {one}", asked, "neutral", kind)
    if kind == "same number":
        other = _with_number(random, problem, number)
        return Pair(f"{problem.question} {one}", f"{problem.question} {other}", "entailment", kind)
    wrong = random.choice((*near, *(n for n in range(21) if n != number)))
    other = _with_number(random, problem, wrong)
    return Pair(f"{problem.question} {one}", f"{problem.question} {other}", "contradiction", kind)


def _with_number(random: Random, problem: Problem, number: int) -> str:
    """One of the problem's answers with that number in the right one's place."""
    return spoken(random.choice(problem.answers).replace(str(problem.number), str(number)), random)


def _office_pair(random: Random, offices: Sequence[Office]) -> Pair:
    """Who was mayor: the same, another, or the mayor of another town or year."""
    office = random.choice(offices)
    mayor = random.choice((office.mayor, random.choice(MAYORS)))
    kind = random.choices(("same mayor", "other mayor", "other office"), (0.4, 0.4, 0.2))[0]
    label: Label = "entailment"
    about, told = office, mayor
    if kind == "other mayor":
        told, label = random.choice([m for m in MAYORS if m != mayor]), "contradiction"
    elif kind == "other office":
        label = "neutral"
        about = random.choice(
            [o for o in offices if (o.town, o.year) != (office.town, office.year)]
        )
    phrasing = random.randrange(len(QUESTIONS))
    one, other = (_of_office(random, o, m) for o, m in ((office, mayor), (about, told)))
    return Pair(
        f"{office.question(phrasing)} {one}", f"{about.question(phrasing)} {other}", label, kind
    )


def _of_office(random: Random, office: Office, mayor: str) -> str:
    form = random.choice(ANSWERS)
    return spoken(form.format(t=office.town, y=office.year, v=mayor), random)


def _phrasing(random: Random, fact: Fact, value: str, named: bool) -> str:
    if named:
        return _named(random, fact, value)
    return fact.answer(random.randrange(len(fact.relation.answers)), value)


def _unseen_phrasing(random: Random, fact: Fact, value: str, named: bool) -> str:
    if random.random() < 0.5:
        return _phrasing(random, fact, value, named)
    return random.choice(UNSEEN[fact.relation.name]).format(n=fact.person, v=value)


def _named(random: Random, fact: Fact, value: str) -> str:
    """A phrasing that stands without its question, because it names the person."""
    forms = [i for i, form in enumerate(fact.relation.answers) if "{n}" in form]
    return fact.answer(random.choice(forms), value)


def _questions(random: Random, fact: Fact, about: Fact) -> tuple[str, str]:
    """Both sides' questions: mostly in the same words."""
    count = len(fact.relation.questions)
    phrasing = random.randrange(count)
    other = random.randrange(count) if random.random() < _OTHER_PHRASING else phrasing
    return fact.question(phrasing), about.question(other)


def _value(random: Random, relation: Relation, but: str = "") -> str:
    """A value of the relation, or a word that looks like one, other than ``but``."""
    value = but
    while value == but:
        one, two = random.sample(relation.values, 2)
        garbled = random.random() < _GARBLED
        value = one[: (len(one) + 1) // 2] + two[len(two) // 2 :] if garbled else one
    return value


def _namesake(random: Random, fact: Fact, people: Sequence[Sequence[Fact]]) -> Fact:
    """The same relation of somebody else, half the time of somebody with the same first name."""
    first = fact.person.split()[0]
    while True:
        other = next(f for f in random.choice(people) if f.relation is fact.relation)
        if other.person == fact.person:
            continue
        if random.random() < 0.5:
            return other
        surname = other.person.split()[1]
        name = f"{first} {surname}"
        return Fact(name, other.relation, other.value, other.frequency, other.part, other.asked)


def _by_person(facts: Sequence[Fact]) -> list[list[Fact]]:
    people: dict[str, list[Fact]] = {}
    for fact in facts:
        people.setdefault(fact.person, []).append(fact)
    return list(people.values())


_PLAIN = _Style(_phrasing, lambda core, _: core, 0.0)
_SPOKEN = _Style(_phrasing, spoken, WITH_QUESTION)
_UNSEEN = _Style(_unseen_phrasing, spoken, WITH_QUESTION)
