"""``ucbd compare``: the reports of several runs on one page, paired where they share questions.

Reads folders that ``ucbd evaluate`` or ``ucbd replay`` wrote, and finds what is wrong with them
before it computes anything. Computes no number itself.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.files import check_file, replace_file
from ucbd.cascade.evaluation.compare import Run, compared
from ucbd.cascade.evaluation.compare_page import page
from ucbd.cascade.evaluation.paired_runs import Columns
from ucbd.cascade.evaluation.plots import SERIES
from ucbd.cascade.evaluation.records import read_records
from ucbd.cascade.evaluation.report import SCHEMA
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.tally import Tally
from ucbd.models.errors import GatewayError

Part = dict[str, Any]


class ReportsUnusable(GatewayError):
    """Folders that cannot be compared: which, why, and what would be right."""


class _Report(BaseModel):
    """What a comparison reads of ``report.json``; its parts are as ``ucbd`` wrote them."""

    model_config = ConfigDict(extra="allow")

    version: Literal[1] = Field(alias="schema")
    n: Annotated[int, Field(ge=0)]
    n_unlabelled: Annotated[int, Field(ge=0)]
    accuracy: float | None
    signals: dict[str, Part]
    homogenization: dict[str, Part]
    false_alarms: list[float]
    histograms: dict[str, Part]
    decisions: Part
    policy: Part | None
    selective: list[Part]
    cost: Part
    calibration: Part


def compare(options: argparse.Namespace) -> int:
    """One page and one JSON file about several reports; returns the exit code."""
    try:
        _check(options.reports, options.out)
        check_file(options.out)
        reports = [_report(folder) for folder in options.reports]
        names = _names(options.reports)
        columns = [_columns(folder) for folder in options.reports]
    except (GatewayError, OSError) as error:
        print(f"ucbd compare: {error}", file=sys.stderr)
        return EXIT_USAGE
    runs = [Run(*one) for one in zip(names, reports, columns, strict=True)]
    found = compared(runs)
    beside = options.out.with_name("compare.json")
    try:
        replace_file(options.out, page(found, runs))
        replace_file(beside, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        print(f"ucbd compare: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(f"{options.out}: {', '.join(names)}; {beside}: the same numbers")
    return 0


def _check(folders: Sequence[Path], out: Path) -> None:
    if not 2 <= len(folders) <= SERIES:
        raise ReportsUnusable(f"DIR: 2 to {SERIES} reports can be compared, got {len(folders)}")
    twice = [f for f, times in Counter(folder.resolve() for folder in folders).items() if times > 1]
    if twice:
        raise ReportsUnusable(f"{twice[0]}: given twice; a run is compared with others")
    if out.suffix != ".html":
        raise ReportsUnusable(f"--out: the page ends in .html, got {str(out)!r}")


def _report(folder: Path) -> Part:
    """Raises ``ReportsUnusable``, naming the file and what is wrong with it."""
    path = folder / "report.json"
    if not path.is_file():
        raise ReportsUnusable(
            f"{folder}: holds no report.json, which ucbd evaluate and ucbd replay write"
        )
    try:
        content: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise ReportsUnusable(f"{path}: not JSON: {error}") from error
    version = content.get("schema") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise ReportsUnusable(
            f"{path}: schema: is {version}, made by a newer version; this one reads {SCHEMA}"
        )
    try:
        return _Report.model_validate(content).model_dump(by_alias=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ReportsUnusable(
            f"{path}: {field}: {first['msg']}: no report of ucbd evaluate or ucbd replay, or "
            f"one of an earlier version, which ucbd replay {folder / 'records.jsonl'} makes again"
        ) from error


def _names(folders: Sequence[Path]) -> list[str]:
    """Of each folder its own name, or the path as given where two have the same."""
    own = [folder.resolve().name for folder in folders]
    return [
        str(folder) if own.count(name) > 1 else name
        for folder, name in zip(folders, own, strict=True)
    ]


def _columns(folder: Path) -> Columns | None:
    """The folder's records in columns; None where it has none. Raises ``RecordsUnreadable``."""
    path = folder / "records.jsonl"
    if not path.is_file():
        return None
    tally, questions = Tally(), {}
    for record in tqdm(read_records(path), desc=folder.name, unit="record", disable=None):
        digest = hashlib.blake2b(record.prompt.encode(), digest_size=8).digest()
        questions[record.id] = (tally.n, digest)
        tally.add(ScoredRecord.model_validate(record.model_dump(exclude_unset=True)))
    return Columns(tally, questions)
