"""Question sets of the literature, from files the user brings, as the project's own records.

Nothing is fetched, and nothing of these datasets is shipped. A record is a line of
``ucbd evaluate QUESTIONS.jsonl``: id, prompt, reference, match, kind, group.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ucbd.models.datasets import gsm8k, truthfulqa, webquestions
from ucbd.models.datasets.rows import DatasetUnreadable, Row, read_rows

_RECORDS: Mapping[str, Callable[[Iterable[Row]], Iterator[dict[str, object]]]] = {
    "truthfulqa": truthfulqa.records,
    "gsm8k": gsm8k.records,
    "webquestions": webquestions.records,
}
DATASETS = tuple(_RECORDS)
"""The names that ``read_dataset`` knows."""


def read_dataset(name: str, path: Path) -> Iterator[dict[str, object]]:
    """The records of dataset ``name`` from a file of its, one at a time, in the file's order.

    Raises ``DatasetUnreadable`` on an unknown name, a file that is not there, broken, empty or
    not that dataset, naming file, line and field; nothing is skipped.
    """
    if name not in _RECORDS:
        raise DatasetUnreadable(f"{name}: no such dataset; there are {', '.join(DATASETS)}")
    empty = True
    for record in _RECORDS[name](read_rows(path)):
        empty = False
        yield record
    if empty:
        raise DatasetUnreadable(f"{path}: holds no question")


def write_dataset(name: str, path: Path, folder: Path) -> Path:
    """``folder/NAME.jsonl``, whole or not at all; returns its path. Raises as ``read_dataset``."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.jsonl"
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as lines:
            for record in read_dataset(name, path):
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target
