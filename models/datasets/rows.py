"""Rows of a file somebody else made: CSV, JSON, JSON Lines or Parquet, each row with its place.

Knows formats and compression, and no dataset. Rows come one at a time; only a JSON array is read
whole first, for it has no other unit. What is broken is named by file and line; a file that was
cut between two rows is whole as far as can be seen.
"""

import bz2
import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from ucbd.models.errors import GatewayError

_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
_BATCH = 1024  # rows of a Parquet file held at once


class DatasetUnreadable(GatewayError):
    """A dataset's file is broken or is not that dataset; says where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, and where it stands, as ``FILE: line 3``."""

    where: str
    values: Mapping[str, Any]

    def error(self, field: str, complaint: str) -> DatasetUnreadable:
        """What to raise over one field of this row."""
        return DatasetUnreadable(f"{self.where}: {field}: {complaint}")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of ``path``, by its name: csv, jsonl or ndjson, json, parquet; also .gz and .bz2.

    A ``.json`` is one array of objects, or one object a line as ``datasets`` exports it. Raises
    ``DatasetUnreadable``.
    """
    if not path.is_file():
        raise DatasetUnreadable(f"{path}: no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in _OPENERS else ""
    kind = suffixes[-1] if suffixes else ""
    if kind == ".parquet" and not packed:
        yield from _parquet_rows(path)
        return
    if kind not in (".csv", ".json", ".jsonl", ".ndjson"):
        raise DatasetUnreadable(
            f"{path}: of no known format; must be csv, json or jsonl (also .gz, .bz2), or parquet"
        )
    try:
        opened = _OPENERS.get(packed, open)(path, "rt", encoding="utf-8-sig", newline="")
        with closing(opened) as text:
            if kind == ".csv":
                yield from _csv_rows(path, text)
            elif kind == ".json":
                yield from _json_rows(path, text)
            else:
                yield from _line_rows(path, text)
    except UnicodeDecodeError as error:
        raise DatasetUnreadable(f"{path}: not UTF-8: {error}") from error
    except (OSError, EOFError) as error:  # of the compression too: a truncated .gz is an EOFError
        raise DatasetUnreadable(f"{path}: not readable: {error}") from error


def _csv_rows(path: Path, text: TextIO) -> Iterator[Row]:
    lines = csv.reader(text, strict=True)  # strict: a quote that never closes is an error
    columns: list[str] = []
    before = 0  # a quoted value may span lines: a row is named by its first
    try:
        for values in lines:
            where, before = f"{path}: line {before + 1}", lines.line_num
            if not columns:
                columns = values
            elif values and len(values) != len(columns):
                raise DatasetUnreadable(
                    f"{where}: {len(values)} values, but the first line has {len(columns)} columns"
                )
            elif values:
                yield Row(where, dict(zip(columns, values, strict=True)))
    except csv.Error as error:
        raise DatasetUnreadable(f"{path}: line {before + 1}: not CSV: {error}") from error


def _line_rows(path: Path, text: TextIO) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        where = f"{path}: line {number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DatasetUnreadable(f"{where}: not JSON: {error}") from error
        yield Row(where, _object(where, value))


def _json_rows(path: Path, text: TextIO) -> Iterator[Row]:
    """An array, or, where the first sign is no bracket, one object a line."""
    start = text.read(1)
    while start.isspace():
        start = text.read(1)
    text.seek(0)
    if start != "[":
        yield from _line_rows(path, text)
        return
    try:
        items = json.loads(text.read())
    except ValueError as error:
        raise DatasetUnreadable(f"{path}: not JSON: {error}") from error
    for number, value in enumerate(items, 1):
        where = f"{path}: item {number}"
        yield Row(where, _object(where, value))


def _object(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DatasetUnreadable(f"{where}: not an object but {json.dumps(value)[:60]}")
    return value


def _parquet_rows(path: Path) -> Iterator[Row]:
    if find_spec("pyarrow") is None:
        raise DatasetUnreadable(
            f"{path}: Parquet is read by pyarrow, which is not installed: `pip install pyarrow`, "
            "or export JSON Lines instead (`datasets`: dataset.to_json(FILE))"
        )
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}: row {number}", values)
    except (arrow.ArrowException, OSError) as error:
        raise DatasetUnreadable(f"{path}: broken Parquet after row {number}: {error}") from error
