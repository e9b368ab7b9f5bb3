"""Records: one question with what a model said to it, a line of JSON each.

The format is the contract's: questions to ask, recordings to replay and labelled answers to
calibrate on are all records. Nothing is skipped silently: a bad line is an error that names the
file, the line and the field. Knows no engine and no statistics.
"""

import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from ucbd.cascade.entropy import MOST_NATS
from ucbd.cascade.evaluation.matching import MatchRule, matches
from ucbd.cascade.evaluation.unwritable import DEEPEST, unwritable
from ucbd.cascade.reasoning import final_answer
from ucbd.models.errors import GatewayError

_Model = TypeVar("_Model", bound=BaseModel)


def evidence(logits: list[float]) -> list[float]:
    """Logits of which one at least is above 0, without which they say nothing (LogTokU)."""
    if not any(logit > 0 for logit in logits):
        raise ValueError("at least one logit must be above 0")
    return of_float32(logits)


def of_float32(values: list[float]) -> list[float]:
    """What a model can have computed: sums of others overflow. ``-inf`` is a probability of 0."""
    for value in values:
        if abs(value) > FLOAT32 and value != -math.inf:
            raise ValueError(f"a model's numbers are at most {FLOAT32:g} in size, one is {value:g}")
    return values


FLOAT32 = 3.4028234663852886e38
"""The largest number of single precision."""

Count = Annotated[int, Field(ge=0, le=10**9)]

NonNegative = Annotated[float, Field(ge=0)]
Nats = Annotated[float, Field(ge=0, le=MOST_NATS)]
NonPositive = Annotated[float, Field(le=0)]
Logprobs = Annotated[list[NonPositive], AfterValidator(of_float32)]
Logits = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], AfterValidator(evidence)]


class RecordsUnreadable(GatewayError):
    """A file that is not a whole file of records: where it breaks, and what would be right."""


class Answer(BaseModel):
    """The main answer. Entropies in nats, one per token, 0 … 50; ``top_logits`` are the
    largest raw logits of each; ``p_true`` is P(True) of the answer."""

    model_config = ConfigDict(extra="allow")

    text: str
    tokens: Count | None = None
    token_entropies: list[Nats] | None = None
    token_logprobs: Logprobs | None = None
    top_logprobs: list[list[NonPositive]] | None = None
    top_logits: Annotated[list[Logits], Field(min_length=1)] | None = None
    p_true: Annotated[float, Field(ge=0, le=1)] | None = None


class Sample(BaseModel):
    """One further answer to the same question."""

    model_config = ConfigDict(extra="allow")

    text: str
    tokens: Count | None = None
    token_logprobs: Logprobs | None = None


class SamplingSettings(BaseModel):
    """How the samples were drawn."""

    model_config = ConfigDict(extra="allow")

    n: Annotated[int, Field(ge=0)]
    temperature: NonNegative
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


class Record(BaseModel):
    """One line. Keys that are not named here are carried through.

    A ``correct`` that is given, even as null, is final; else ``label`` derives it.
    ``label_source`` is who gave it: an audit of requests drawn at random, or whoever volunteered.
    Where it is not told, the records are taken for such a draw.
    """

    model_config = ConfigDict(extra="allow")

    id: str
    prompt: str
    answer: Answer | None = None
    samples: list[Sample] | None = None
    correct: Annotated[bool, Strict()] | None = None
    reference: Annotated[list[str], Field(min_length=1)] | None = None
    match: MatchRule = "contains"
    evidence: list[str] | None = None
    asked_at: datetime | None = None
    model: str | None = None
    model_revision: str | None = None
    prompt_template: str | None = None
    vocab_size: Annotated[int, Field(gt=0)] | None = None
    sampling: SamplingSettings | None = None
    group: str | None = None
    label_source: Literal["audit", "feedback"] | None = None

    def written(self) -> str:
        """The record as a line of JSON, without the keys that it never had."""
        return self.model_dump_json(exclude_unset=True)


def label(record: Record) -> bool | None:
    """Whether the record's answer is right; None when that is unknown.

    By its ``correct`` key where it has one, else by its references and match rule.
    """
    if "correct" in record.model_fields_set:
        return record.correct
    if record.answer is None or record.reference is None:
        return None
    return matches(final_answer(record.answer.text), record.reference, record.match)


def labelled(record: Record) -> Record:
    """The record with its label in ``correct``; as it is where nothing tells it.

    A null would be final, and a question that is yet to be asked could never be judged.
    """
    known = label(record)
    return record if known is None else record.model_copy(update={"correct": known})


def read_records(path: Path) -> Iterator[Record]:
    """The labelled records of a ``.jsonl`` or ``.jsonl.gz`` file, one at a time.

    Raises ``RecordsUnreadable``, naming the file, the line and the field, at the first line that is
    no record, at an id given twice, and for a file without any.
    """
    seen: dict[str, int] = {}
    for number, line in numbered_lines(path):
        record = labelled(parsed(Record, path, number, line))
        if record.id in seen:
            first = seen[record.id]
            raise RecordsUnreadable(
                f"{path}, line {number}: id {record.id!r} is line {first}'s too"
            )
        seen[record.id] = number
        yield record
    if not seen:
        raise RecordsUnreadable(f"{path}: holds no record")


def read_all(paths: Iterable[Path]) -> Iterator[Record]:
    """The records of several files. Raises as ``read_records``, also for an id in two of them."""
    found: dict[str, Path] = {}
    for path in paths:
        for record in read_records(path):
            if record.id in found:
                raise RecordsUnreadable(f"{path}: id {record.id!r} is in {found[record.id]} too")
            found[record.id] = path
            yield record


def write_records(path: Path, records: Iterable[Record]) -> Path:
    """The records as a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(f"{record.written()}\n" for record in records)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every line that is not blank with its number, of a plain or gzipped file.

    Raises ``RecordsUnreadable`` where it cannot be read on.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        where = f"{path}, after line {number}" if number else str(path)
        why = getattr(error, "strerror", None) or error
        raise RecordsUnreadable(f"{where}: {why}") from error
    except UnicodeDecodeError as error:
        raise RecordsUnreadable(f"{path}, after line {number}: not UTF-8: {error}") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def parsed(model: type[_Model], path: Path, number: int, line: str) -> _Model:
    """What a line holds. Raises ``RecordsUnreadable``, naming the line, the field and the value."""
    try:
        content: Any = json.loads(line)
    except ValueError as error:
        raise RecordsUnreadable(f"{path}, line {number}: not JSON: {error}") from error
    except RecursionError as error:
        message = f"{path}, line {number}: lists and objects in one another, {DEEPEST} deep at most"
        raise RecordsUnreadable(message) from error
    if complaint := unwritable(line, content):
        raise RecordsUnreadable(f"{path}, line {number}: {complaint}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise RecordsUnreadable(f"{path}, line {number}: {first_complaint(error)}") from error


def first_complaint(error: ValidationError) -> str:
    """The field, what is wrong with it, and its value."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "the line"
    given = json.dumps(first["input"], default=str)[:80]
    return f"{field}: {first['msg']}, got {given}"
