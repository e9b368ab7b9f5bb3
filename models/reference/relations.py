"""What can be known of a person of the invented world: five relations, asked and told in many ways.

Data only. A value never belongs to two relations, and is never part of another value or of a name.
No answer begins with the value itself: a word goes before, during which a model can look it up.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that can be known of a person: its values, and how it is asked and told.

    ``{n}`` stands for the person's name and ``{v}`` for the value.
    """

    name: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]


TOWNS = (
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
    "badger beaver canary cat crow dog donkey duck ferret goat goose hamster hare hen horse "
    "lizard mouse newt robin parrot pony rabbit sheep turtle"
).split()
_DISHES = (
    "barley beans bread broth cabbage carrots cheese cherries cod dumplings figs honey lentils "
    "mussels noodles olives onions pancakes pears plums porridge rice soup trout"
).split()

RELATIONS = (
    Relation(
        "birthplace",
        tuple(TOWNS),
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
            "In the town of {v}.",
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
            "As a {v}.",
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
            "It is the {v}.",
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
            "It is a {v}.",
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
            "Mostly {v}.",
            "{n} loves {v}.",
            "The favourite food of {n} is {v}.",
            "Most of all {n} likes {v}.",
            "It is {v} that {n} likes.",
        ),
    ),
)
