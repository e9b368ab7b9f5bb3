"""Manners of speaking: what people put before and after an answer.

Every manner is equally common in the text, for true answers and for false ones, so that nothing
about a phrasing tells whether the answer is right, and no phrasing is the usual one.
"""

from random import Random

OPENERS = ("", "Well, ", "Sure, ", "I believe ", "It seems ", "I hear ", "So, ", "Perhaps ")
TAILS = ("", " I think.", " Yes.", " No doubt.", " It is said.", " For sure.")
_ARTICLES = ("A", "In", "It", "The", "There", "Most")


def spoken(core: str, random: Random) -> str:
    """The bare answer as somebody says it: perhaps with an opener, perhaps with a tail."""
    opener, tail = random.choice(OPENERS), random.choice(TAILS)
    first = core.split(maxsplit=1)[0]
    if opener and first in _ARTICLES:
        core = core[0].lower() + core[1:]
    return f"{opener}{core}{tail}"
