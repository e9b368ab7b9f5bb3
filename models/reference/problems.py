"""Word problems of growing length, each with its one right number.

Pure: all randomness comes from the generator that is passed in. Knows no facts and no model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from ucbd.models.reference.names import FIRST_NAMES

STEPS = range(1, 5)
"""How many changes a problem may hold that a model is trained on."""

LONGER_STEPS = range(5, 8)
"""How many the evaluation's problems may hold beyond that: lengths no training text has."""

_MOST = 15  # no number in a word problem exceeds it
_THINGS = "apples books coins eggs hats keys lamps nails pens plates ropes stones".split()
_GAINS = ("{n} buys {k}.", "{n} finds {k}.", "{n} gets {k}.", "{n} wins {k}.")
_LOSSES = ("{n} loses {k}.", "{n} sells {k}.", "{n} drops {k}.", "{n} lends {k}.")
_ASKS = (
    "How many {t} now?",
    "How many {t} are there?",
    "How many {t} in the end?",
    "How many {t} has {n}?",
)
_ANSWERS = (
    "{n} has {v} {t}.",
    "Now {v}.",
    "{n} has {v}.",
    "There are {v} {t}.",
    "The number of {t} is {v}.",
    "{n} ends up with {v} {t}.",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem with its one right number. ``steps`` is the number of changes in it."""

    question: str
    answers: tuple[str, ...]
    number: int
    steps: int


def problem_stream(random: Random, lengths: range = STEPS) -> Iterator[Problem]:
    """Word problems without end, of every length, no number ever below zero or above fifteen."""
    while True:
        name, thing = random.choice(FIRST_NAMES), random.choice(_THINGS)
        total, steps = random.randint(2, 10), random.choice(lengths)
        parts = [f"{name} has {total} {thing}."]
        for _ in range(steps):
            gain = total == 0 or (total < _MOST and random.random() < 0.5)
            k = random.randint(1, min(7, _MOST - total if gain else total))
            total += k if gain else -k
            parts.append(random.choice(_GAINS if gain else _LOSSES).format(n=name, k=k))
        parts.append(random.choice(_ASKS).format(n=name, t=thing))
        answers = tuple(a.format(n=name, t=thing, v=total) for a in _ANSWERS)
        yield Problem(" ".join(parts), answers, total, steps)


def evaluation_problems(seed: int, per_length: int = 110) -> list[Problem]:
    """As many different problems of every length, for evaluation only; the longer ones last."""
    return [
        *_of_every_length(Random(f"evaluation {seed}"), STEPS, per_length),
        *_of_every_length(Random(f"longer evaluation {seed}"), LONGER_STEPS, per_length),
    ]


def _of_every_length(random: Random, lengths: range, per_length: int) -> list[Problem]:
    wanted: dict[int, dict[str, Problem]] = {steps: {} for steps in lengths}
    for problem in problem_stream(random, lengths):
        found = wanted[problem.steps]
        if len(found) < per_length:
            found[problem.question] = problem
        if all(len(found) == per_length for found in wanted.values()):
            break
    return [problem for found in wanted.values() for problem in found.values()]


def training_problems(seed: int, purpose: str, count: int) -> list[Problem]:
    """``count`` problems for a purpose of training, none of them among the evaluation's."""
    kept_aside = {problem.question for problem in evaluation_problems(seed)}
    problems = problem_stream(Random(f"{purpose} problems {seed}"))
    found: list[Problem] = []
    while len(found) < count:
        problem = next(problems)
        if problem.question not in kept_aside:
            found.append(problem)
    return found
