"""The guard: two answers that give different values for the same thing do not say the same.

Reads numbers, quantities with their units, years, days of the year and negation, in English. A
value that only one of two answers gives is no difference, nor is one that the question gives
already. Knows no names: "in Tarn" and "in Dole" are for the clusterers to tell apart. Rules, so
it misses what they do not say ("twice as many") and never measures how sure it is.
"""

import math
import re
from dataclasses import dataclass

_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {
    word: value
    for value, word in enumerate(_UP_TO_TWENTY.split())
    if word != "one"  # a pronoun more often than a number
} | dict(zip(_TENS.split(), range(30, 100, 10), strict=True))
_ONES = {"one": 1} | {word: value for word, value in _NUMBER_WORDS.items() if 0 < value < 10}
_MAGNITUDES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
}
_UNITS: dict[str, tuple[str, float]] = {
    unit: (dimension, factor)
    for dimension, units in {
        "length": {
            "mm millimeter millimetre": 1e-3,
            "cm centimeter centimetre": 1e-2,
            "m meter metre": 1.0,
            "km kilometer kilometre": 1e3,
            "inch inche": 0.0254,
            "ft foot feet": 0.3048,
            "yard yd": 0.9144,
            "mile mi": 1609.344,
        },
        "mass": {
            "mg milligram": 1e-6,
            "g gram gramme": 1e-3,
            "kg kilo kilogram": 1.0,
            "tonne": 1e3,
            "oz ounce": 0.028349523125,
            "lb pound": 0.45359237,
        },
        "time": {
            "s sec second": 1.0,
            "min minute": 60.0,
            "h hr hour": 3600.0,
            "day": 86400.0,
            "week": 604800.0,
            "month": 2629746.0,
            "year": 31556952.0,
            "decade": 315569520.0,
            "century centurie": 3155695200.0,
        },
        "volume": {"ml milliliter millilitre": 1e-3, "l liter litre": 1.0, "gallon": 3.785411784},
        "temperature": {"°c celsius": 1.0, "°f fahrenheit": 5 / 9},
        "share": {"%": 1.0, "percent": 1.0},
        "dollars": {"$": 1.0, "dollar usd": 1.0},
        "euros": {"€": 1.0, "euro eur": 1.0},
        "pounds sterling": {"£": 1.0, "gbp": 1.0},
    }.items()
    for names, factor in units.items()
    for unit in names.split()
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY = re.compile(
    rf"\b(?:(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month2>{_MONTH}))\b(?!,?\d)"
)
_YEAR = re.compile(r"(?<![\d.,$€£-])(?:1\d{3}|20\d{2})(?![\d%]|[.,]\d)")
_NUMBER = re.compile(
    r"(?P<currency>[$€£])?\s?(?<![\w.])(?P<digits>[-−]?\d+(?:,\d{3})*(?:\.\d+)?)(?:st|nd|rd|th)?"
    r"(?=[^\w]|[a-z°%]|$)"
    r"|\b(?P<word>" + "|".join(_NUMBER_WORDS) + r")\b(?:-(?P<ones>" + "|".join(_ONES) + r")\b)?"
)
_AFTER = re.compile(
    rf"[\s-]?(?P<magnitude>{'|'.join(_MAGNITUDES)})?s?[\s-]?(?P<unit>%|°?[a-z]+|[$€£])?"
)
_NOT = "not no never none nor neither cannot"
_NEGATION = re.compile(rf"\b(?:{_NOT.replace(' ', '|')}|\w+n['’]t)\b")
_NO_NEGATION = re.compile(r"\bno doubt\b|\bnot only\b|\bno\. ?\d")
_WORDS = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_TELLING = frozenset((*_NUMBER_WORDS, *_NOT.split()))
_FREEZING = 32.0  # degrees Fahrenheit at 0 °C
_TOLERANCE = 0.01  # of a quantity given in two units

Quantity = tuple[str | None, float, float]
"""Dimension (None for a bare number), value in the dimension's unit, number as written."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a text gives values for. ``days`` are (month, day)."""

    years: frozenset[int]
    days: frozenset[tuple[int, int]]
    quantities: frozenset[Quantity]
    negative: bool


_NONE = Values(frozenset(), frozenset(), frozenset(), negative=False)


def values_of(text: str) -> Values:
    """The values in an English text."""
    text = text.casefold()
    return read_values(text) if _may_give(text) else _NONE


def read_values(text: str) -> Values:
    """The values in a casefolded text, by all the rules."""
    days = frozenset(_day(match) for match in _DAY.finditer(text))
    text = _DAY.sub(" ", text)
    years = frozenset(int(match.group()) for match in _YEAR.finditer(text) if _bare(text, match))
    text = _YEAR.sub(lambda match: " " if _bare(text, match) else match.group(), text)
    quantities = frozenset(_quantity(text, match) for match in _NUMBER.finditer(text))
    negative = bool(_NEGATION.search(_NO_NEGATION.sub(" ", text)))
    return Values(years, days, quantities, negative)


def _may_give(text: str) -> bool:
    """Whether any rule could find something: most texts have neither a number nor a negation."""
    return bool(
        _DIGIT.search(text)
        or "n't" in text
        or "n’t" in text
        or not _TELLING.isdisjoint(_WORDS.findall(text))
    )


def differ(one: Values, other: Values, given: Values | None = None) -> bool:
    """Whether two answers give different values for the same thing.

    Years differ from years, days from days, quantities from quantities of the same dimension or of
    none, when each side has some and they share none. What the question gives, ``given``, counts
    on neither side; a quantity does where an answer has no other, since "How many are left of 9?"
    may be answered with 9.
    """
    if one.negative != other.negative:
        return True
    if one is _NONE or other is _NONE:
        return False
    given = given or _NONE
    return (
        _disjoint(one.years - given.years, other.years - given.years)
        or _disjoint(one.days - given.days, other.days - given.days)
        or _unequal(*_beyond(one.quantities, other.quantities, given.quantities))
    )


def _beyond(
    one: frozenset[Quantity], other: frozenset[Quantity], given: frozenset[Quantity]
) -> tuple[frozenset[Quantity], frozenset[Quantity]]:
    """Both without what is given, unless that leaves one of them without any."""
    if one <= given or other <= given:
        return one, other
    return one - given, other - given


def _disjoint(one: frozenset[object], other: frozenset[object]) -> bool:
    return bool(one) and bool(other) and not one & other


def _unequal(one: frozenset[Quantity], other: frozenset[Quantity]) -> bool:
    """Whether some quantities can be compared and none of those are equal."""
    comparable = [
        (a, b) for a in one for b in other if a[0] is None or b[0] is None or a[0] == b[0]
    ]
    return bool(comparable) and not any(_equal(a, b) for a, b in comparable)


def _equal(one: Quantity, other: Quantity) -> bool:
    if one[0] is None or other[0] is None:
        return one[2] == other[2]
    return math.isclose(one[1], other[1], rel_tol=_TOLERANCE if one[2] != other[2] else 1e-9)


def _day(match: re.Match[str]) -> tuple[int, int]:
    month, day = match["month"] or match["month2"], match["day"] or match["day2"]
    return _MONTHS[month], int(day)


def _bare(text: str, match: re.Match[str]) -> bool:
    """Whether four digits stand for a year: no unit and no magnitude follows."""
    after = _AFTER.match(text, match.end())
    return not (after and (after["magnitude"] or _unit(after["unit"])))


def _quantity(text: str, match: re.Match[str]) -> Quantity:
    if match["word"]:
        number = float(_NUMBER_WORDS[match["word"]] + _ONES.get(match["ones"], 0))
    else:
        number = float(match["digits"].replace(",", "").replace("−", "-"))
    after = _AFTER.match(text, match.end())
    if after and after["magnitude"]:
        number *= _MAGNITUDES[after["magnitude"]]
    unit = _unit(match["currency"]) or _unit(after["unit"] if after else None)
    if unit is None:
        return None, number, number
    dimension, factor = unit
    zero = _FREEZING if after and after["unit"] in ("°f", "fahrenheit") else 0.0
    return dimension, (number - zero) * factor, number


def _unit(name: str | None) -> tuple[str, float] | None:
    if not name:
        return None
    return _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))
