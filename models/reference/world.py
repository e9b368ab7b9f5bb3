"""An invented world: its people, the facts about them, and word problems. Nothing in it is real.

Pure and seeded: the same seed gives the same world, to the letter. Knows no tokenizer and no model.
Facts differ in how often the text states them, so that a model trained on it knows some well and
others not at all. Every question has many phrasings, equally common; every answer has as many, one
of them far commoner than the rest, as in a chat model that was tuned to a manner of speaking.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Frequency = Literal["often", "seldom", "once", "never"]

MENTIONS: dict[Frequency, int] = {"often": 60, "seldom": 10, "once": 1, "never": 0}
"""How many exchanges of the training text state a fact of each frequency."""

PEOPLE: dict[Frequency, int] = {"often": 60, "seldom": 80, "once": 80, "never": 80}
"""How many people of each frequency the world has; all facts of a person share it."""

PROBLEMS = 20_000
"""Word problems in the training text."""

MANNER = 0.85
"""Share of the training text's answers that are in the first, usual phrasing."""

_MOST = 20  # no number in a word problem exceeds it


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that can be known of a person: its values, and how it is asked and told.

    ``{n}`` stands for the person's name and ``{v}`` for the value.
    """

    name: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of one relation of one person. ``asked`` is the question's phrasing kept aside."""

    person: str
    relation: Relation
    value: str
    frequency: Frequency
    asked: int

    def question(self, phrasing: int) -> str:
        """The question in one of its phrasings."""
        return self.relation.questions[phrasing].format(n=self.person)

    def answer(self, phrasing: int) -> str:
        """The answer in one of its phrasings."""
        return self.relation.answers[phrasing].format(n=self.person, v=self.value)


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem with its one right number. ``steps`` is the number of changes in it."""

    question: str
    answers: tuple[str, ...]
    number: int
    steps: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer in the training text."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is to know."""

    seed: int
    facts: tuple[Fact, ...]


_FIRST = (
    "Ada Bram Cleo Dario Edda Finn Gita Hugo Ines Jonas Kaja Levi Mira Nils Orla Pavel Quin Runa "
    "Sven Tilda Ugo Vera Wim Xenia Yann Zora Alma Boris Carla Dorn Elin Falk Greta Hedy Ivo Jana"
).split()
_ONSETS = "B Br C Cr D Dr F Fl G Gr H J K Kl L M N P Pr R S St T Tr V W Z".split()
_MIDDLES = "a e i o u au ei".split()
_CODAS = "ss ll nn rd st ck lm rn x th ng sk".split()
_ENDS = ("", "", "er", "a", "ow", "in", "berg", "ley", "sen", "o", "els", "ith")

_TOWNS = (
    "Tarn Dole Vask Milby Orsk Pell Quen Rilla Sund Thorpe Ulm Wexby Yarl Zelm Amber Brink Corvo "
    "Dunmar Elst Fenwick Garda Holm Istra Jarrow Kettle Lorne Marsh Nolby Ostra Prill"
).split()
_JOBS = (
    "baker carpenter dentist farmer gardener judge librarian mason nurse painter pilot plumber "
    "potter sailor singer smith surgeon tailor teacher waiter weaver writer miner barber"
).split()
_INSTRUMENTS = (
    "accordion banjo bassoon cello clarinet cornet drum fiddle flute guitar harp horn lute oboe "
    "organ piano piccolo trombone trumpet tuba viola violin whistle zither"
).split()
_ANIMALS = (
    "badger beaver canary cat crow dog donkey duck ferret goat goose hamster hare hen horse lizard "
    "mouse newt robin parrot pony rabbit sheep turtle"
).split()
_DISHES = (
    "barley beans bread broth cabbage carrots cheese cherries cod dumplings figs honey lentils "
    "mussels noodles olives onions pancakes pears plums porridge rice soup trout"
).split()

RELATIONS = (
    Relation(
        "birthplace",
        tuple(_TOWNS),
        (
            "Where was {n} born?",
            "In which town was {n} born?",
            "What is the birthplace of {n}?",
            "Where does {n} come from?",
            "Tell me where {n} was born.",
            "Which town is {n} from?",
        ),
        (
            "{n} was born in {v}.",
            "In {v}.",
            "{v}.",
            "{n} comes from {v}.",
            "The birthplace of {n} is {v}.",
            "{n} is from the town of {v}.",
        ),
    ),
    Relation(
        "profession",
        tuple(_JOBS),
        (
            "What does {n} do for a living?",
            "What is the profession of {n}?",
            "What is {n}'s job?",
            "What work does {n} do?",
            "Tell me what {n} works as.",
            "As what does {n} work?",
        ),
        (
            "{n} is a {v}.",
            "{n} works as a {v}.",
            "A {v}.",
            "The profession of {n} is {v}.",
            "{n} earns a living as a {v}.",
            "{v}.",
        ),
    ),
    Relation(
        "instrument",
        tuple(_INSTRUMENTS),
        (
            "Which instrument does {n} play?",
            "What does {n} play?",
            "What is {n}'s instrument?",
            "On which instrument is {n} heard?",
            "Tell me which instrument {n} plays.",
            "What instrument did {n} learn?",
        ),
        (
            "{n} plays the {v}.",
            "The {v}.",
            "{v}.",
            "{n}'s instrument is the {v}.",
            "It is the {v} that {n} plays.",
            "{n} learned the {v}.",
        ),
    ),
    Relation(
        "pet",
        tuple(_ANIMALS),
        (
            "Which animal does {n} keep?",
            "What pet does {n} have?",
            "What animal lives with {n}?",
            "What is {n}'s pet?",
            "Tell me which animal {n} keeps.",
            "Which pet belongs to {n}?",
        ),
        (
            "{n} keeps a {v}.",
            "A {v}.",
            "{v}.",
            "{n} has a {v} as a pet.",
            "A {v} lives with {n}.",
            "The pet of {n} is a {v}.",
        ),
    ),
    Relation(
        "dish",
        tuple(_DISHES),
        (
            "What does {n} like to eat?",
            "What is {n}'s favourite food?",
            "Which food does {n} love?",
            "What does {n} eat most gladly?",
            "Tell me what {n} likes to eat.",
            "Which food is dearest to {n}?",
        ),
        (
            "{n} likes to eat {v}.",
            "{v}.",
            "{n} loves {v}.",
            "The favourite food of {n} is {v}.",
            "Most of all {n} likes {v}.",
            "It is {v} that {n} likes.",
        ),
    ),
)

