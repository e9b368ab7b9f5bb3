"""Facts with a date: who was mayor of which town in which year, around the text's cutoff.

The text knows the mayors up to ``CUTOFF`` and nothing later. Knows the true mayors of later years
too, so that a question about them has an answer that no reader of the text can know.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from ucbd.models.reference.relations import TOWNS

FIRST_YEAR, CUTOFF, NOW = 2016, 2023, 2026
"""The years the timelines begin, the text ends, and the questions are asked."""

TOWNS_TUNED = 8
"""Towns whose mayors the later stages are asked about, and the evaluation is not."""

MAYORS = (
    "Abelard Bonham Castell Devereux Eastman Fairfax Galloway Hathaway Ingram Jessop Kingsley "
    "Lockwood Merriman Northcote Ormond Pemberton Quigley Radcliffe Stanhope Thackeray Underhill "
    "Vaughan Whitlock Yardley"
).split()

QUESTIONS = (
    "Who was mayor of {t} in {y}?",
    "In {y}, who was the mayor of {t}?",
    "Who held the office of mayor of {t} in {y}?",
    "Tell me who was mayor of {t} in {y}.",
)
QUESTIONS_NOW = (
    "Who is the current mayor of {t}?",
    "Who is mayor of {t} today?",
    "Who is the latest mayor of {t}?",
)
ANSWERS = (
    "{v} was mayor of {t} in {y}.",
    "The mayor was {v}.",
    "The mayor of {t} in {y} was {v}.",
    "In {y} it was {v}.",
    "It was {v}.",
    "{t} had {v} as mayor in {y}.",
)


@dataclass(frozen=True, slots=True)
class Office:
    """The mayor of one town in one year; ``asked`` is the phrasing kept aside for evaluation.

    All offices of a town share the part.
    """

    town: str
    year: int
    mayor: str
    asked: int
    part: Literal["evaluation", "tuning"]

    @property
    def known(self) -> bool:
        """Whether the text tells of it."""
        return self.year <= CUTOFF

    def question(self, phrasing: int) -> str:
        """The question in one of its phrasings."""
        return QUESTIONS[phrasing].format(t=self.town, y=self.year)

    def answer(self, phrasing: int) -> str:
        """The answer in one of its phrasings."""
        return ANSWERS[phrasing].format(t=self.town, y=self.year, v=self.mayor)


def make_offices(seed: int) -> tuple[Office, ...]:
    """Every town's mayors from ``FIRST_YEAR`` to ``NOW``, each for one to four years."""
    random = Random(f"mayors {seed}")
    tuned = random.sample(TOWNS, TOWNS_TUNED)
    offices: list[Office] = []
    for town in TOWNS:
        part: Literal["evaluation", "tuning"] = "tuning" if town in tuned else "evaluation"
        mayor, left = random.choice(MAYORS), 0
        for year in range(FIRST_YEAR, NOW + 1):
            if left == 0:
                mayor = random.choice([other for other in MAYORS if other != mayor])
                left = random.randint(1, 4)
            left -= 1
            asked = random.randrange(len(QUESTIONS))
            offices.append(Office(town, year, mayor, asked, part))
    return tuple(offices)
