"""What one run leaves behind: a row per question, small enough to keep in the repository.

A run is one model (family, seed, stage or arm) that answered the question sets once. Its folder
holds ``observations.csv.gz``, this table, and ``run.json``, what is true of the whole run. Texts
are gone; labels of clusters are kept, so that every count, semantic entropy and agreement between
clusterers can be worked out again. Knows nothing of how the numbers came about.
"""

import csv
import gzip
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ucbd.models.errors import GatewayError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = tuple[int, ...]

FILE = "observations.csv.gz"
TEXTS = ("id", "kind", "frequency", "group")
LABELS = "labels:"
"""A column ``labels:jaccard`` holds the cluster of every sample, as in ``0.0.1``."""


class ObservationsUnreadable(GatewayError):
    """A table or ``run.json`` that cannot be used: the file, the line, the column, the value."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """The questions of one run, one entry each in every column, in the same order.

    ``texts`` has ``id``, ``kind``, ``frequency`` and ``group``. ``numbers`` has ``correct`` (1, 0)
    and every signal, oriented so that higher is less certain; what was not measured is NaN.
    ``labels`` has one tuple per clusterer and question, empty where nothing was clustered. A table
    equals only itself, so that what is worked out from it can be remembered.
    """

    texts: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, Floats]
    labels: Mapping[str, tuple[Labels, ...]]

    def __len__(self) -> int:
        return len(self.texts["id"])

    @property
    def ids(self) -> tuple[str, ...]:
        """Which question each row is; the same in every run of a world."""
        return self.texts["id"]

    def number(self, name: str) -> Floats:
        """A column of numbers, all NaN when the run has none of that name."""
        found = self.numbers.get(name)
        return np.full(len(self), np.nan) if found is None else found

    def of_kind(self, *kinds: str) -> "Observations":
        """Only the questions of these kinds."""
        return self.where(np.array([kind in kinds for kind in self.texts["kind"]], dtype=bool))

    def where(self, mask: Mask) -> "Observations":
        """Only the questions where ``mask`` is true."""
        kept = np.flatnonzero(mask)
        return Observations(
            {name: tuple(column[i] for i in kept) for name, column in self.texts.items()},
            {name: column[kept] for name, column in self.numbers.items()},
            {name: tuple(column[i] for i in kept) for name, column in self.labels.items()},
        )


def write(table: Observations, folder: Path) -> Path:
    """The table as ``observations.csv.gz``, whole or not at all; the same bytes every time."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow([*table.texts, *table.numbers, *(LABELS + name for name in table.labels)])
    columns = [
        *table.texts.values(),
        *([_number(x) for x in column] for column in table.numbers.values()),
        *([".".join(map(str, labels)) for labels in column] for column in table.labels.values()),
    ]
    out.writerows(zip(*columns, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    partial = path.with_name(path.name + ".partial")
    # No time of writing inside: an unchanged run stays an unchanged file.
    partial.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    os.replace(partial, path)
    return path


def read(folder: Path) -> Observations:
    """The table of a run's folder.

    Raises:
        ObservationsUnreadable: the file is missing, cut short, or holds something else.
    """
    path = folder / FILE
    try:
        rows = list(csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ObservationsUnreadable(f"{path}: {error}") from error
    if not rows or tuple(rows[0][: len(TEXTS)]) != TEXTS:
        raise ObservationsUnreadable(f"{path}: line 1 does not begin with {','.join(TEXTS)}")
    header, body = rows[0], rows[1:]
    for line, row in enumerate(body, 2):
        if len(row) != len(header):
            raise ObservationsUnreadable(
                f"{path}: line {line} has {len(row)} of {len(header)} values"
            )
    columns = dict(zip(header, zip(*body, strict=True), strict=True)) if body else {}
    if len(columns) != len(header):
        raise ObservationsUnreadable(f"{path}: no questions, or a column twice")
    if len(set(columns["id"])) != len(body):
        raise ObservationsUnreadable(f"{path}: a question stands in it twice")
    numbers = [name for name in header if name not in TEXTS and not name.startswith(LABELS)]
    labelled = [name for name in header if name.startswith(LABELS)]
    return Observations(
        {name: columns[name] for name in TEXTS},
        {name: _parsed(path, name, columns[name]) for name in numbers},
        {
            name.removeprefix(LABELS): tuple(_parsed_labels(path, name, columns[name]))
            for name in labelled
        },
    )


def _number(x: float) -> str:
    """At most five decimals: 0.00001 nats decide nothing."""
    return "" if math.isnan(x) else f"{x:.5f}".rstrip("0").rstrip(".")


def _float(value: str) -> float:
    return float(value) if value else math.nan


def _parsed(path: Path, name: str, values: Sequence[str]) -> Floats:
    found = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            found[i] = _float(value)
        except ValueError:
            raise ObservationsUnreadable(
                f"{path}: line {i + 2}, {name}: {value!r} is no number"
            ) from None
    return found


def _parsed_labels(path: Path, name: str, values: Sequence[str]) -> list[Labels]:
    found = []
    for line, value in enumerate(values, 2):
        try:
            found.append(tuple(int(label) for label in value.split(".") if value))
        except ValueError:
            raise ObservationsUnreadable(
                f"{path}: line {line}, {name}: {value!r} are no cluster labels"
            ) from None
    return found
