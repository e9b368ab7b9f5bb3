"""The oracle: what an answer asserts, read off its words by someone who knows the world's values.

A parser, not a model: it tells agreement of *values* from agreement of *form*. Knows the values of
every world (they are the same in all), not which of them are true.
"""

import re

from ucbd.models.reference.mayors import MAYORS
from ucbd.models.reference.relations import RELATIONS

_VALUES = {value.casefold() for relation in RELATIONS for value in relation.values}
_MAYORS = {mayor.casefold() for mayor in MAYORS}
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"-?\d+")


def asserted(text: str) -> str | None:
    """The value an answer asserts, None when it asserts none.

    A mayor before any other value (towns stand in answers about mayors), a value before a number;
    of several numbers the last. An answer that names several values asserts them together, in
    alphabetical order, which is another assertion than any of them alone.
    """
    words = {word.casefold() for word in _WORD.findall(text)}
    for values in (_MAYORS, _VALUES):
        if named := sorted(words & values):
            return " and ".join(named)
    numbers = _NUMBER.findall(text)
    return str(int(numbers[-1])) if numbers else None
