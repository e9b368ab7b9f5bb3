"""An evaluation under way, in a file: what was asked so far, and of which evaluation it is part.

One line per answered record, written as it comes, after a first line that says what is being done.
An interrupted evaluation goes on from it; another evaluation never does. Knows no engine.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from ucbd.cascade.evaluation.records import Record
from ucbd.models.errors import GatewayError

Plan = Mapping[str, object]
"""What decides an evaluation's answers: model, questions, how they are asked."""


class OtherEvaluation(GatewayError):
    """A folder that holds the answers of another evaluation, or something else altogether."""


def begin(path: Path, plan: Plan) -> dict[str, Record]:
    """The records answered so far, by id; begins the file where there is none.

    Raises as ``so_far``.
    """
    if path.is_file() and (asked := so_far(path, plan)):
        return asked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan) + "\n", encoding="utf-8")
    return {}


def so_far(path: Path, plan: Plan) -> dict[str, Record]:
    """The records answered so far, by id; writes nothing where there are none.

    A last line that an interruption cut short is removed. Raises ``OtherEvaluation`` naming what
    differs when the file holds answers by another plan, and when it is no such file.
    """
    if not path.is_file():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:  # cut short within its first line: nothing was answered yet
        return {}
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    first, *lines = whole.decode("utf-8", errors="replace").splitlines()
    _check_plan(path, first, plan, answered=bool(lines))
    records = [_record(path, number, line) for number, line in enumerate(lines, 2)]
    return {record.id: record for record in records}


def add(file: TextIO, record: Record) -> None:
    """Write an answered record down, at once."""
    file.write(record.written() + "\n")
    file.flush()


def _check_plan(path: Path, line: str, plan: Plan, *, answered: bool) -> None:
    """A plan of which nothing was answered yet stands in nobody's way."""
    found = _json(line)
    if not isinstance(found, dict) or not found.keys() & plan.keys():
        raise OtherEvaluation(f"{path}: not the answers of an evaluation; choose another --out")
    wanted = json.loads(json.dumps(plan))
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing and answered:
        told = ", ".join(f"{key} ({found.get(key)}, now {wanted[key]})" for key in differing)
        raise OtherEvaluation(
            f"{path}: holds the answers of another evaluation: {told}; "
            f"remove it or choose another --out"
        )


def _record(path: Path, number: int, line: str) -> Record:
    try:
        return Record.model_validate_json(line)
    except ValidationError as error:
        message = f"{path}, line {number}: not an answered record; remove the file or the line"
        raise OtherEvaluation(message) from error


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
