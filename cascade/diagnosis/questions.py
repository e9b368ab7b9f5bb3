"""What a model is asked: the 200 questions that ship, or a file of the user's. Knows no model.

Those that ship were written for this, in 17 languages and of six kinds; ``reference`` stands only
where one answer is certainly right. Words cannot be matched in Chinese, Japanese and Korean, which
do not part them, so those have references of numbers only.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ucbd.cascade.evaluation.records import Record, RecordsUnreadable, read_records

KINDS = ("short_factual", "misconception", "arithmetic", "date", "opinion", "unanswerable")
"""Of the questions that ship, in the order in which a report names them."""


def shipped() -> Path:
    """The file of the questions that ship."""
    return Path(str(files("ucbd.cascade"))) / "diagnosis" / "questions.jsonl"


def read_questions(path: Path) -> list[Record]:
    """The questions of a file. Raises ``RecordsUnreadable``, for an empty prompt too."""
    questions = list(read_records(path))
    for question in questions:
        if not question.prompt.strip():
            raise RecordsUnreadable(f"{path}: question {question.id!r}: prompt: is empty")
    return questions


def kind(record: Record) -> str | None:
    """What kind of question it is, by its key ``kind``; None without one."""
    return _text(record, "kind")


def language(record: Record) -> str | None:
    """The question's language, by its key ``language``; None without one."""
    return _text(record, "language")


def every(questions: Sequence[Record], step: int) -> frozenset[str]:
    """Ids of every ``step``-th question of each kind: a share of each, the same ones every time."""
    seen: dict[str | None, int] = {}
    chosen = set()
    for question in questions:
        place = seen.get(kind(question), 0)
        seen[kind(question)] = place + 1
        if place % step == 0:
            chosen.add(question.id)
    return frozenset(chosen)


def fingerprint(questions: Sequence[Record]) -> str:
    """Of ids and prompts, in their order: two diagnoses with the same one asked the same."""
    lines = "".join(f"{question.id}\0{question.prompt}\0" for question in questions)
    return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()


def _text(record: Record, key: str) -> str | None:
    value = (record.model_extra or {}).get(key)
    return str(value) if value is not None else None