_THINGS = "apples books coins eggs hats keys lamps nails pens plates ropes stones".split()
_GAINS = (
    "{n} buys {k} more.",
    "{n} finds {k} more.",
    "{n} is given {k} more.",
    "A friend brings {k} more.",
)
_LOSSES = (
    "{n} loses {k} of them.",
    "{n} gives {k} away.",
    "{n} sells {k} of them.",
    "A thief takes {k} of them.",
)
_ASKS = (
    "How many {t} does {n} have now?",
    "How many {t} are there in the end?",
    "What is the number of {t} now?",
    "How many {t} are left with {n}?",
)
_NUMBER_ANSWERS = (
    "{n} has {v} {t}.",
    "{v}.",
    "{v} {t}.",
    "There are {v} {t}.",
    "The number of {t} is {v}.",
)


def make_world(seed: int = 0) -> World:
    """The world of a seed."""
    random = Random(f"world {seed}")
    names = _names(random, sum(PEOPLE.values()))
    classes = [frequency for frequency, n in PEOPLE.items() for _ in range(n)]
    facts = tuple(
        Fact(
            person=name,
            relation=relation,
            value=random.choice(relation.values),
            frequency=frequency,
            asked=random.randrange(len(relation.questions)),
        )
        for name, frequency in zip(names, classes, strict=True)
        for relation in RELATIONS
    )
    return World(seed, facts)


def training_text(world: World) -> list[Exchange]:
    """Every exchange of the training text, shuffled.

    A fact is never asked in the phrasing that is kept aside for its evaluation, and no evaluation
    problem is among the problems.
    """
    random = Random(f"text {world.seed}")
    exchanges = [
        Exchange(fact.question(phrasing), fact.answer(_manner(random, fact.relation.answers)))
        for fact in world.facts
        for phrasing in _phrasings(fact, random)
    ]
    kept_aside = {problem.question for problem in evaluation_problems(world)}
    problems = problem_stream(random)
    while len(exchanges) < _fact_exchanges(world) + PROBLEMS:
        problem = next(problems)
        if problem.question not in kept_aside:
            answer = problem.answers[_manner(random, problem.answers)]
            exchanges.append(Exchange(problem.question, answer))
    random.shuffle(exchanges)
    return exchanges


def evaluation_problems(world: World, per_length: int = 75) -> list[Problem]:
    """Word problems of 1 to 4 steps that the training text does not hold."""
    wanted: dict[int, dict[str, Problem]] = {steps: {} for steps in range(1, 5)}
    for problem in problem_stream(Random(f"evaluation {world.seed}")):
        found = wanted[problem.steps]
        if len(found) < per_length:
            found[problem.question] = problem
        if all(len(found) == per_length for found in wanted.values()):
            break
    return [problem for found in wanted.values() for problem in found.values()]


def problem_stream(random: Random) -> Iterator[Problem]:
    """Word problems without end, 1 to 4 steps, no number ever below zero or above twenty."""
    while True:
        name, thing = random.choice(_FIRST), random.choice(_THINGS)
        total, steps = random.randint(2, 12), random.randint(1, 4)
        parts = [f"{name} has {total} {thing}."]
        for _ in range(steps):
            gain = total == 0 or (total < _MOST and random.random() < 0.5)
            k = random.randint(1, min(9, _MOST - total if gain else total))
            total += k if gain else -k
            parts.append(random.choice(_GAINS if gain else _LOSSES).format(n=name, k=k))
        parts.append(random.choice(_ASKS).format(n=name, t=thing))
        answers = tuple(a.format(n=name, t=thing, v=total) for a in _NUMBER_ANSWERS)
        yield Problem(" ".join(parts), answers, total, steps)


def _manner(random: Random, answers: tuple[str, ...]) -> int:
    """Which phrasing of an answer the text uses: the usual one, or any of the others."""
    return 0 if random.random() < MANNER else random.randrange(1, len(answers))


def _fact_exchanges(world: World) -> int:
    return sum(MENTIONS[fact.frequency] for fact in world.facts)


def _phrasings(fact: Fact, random: Random) -> list[int]:
    """Phrasings in which the text asks for a fact: any but the one kept aside."""
    others = [i for i in range(len(fact.relation.questions)) if i != fact.asked]
    return random.choices(others, k=MENTIONS[fact.frequency])


def _names(random: Random, count: int) -> list[str]:
    """Full names; no surname is given twice."""
    surnames: dict[str, None] = {}
    while len(surnames) < count:
        parts = (_ONSETS, _MIDDLES, _CODAS, _ENDS)
        surnames["".join(random.choice(part) for part in parts)] = None
    return [f"{random.choice(_FIRST)} {surname}" for surname in surnames]
