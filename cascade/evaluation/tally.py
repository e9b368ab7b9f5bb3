"""What a report needs of scored records, in columns: records go by, a few hundred bytes each stay.

Knows no rate and no ranking, and keeps no text: files larger than memory can be reported on.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.evaluation.score import Clusters, ScoredRecord

DECISIONS = ("answer", "abstain", "escalate")
_ABSENT = -1


@dataclass(slots=True)
class Partitions:
    """Every record's samples by one clusterer: how many there are, and in how many clusters."""

    names: list[str] = field(default_factory=list)
    reasoning: bool = False
    _samples: "array[int]" = field(default_factory=lambda: array("i"))
    _counts: "array[int]" = field(default_factory=lambda: array("i"))
    _entropies: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, place: int, found: Clusters) -> None:
        """Those of the record at ``place``; records before it that are not here had none."""
        for column, value in (
            (self._samples, len(found.labels)),
            (self._counts, found.count),
            (self._entropies, _or_nan(found.semantic_entropy)),
        ):
            _put(column, place, value)
        self.reasoning |= found.reasoning
        _once(self.names, found.clusterer)

    def clustered(self, n: int) -> Mask:
        """(n,): whether the record was clustered at all."""
        found: Mask = _column(self._samples, n) != _ABSENT
        return found

    def samples(self, n: int) -> Floats:
        """(n,): usable samples, NaN where the record was not clustered."""
        return _gaps(self._samples, n)

    def counts(self, n: int) -> Floats:
        """(n,): clusters, NaN likewise."""
        return _gaps(self._counts, n)

    def entropies(self, n: int) -> Floats:
        """(n,): discrete semantic entropy in nats, NaN below two samples."""
        return _column(self._entropies, n)

    def single(self, n: int) -> Mask:
        """(n,): whether two samples and more fell into one cluster."""
        found: Mask = (self.counts(n) == 1) & (self.samples(n) > 1)
        return found

    def shares(self, n: int) -> Floats:
        """(n,): 1 for one cluster, 0 for several, NaN below two samples."""
        return np.where(self.samples(n) > 1, self.counts(n) == 1, math.nan)


@dataclass(slots=True)
class Tally:
    """Scored records in columns, in their order."""

    n: int = 0
    partitions: dict[str, Partitions] = field(default_factory=dict)
    models: list[Any] = field(default_factory=list)
    sampling: list[Any] = field(default_factory=list)
    stages: "dict[str, array[float]]" = field(default_factory=dict)
    _right: "array[float]" = field(default_factory=lambda: array("d"))
    _costs: "array[float]" = field(default_factory=lambda: array("d"))
    _decisions: "array[int]" = field(default_factory=lambda: array("b"))
    _scores: "dict[str, array[float]]" = field(default_factory=dict)

    def add(self, record: ScoredRecord) -> None:
        """One record more."""
        self._right.append(_or_nan(record.correct))
        decision = (record.model_extra or {}).get("decision")
        self._decisions.append(DECISIONS.index(decision) if decision in DECISIONS else _ABSENT)
        for name, value in record.scores.items():
            _put(self._scores.setdefault(name, array("d")), self.n, _or_nan(value))
        for name, found in record.clusters.items():
            self.partitions.setdefault(name, Partitions()).add(self.n, found)
        self._add_cost(record)
        _once(self.models, record.model)
        _once(self.sampling, plain(record.sampling))
        self.n += 1

    @property
    def right(self) -> Floats:
        """(n,): 1 for a right answer, 0 for a wrong one, NaN without a label."""
        return np.array(self._right, dtype=np.float64)

    @property
    def decisions(self) -> NDArray[np.int8]:
        """(n,): which of ``DECISIONS`` was made of each record, −1 where none was."""
        return np.array(self._decisions, dtype=np.int8)

    @property
    def costs(self) -> Floats:
        """(n,): in main calls, the main call among them; NaN where no stage was recorded."""
        return _column(self._costs, self.n)

    @property
    def signals(self) -> Iterable[str]:
        """Names of every score that a record has."""
        return self._scores.keys()

    def column(self, name: str) -> Floats:
        """(n,): one signal of every record; NaN where it is None, missing or not finite."""
        return _column(self._scores.get(name, array("d")), self.n)

    def _add_cost(self, record: ScoredRecord) -> None:
        stages = [plain(stage) for stage in getattr(record, "stages", None) or ()]
        costs = {str(stage["name"]): float(stage.get("cost") or 0.0) for stage in stages}
        if costs:
            _put(self._costs, self.n, 1 + math.fsum(costs.values()))
        for name, cost in costs.items():
            self.stages.setdefault(name, array("d")).append(cost)


def tallied(records: Iterable[ScoredRecord]) -> Tally:
    """A tally of records, each looked at once."""
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


def plain(value: Any) -> Any:
    """A pydantic model as a mapping; anything else as it is."""
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _put(column: "array[Any]", place: int, value: float) -> None:
    """``value`` at ``place``, absent values before it."""
    missing: Mapping[str, float] = {"i": _ABSENT, "d": math.nan}
    column.extend([missing[column.typecode]] * (place - len(column)))
    column.append(int(value) if column.typecode == "i" else value)


def _column(column: "array[Any]", n: int) -> Floats:
    """(n,): a column filled up to its end."""
    if column.typecode == "i":
        return np.array([*column, *[_ABSENT] * (n - len(column))], dtype=np.float64)
    return np.concatenate([np.array(column), np.full(n - len(column), math.nan)])


def _gaps(column: "array[int]", n: int) -> Floats:
    values = _column(column, n)
    return np.where(values == _ABSENT, math.nan, values)


def _once(found: list[Any], value: Any) -> None:
    if value is not None and value not in found:
        found.append(value)


def _or_nan(value: float | bool | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan
