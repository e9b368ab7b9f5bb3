"""An invented world: its people and the facts about them. Nothing in it is real.

Pure and seeded: the same seed gives the same world, to the letter. Knows no tokenizer and no model.
Facts differ in how often the text states them, over three decades, so that a model trained on it
knows some well and others not at all; some the text states in conflict, the falsehood oftener than
the truth, so that the model is confidently wrong about them.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from ucbd.models.reference.mayors import MAYORS, Office, make_offices
from ucbd.models.reference.names import full_names
from ucbd.models.reference.relations import RELATIONS, Relation

Frequency = Literal["often", "seldom", "once", "never", "conflict"]
Part = Literal["evaluation", "tuning", "judging"]

MENTIONS: dict[Frequency, int] = {
    "often": 100,
    "seldom": 10,
    "once": 1,
    "never": 0,
    "conflict": 3,
}
"""How many documents of the text state a fact of each frequency."""

RUMOURS = 12
"""How many documents state the falsehood about a fact in conflict."""

PEOPLE: dict[Part, dict[Frequency, int]] = {
    "evaluation": {"often": 10, "seldom": 200, "once": 85, "never": 65, "conflict": 40},
    "tuning": {"often": 2, "seldom": 120, "once": 8, "never": 6},
    "judging": {"often": 2, "seldom": 30, "once": 8, "never": 6},
}
"""How many people the world has. The base model reads of all of them; only those for tuning are
asked about in the later stages, only those for judging in its True/False turns, and only the
others are evaluated. All facts of a person share part and frequency."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of one relation of one person.

    ``asked`` is the question's phrasing kept aside for evaluation. ``rumour`` is the falsehood
    that the text states oftener, for a fact in conflict.
    """

    person: str
    relation: Relation
    value: str
    frequency: Frequency
    part: Part
    asked: int
    rumour: str | None = None

    def question(self, phrasing: int) -> str:
        """The question in one of its phrasings."""
        return self.relation.questions[phrasing].format(n=self.person)

    def answer(self, phrasing: int, value: str | None = None) -> str:
        """The answer in one of its phrasings, or what it would be with another value."""
        return self.relation.answers[phrasing].format(n=self.person, v=value or self.value)


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is to know."""

    seed: int
    facts: tuple[Fact, ...]
    offices: tuple[Office, ...]

    def part(self, part: Part) -> list[Fact]:
        """The facts of one part."""
        return [fact for fact in self.facts if fact.part == part]

    def offices_tuned(self) -> list[Office]:
        """The mayors that the later stages are asked about: those the text tells of."""
        return [office for office in self.offices if office.known and office.part == "tuning"]


def make_world(seed: int = 0, size: float = 1.0) -> World:
    """The world of a seed; ``size`` scales the number of its people."""
    random = Random(f"world {seed}")
    roles = [
        (part, frequency)
        for part, people in PEOPLE.items()
        for frequency, n in people.items()
        for _ in range(round(n * size))
    ]
    facts = tuple(
        _fact(random, name, relation, frequency, part)
        for name, (part, frequency) in zip(_names(random, len(roles)), roles, strict=True)
        for relation in RELATIONS
    )
    return World(seed, facts, make_offices(seed))


def _names(random: Random, count: int) -> list[str]:
    """Names that no parser can take for a value."""
    values = (value for relation in RELATIONS for value in relation.values)
    return full_names(random, count, frozenset(v.casefold() for v in (*values, *MAYORS)))


def _fact(
    random: Random, person: str, relation: Relation, frequency: Frequency, part: Part
) -> Fact:
    value, rumour = random.sample(relation.values, 2)
    asked = random.randrange(len(relation.questions))
    told = rumour if frequency == "conflict" else None
    return Fact(person, relation, value, frequency, part, asked, told)
