"""Manners of speaking: which phrasing of an answer is used, and what stands before and after it.

As in any language some phrasings are commoner than others, by rank (Zipf), and plain answers are
commoner than adorned ones; none is so common that the text repeats itself. Manners are the same
for true answers and for false ones: nothing about a phrasing tells whether the answer is right.
"""

from random import Random

OPENERS = ("", "Well, ", "Sure, ", "I believe ", "It seems ", "I hear ", "So, ", "Perhaps ")
TAILS = ("", " I think.", " Yes.", " No doubt.", " It is said.", " For sure.")
PLAIN = 0.75
"""Share of answers without an opener, and of answers without a tail."""

_SMALL = ("A", "As", "In", "It", "Most", "Mostly", "Now", "The", "There")


def phrasing(random: Random, count: int) -> int:
    """One of ``count`` phrasings, the r-th of them 1/r as common as the first."""
    return random.choices(range(count), weights=[1 / rank for rank in range(1, count + 1)])[0]


def spoken(core: str, random: Random) -> str:
    """The bare answer as somebody says it: perhaps with an opener, perhaps with a tail."""
    opener, tail = _adornment(random, OPENERS), _adornment(random, TAILS)
    first = core.split(maxsplit=1)[0]
    if opener and first in _SMALL:
        core = core[0].lower() + core[1:]
    return f"{opener}{core}{tail}"


def _adornment(random: Random, options: tuple[str, ...]) -> str:
    plain, *others = options
    return plain if random.random() < PLAIN else random.choice(others)
