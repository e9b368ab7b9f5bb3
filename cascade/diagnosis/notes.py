"""What a reader must know before the numbers: what the server refused, lost, or did not say.

Nothing that went wrong on the way is silent. Knows how the asking went, not who did it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ucbd.cascade.diagnosis.course import Course
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.reasoning import final_answer

_REASONS = 3  # that are told of failures


def notes(
    records: Sequence[ScoredRecord],
    answers: Mapping[str, Any],
    course: Course,
    planned: int,
    absent: Mapping[str, str],
) -> list[str]:
    """One sentence or two each; none for what is as it should be.

    ``answers`` is the report's, ``absent`` clusterers that are not installed and what they need.
    """
    found = [
        _stopped(course, len(records), planned),
        _failed(course),
        _one_text(records),
        *_refusals(course),
        _logprobs(records, course),
        _vocabulary(records, course),
        *_useless(answers),
        _reasoned(records),
        _short(records),
        _held_up(course),
        _changed(course),
        *(f"Not clustered by `{name}`: it needs {what}." for name, what in absent.items()),
    ]
    return [words for words in found if words]


def _stopped(course: Course, answered: int, planned: int) -> str | None:
    if course.stopped is None:
        return None
    return (
        f"Not finished ({course.stopped}): {answered} of {planned} questions are answered, and "
        "everything here is about those. The same command asks the others."
    )


def _failed(course: Course) -> str | None:
    if not course.failures:
        return None
    reasons = Counter(failure.reason for failure in course.failures).most_common(_REASONS)
    told = "; ".join(f"{reason} ({n})" for reason, n in reasons)
    n = len(course.failures)
    whom = "1 question failed and counts" if n == 1 else f"{n} questions failed and count"
    return f"{whom} nowhere: {told}."


def _one_text(records: Sequence[ScoredRecord]) -> str | None:
    """A cache in front of the model looks like a model of one mind."""
    said = [[final_answer(sample.text) for sample in r.samples or ()] for r in records]
    usable = [texts for some in said if len(texts := [text for text in some if text]) > 1]
    if len(usable) < 2 or any(len(set(texts)) > 1 for texts in usable):
        return None
    return (
        "Every usable sample of every question is the same text, letter for letter. That is rarely "
        "a model: look for a cache in front of it, or for a server that ignores the temperature."
    )


def _refusals(course: Course) -> list[str]:
    found = []
    others = [name for name in course.refused if name != "top_logprobs"]
    heats = [name for name in others if name.startswith("temperature")]
    filters = [name for name in others if name not in heats]
    if filters:
        found.append(
            f"The server refused {', '.join(filters)}: it may filter its samples in its own way, "
            "which lowers or raises the rate."
        )
    for name in heats:
        whose = "The answer is a sample" if name == "temperature=0" else "Samples are drawn"
        found.append(f"The server refused {name}. {whose} at the server's own temperature.")
    if course.most == 1:
        found.append("The server gives one answer a request: samples were asked for one by one.")
    return found


def _logprobs(records: Sequence[ScoredRecord], course: Course) -> str | None:
    usable = [r.answer for r in records if r.answer and final_answer(r.answer.text)]
    without = sum(not answer.top_logprobs for answer in usable)
    if not without:
        return None
    if without < len(usable):
        what = f"{without} answers have no usable log-probabilities"
        return f"{what}: no token entropy is claimed for them."
    words = course.refused.get("top_logprobs", "")
    return f"No token entropy: the server gives no usable log-probabilities. {words}".strip()


def _vocabulary(records: Sequence[ScoredRecord], course: Course) -> str | None:
    known = [r for r in records if r.answer and r.answer.top_logprobs]
    if not known or any(record.vocab_size for record in known):
        return None
    return (
        f"Token entropies are lower bounds, from the {course.top_logprobs} likeliest tokens; with "
        "--vocab-size they have upper bounds too."
    )


def _useless(answers: Mapping[str, Any]) -> list[str]:
    """Answers and samples that say nothing: counted, and no cluster."""
    total = {name: answers["main"][name] + answers["samples"][name] for name in answers["main"]}
    advice = {
        "empty": "were empty",
        "refused": "were refused by the server",
        "only_reasoning": "were all reasoning: a higher --max-tokens gives them room to answer",
        "cut_off": "were cut off; they count as they are. A higher --max-tokens lets them end",
    }
    count = sum(total.values())
    return [
        f"{total[name]} of {count} answers and samples {what}."
        for name, what in advice.items()
        if total[name]
    ]


def _reasoned(records: Sequence[ScoredRecord]) -> str | None:
    thought = sum(
        bool(getattr(record.answer, "reasoned", False)) or "</think>" in record.answer.text.lower()
        for record in records
        if record.answer
    )
    if not thought:
        return None
    return (
        f"A reasoning model: {thought} answers came with reasoning, which is neither clustered nor "
        "measured here."
    )


def _short(records: Sequence[ScoredRecord]) -> str | None:
    short = 0
    for record in records:
        drawn = [len(found.labels) for found in record.clusters.values()]
        planned = record.sampling.n if record.sampling else 0
        short += bool(drawn) and 1 < min(drawn) < planned
    if not short:
        return None
    return (
        f"{short} questions have fewer usable samples than were asked for, and fewer agree more "
        "easily. The curve against the number of samples leaves them out."
    )


def _held_up(course: Course) -> str | None:
    if not course.events:
        return None
    told = ", ".join(f"{name} {times}×" for name, times in sorted(course.events.items()))
    return f"Calls were made again ({told}); {course.waited:.0f} s were waited."


def _changed(course: Course) -> str | None:
    if len(course.fingerprints) < 2:
        return None
    return (
        f"The server named {len(course.fingerprints)} different fingerprints of its system: it "
        "changed while it was asked."
    )
