"""Whether an answer is right, by comparing it with reference answers under a stated rule.

Rules are of form, not of meaning: a right answer in other words counts as wrong, and a wrong one
that mentions the reference as right. Knows no records and no models.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

MatchRule = Literal["exact", "number", "contains"]

_ARTICLES = {"a", "an", "the"}
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_RELATIVE = 1e-6


def matches(answer: str, references: Sequence[str], rule: MatchRule) -> bool:
    """Whether the answer agrees with any of the references.

    ``exact``: equal after ``normalise``. ``contains``: a reference stands in the answer as whole
    words. ``number``: the answer's last number equals the reference's last, to a relative 1e-6.
    """
    return any(_RULES[rule](answer, reference) for reference in references)


def normalise(text: str) -> str:
    """NFKC, casefold, punctuation and articles dropped, space collapsed."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if _is_punctuation(sign) else sign for sign in folded)
    return " ".join(word for word in kept.split() if word not in _ARTICLES)


def last_number(text: str) -> float | None:
    """The last number of a text, thousands separated by commas or not; None without one."""
    found = _NUMBER.findall(unicodedata.normalize("NFKC", text))
    return float(found[-1].replace(",", "")) if found else None


def _exact(answer: str, reference: str) -> bool:
    return normalise(answer) == normalise(reference) != ""


def _contains(answer: str, reference: str) -> bool:
    wanted = normalise(reference)
    return wanted != "" and f" {wanted} " in f" {normalise(answer)} "


def _number(answer: str, reference: str) -> bool:
    said, wanted = last_number(answer), last_number(reference)
    if said is None or wanted is None:
        return False
    return abs(said - wanted) <= _RELATIVE * max(abs(said), abs(wanted))


def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PS"


_RULES = {"exact": _exact, "contains": _contains, "number": _number}
