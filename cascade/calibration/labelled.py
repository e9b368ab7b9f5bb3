"""Which records a profile can be made of: labelled answers of one model, drawn in one way.

Says what is wrong with those that cannot, by record and field. Fits nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ucbd.cascade.calibration.certify import fewest_answers
from ucbd.cascade.calibration.fit import LEAST
from ucbd.cascade.calibration.profile import MadeFor
from ucbd.cascade.evaluation.records import Record, RecordsUnreadable
from ucbd.cascade.policy import Policy
from ucbd.cascade.reasoning import final_answer

FIT_SHARE = 0.4
"""Of the records; the others certify, where every answer counts."""

_SHOWN = 3


def usable(records: Iterable[Record]) -> list[Record]:
    """The answered records with a label.

    Raises ``RecordsUnreadable`` where all labels are of one class, where there are too few of one
    to fit anything, and where the same answer to the same question is called right and wrong.
    """
    found = [r for r in records if r.answer is not None and r.correct is not None]
    wrong = sum(not record.correct for record in found)
    right = len(found) - wrong
    if not found:
        raise RecordsUnreadable("no record has an answer and a label")
    if not wrong or not right:
        kind = "right" if right else "wrong"
        raise RecordsUnreadable(
            f"correct: all {len(found)} labelled answers are {kind}; a profile needs both kinds"
        )
    if min(right, wrong) < 2 * LEAST:
        raise RecordsUnreadable(
            f"correct: {right} right and {wrong} wrong answers; at least {2 * LEAST} of each are "
            f"needed, some to fit and the others to certify{_fed_back(found, 'of them')}"
        )
    check_labels_agree(found)
    return found


def check_enough(records: Sequence[Record], alpha: float, delta: float) -> None:
    """Raises ``RecordsUnreadable`` where not even answers without an error would certify α.

    Volunteered labels are not counted: more of them would change nothing.
    """
    least = math.ceil(fewest_answers(alpha, delta) / (1 - FIT_SHARE))
    drawn = sum(not volunteered(record) for record in records)
    if drawn < least:
        raise RecordsUnreadable(
            f"{drawn} labelled answers; to certify an error rate of {alpha:g} at confidence "
            f"{1 - delta:g} takes at least {least}, if none of those held out is wrong"
            f"{_fed_back(records, 'more')}"
        )


def volunteered(record: Record) -> bool:
    """Whether its label is no draw's: such are fitted to and never certify."""
    return record.label_source == "feedback"


def made_for(records: Sequence[Record]) -> MadeFor:
    """Whose answers they are and how they came about.

    Raises ``RecordsUnreadable`` for records of several models, or drawn in several ways.
    """
    sampling = _one(records, "sampling")
    return MadeFor(
        model=_one(records, "model"),
        revision=_one(records, "model_revision"),
        prompt_template=_one(records, "prompt_template"),
        sample_temperature=None if sampling is None else sampling.temperature,
    )


def fitting_policy(base: Policy, records: Sequence[Record], clusterer: str, error: float) -> Policy:
    """The base policy with no more samples than the records have; none, and it never samples.

    Raises ``RecordsUnreadable`` for a record that has fewer than others and than the policy draws.
    """
    counts = Counter(len(record.samples or ()) for record in records)
    least = min(counts)
    changes: dict[str, Any] = {"clusterer": clusterer, "stop_error": error}
    if least < base.samples:
        if len(counts) > 1 and least < 2:
            record = next(r for r in records if len(r.samples or ()) == least)
            raise RecordsUnreadable(
                f"record {record.id!r}: samples: has {least}, others up to {max(counts)}; all need "
                f"as many as are drawn ({base.samples}), or none any"
            )
        if least < 2:
            kept = tuple(rule for rule in base.stages if rule.stage != "sampling")
            changes |= {"stages": kept}
        else:
            changes |= {"samples": least}
    return base.model_copy(update=changes)


def only(policy: Policy, stages: Sequence[str] | None) -> Policy:
    """The policy with no stages but those; all of them for None.

    Raises ``RecordsUnreadable`` for one that it does not have.
    """
    if stages is None:
        return policy
    has = [rule.stage for rule in policy.stages]
    for name in stages:
        if name not in has:
            raise RecordsUnreadable(f"stages: {name!r} is not among {', '.join(has)}")
    kept = tuple(rule for rule in policy.stages if rule.stage in stages)
    return policy.model_copy(update={"stages": kept})


def _fed_back(records: Sequence[Record], which: str) -> str:
    """How many of the records no certificate can be made of; nothing where there are none."""
    many = sum(map(volunteered, records))
    return f"; {many} {which} are feedback, which never certifies" if many else ""


def check_labels_agree(records: Sequence[Record]) -> None:
    """Raises ``RecordsUnreadable`` where one answer to one question is called right and wrong."""
    seen: dict[tuple[str, str], Record] = {}
    against = []
    for record in records:
        said = final_answer(record.answer.text) if record.answer else ""
        first = seen.setdefault((record.prompt, said), record)
        if first.correct != record.correct:
            against.append(f"{first.id!r} and {record.id!r}")
    if against:
        named = "; ".join(against[:_SHOWN]) + (" …" if len(against) > _SHOWN else "")
        raise RecordsUnreadable(
            f"correct: the same answer to the same question is called right and wrong "
            f"{len(against)} times: {named}"
        )


def _one(records: Sequence[Record], field: str) -> Any:
    """What all records have in a field; None where none has it."""
    found: dict[str, Any] = {}
    for record in records:
        value = getattr(record, field, None)
        found.setdefault(repr(value), value)
    if len(found) > 1:
        named = " and ".join(sorted(found)[:_SHOWN])
        raise RecordsUnreadable(f"{field}: the records differ ({named}); calibrate them apart")
    (value,) = found.values()
    return value
