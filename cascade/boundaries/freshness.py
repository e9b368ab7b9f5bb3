"""B3, freshness: does the question ask for a time that the model's text does not reach?

A rule over the question's words, in English: no model, microseconds. It does not know whether the
answer changed since the cutoff, only how likely that is to have happened at the domain's rate; a
question that needs fresh facts without saying so ("Who is mayor of Holm?") passes it by.
"""

import calendar
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Unavailable, Uninformative
from ucbd.cascade.outcome import Action

_DAYS_PER_YEAR = 365.25
_CHARGE = (
    r"(?:through|flow\w*|pass\w*|is|are|was|in|at|of|and|or|has|can|does|that|which|equals|density"
    r"|source|divider|mirror|loop|meter|transformer|gain|carrying)"
)
"""What follows the current in a wire, and never "current" before what it is of."""
_PRESENT = re.compile(
    r"\b(?:today|tonight|yesterday|tomorrow|currently|nowadays|recently|right now|these days"
    r"|at the moment|at present|present-day|up[- ]to[- ]date|so far|as of now|until now"
    r"|(?<!at the )latest|newest|most recent"
    r"|(?:the|my|our|your|its|their|his|her|whose|which|what|is|are|any|a|an) "
    r"(?:current|recent|incumbent|reigning)"
    r"|(?:this|last|next|past|coming) (?:week|weekend|month|year|season|quarter|decade))\b"
    r"|(?:^|[.!?:]\s+|\b(?:name|list|give|tell|show|find|me|us) )"
    rf"(?:current|recent|incumbent|reigning) (?=\w)(?!{_CHARGE}\b)"
)
_MONTHS = {name.casefold(): number for number, name in enumerate(calendar.month_name) if name} | {
    name.casefold(): number for number, name in enumerate(calendar.month_abbr) if name
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_NAMED = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? )?({_MONTH})\.?(?: (\d{{1,2}})(?:st|nd|rd|th)?)?,? "
    r"((?:19|20)\d\d)\b"
)
_YEAR = re.compile(
    r"\b(?:in|of|since|until|till|by|during|after|before|for|from|year|the|summer|winter|spring"
    r"|autumn|fall|and|to|late|early|mid) ((?:19|20)\d\d)\b(?! ?(?:%|[a-z]*(?:meters|metres|miles"
    r"|people|dollars|euros|kilometers|kilometres|feet|books|years|pounds)\b))"
)
_RECURRING = (
    r"(?:cup|bowl|olympics?|paralympics|election|elections|championships?|tournament|prix"
    r"|eurovision|oscars|census|midterms|winner|champion)"
)
_OF_AN_EVENT = re.compile(
    r"\b((?:19|20)\d\d) (?:(?!(?:in|of|at|for|from|to|on|with|and|or|the|a)\b)[\w'’-]+ ){0,3}"
    rf"{_RECURRING}\b|\b{_RECURRING} ((?:19|20)\d\d)\b"
)
"""A bare number is a year beside what comes back every few years."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What is known of a field: until when, and how fast its facts change.

    ``cutoff`` is the last day that the model's text reaches; ``decay`` is λ, a year: half of the
    facts have changed after ``ln 2 / decay`` years. ``words`` are those of its questions; none
    for the domain of all others.
    """

    name: str
    cutoff: date
    decay: float
    words: tuple[str, ...] = ()

    def freshness(self, asked: date) -> float:
        """``F = exp(−λ (t_q − t_k))``, 0 … 1, 1 up to the cutoff (method.md section 3, B3)."""
        years = max(0, (asked - self.cutoff).days) / _DAYS_PER_YEAR
        return math.exp(-self.decay * years)

    def concerns(self, question: str) -> bool:
        """Whether one of its words is in the question."""
        return any(re.search(rf"\b{re.escape(w)}\b", question, re.IGNORECASE) for w in self.words)


class Freshness:
    """``1 − F`` of the question's domain, for a question that asks for a time after its cutoff.

    Score and uncertainty: 0 … 1, higher = less certain. ``domains`` are tried in their order, the
    one without words taking what no other does; none means that no cutoff is known.
    """

    name = "freshness"
    action: Action = "search"

    def __init__(self, domains: Sequence[Domain]) -> None:
        self._domains = sorted(domains, key=lambda domain: not domain.words)

    async def assess(self, case: Case) -> Finding:
        """Read the question; ``Uninformative`` when it asks for no time after the cutoff."""
        question = case.question
        domain = self._domain(question.text)
        if domain is None:
            return Unavailable("no knowledge cutoff is set for this model")
        times = list(asked_times(question.text))
        if asks_for_the_present(question.text):
            if question.asked_at is None and not times:
                return Unavailable("it asks for the present, and when it was asked is not known")
            times += [question.asked_at.date()] if question.asked_at else []
        signal = f"freshness({domain.name},cutoff={domain.cutoff},decay={domain.decay:g})"
        latest = max(times, default=domain.cutoff)
        if latest <= domain.cutoff:
            reason = f"the question asks for no time after {domain.cutoff}"
            return Uninformative(signal, 0.0, reason)
        stale = 1 - domain.freshness(latest)
        if case.scope.answer:
            return OutOfScope(case.scope.answer, stale)
        return Measured(signal, stale, stale)

    def _domain(self, question: str) -> Domain | None:
        fitting = (d for d in self._domains if not d.words or d.concerns(question))
        return next(fitting, None)


def asks_for_the_present(question: str) -> bool:
    """Whether the words ask for now. A bare "now" does not: word problems are full of it."""
    return bool(_PRESENT.search(question.casefold()))


def asked_times(question: str) -> Iterator[date]:
    """The last day of every date, month or year that the question names, from 1900 to 2099."""
    text = question.casefold()
    for year, month, day in _ISO.findall(text):
        yield from _last_day(int(year), int(month), int(day or 0))
    for before, month, after, year in _NAMED.findall(text):
        yield from _last_day(int(year), _MONTHS[month], int(before or after or 0))
    rest = _NAMED.sub(" ", text)
    years = _YEAR.findall(rest) + [a or b for a, b in _OF_AN_EVENT.findall(rest)]
    for year in dict.fromkeys(years):
        yield from _last_day(int(year), 12, 31)


def _last_day(year: int, month: int, day: int) -> Iterator[date]:
    """Of the month where no day is named; nothing for what is no date."""
    if not 1 <= month <= 12:
        return
    length = calendar.monthrange(year, month)[1]
    if day <= length:
        yield date(year, month, day or length)
