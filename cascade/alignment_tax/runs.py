"""A folder of runs: ``RUNS/<family>/seed-<k>/<stage or arm>[@<sweep>]/``, and what to find in it.

What is missing is None here, and "not run" on the page; what is there but broken is an error that
names the file. Knows no statistics.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ucbd.cascade.alignment_tax.observations import Observations, ObservationsUnreadable, read

INFO = "run.json"
FAMILY = "llama"
"""The family whose stages and arms the page is about; the others have rows of their own."""

FACTS = ("fact", "conflict")
"""The kinds of question about facts; those the text states in conflict are facts too."""

STAGES = ("base", "sft", "dpo")
DEFAULT_ARM = "dpo"
ARMS = (
    "dpo",
    "dpo-no-likelihood",
    "sft-on-chosen",
    "random",
    "correct",
    "brief",
    "typical-0.3",
    "typical-1",
)
PREFERENCES: Mapping[str, str] = {
    "dpo": "DPO, correctness then brevity (the default)",
    "dpo-no-likelihood": "the same without a likelihood term",
    "sft-on-chosen": "SFT on exactly the chosen answers",
    "random": "DPO, random pairs",
    "correct": "DPO, correctness only",
    "brief": "DPO, brevity only",
    "typical-0.3": "DPO, correctness + 0.3 × base log-probability",
    "typical-1": "DPO, correctness + 1 × base log-probability",
}
"""What ranks the SFT model's own samples in each arm, and what is done with the ranking."""

T = TypeVar("T")
_NAME = re.compile(r"(?P<stage>[^@]+)(@T(?P<temperature>\d+(\.\d+)?))?")
_SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One model that answered the questions once, sampled at ``temperature``.

    ``info`` is its ``run.json``. ``swept`` tells that its folder says ``@T…``.
    """

    family: str
    seed: int
    stage: str
    temperature: float
    swept: bool
    info: Mapping[str, object]
    table: Observations


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of a folder."""

    all: tuple[Run, ...]

    def seeds(self, stage: str, family: str = FAMILY) -> list[Run]:
        """The runs of a stage or arm as it was asked first, one per seed, in the seeds' order."""
        found = [r for r in self.all if (r.family, r.stage, r.swept) == (family, stage, False)]
        return sorted(found, key=lambda run: run.seed)

    def run(self, stage: str, seed: int, family: str = FAMILY) -> Run | None:
        """One of them."""
        return next((run for run in self.seeds(stage, family) if run.seed == seed), None)

    def sweep(self, stage: str, seed: int, family: str = FAMILY) -> list[Run]:
        """The runs of a stage at every temperature it was sampled at, coolest first."""
        found = [r for r in self.all if (r.family, r.stage, r.seed) == (family, stage, seed)]
        by_temperature = {run.temperature: run for run in sorted(found, key=lambda r: not r.swept)}
        return [by_temperature[t] for t in sorted(by_temperature)]

    def families(self) -> list[str]:
        """Every family there is, the default one first."""
        return sorted({run.family for run in self.all}, key=lambda name: (name != FAMILY, name))


def median_run(runs: list[Run], measure: Callable[[Run], float | None]) -> Run | None:
    """The run whose value is the median; of an even number the lower of the two in the middle.

    Runs without the value do not count; None when none has it.
    """
    measured = [(value, run) for run in runs if (value := measure(run)) is not None]
    if not measured:
        return None
    return median_low_by(measured, lambda pair: pair[0])[1]


def median_low_by(values: Sequence[T], key: Callable[[T], float]) -> T:
    """The value whose key is the median, of an even number the lower one in the middle."""
    return sorted(values, key=key)[(len(values) - 1) // 2]


def read_runs(folder: Path) -> Runs:
    """Every run below ``folder``; none when it is empty or not there.

    Raises:
        ObservationsUnreadable: a run's files are broken, or its place says nothing.
    """
    return Runs(tuple(_runs(folder)))


def _runs(folder: Path) -> Iterator[Run]:
    for path in sorted(folder.glob(f"*/*/*/{INFO}")):
        family, seed, stage, temperature = place(path.parent)
        info = _info(path)
        sampled = _number(path, info, "temperature")
        if temperature is not None and temperature != sampled:
            raise ObservationsUnreadable(
                f"{path}: temperature: {sampled:g}, but the folder says {temperature:g}"
            )
        table = read(path.parent)
        yield Run(family, seed, stage, sampled, temperature is not None, info, table)


def place(folder: Path) -> tuple[str, int, str, float | None]:
    """Family, seed, stage and swept temperature of a run, as its folder's name says.

    Raises:
        ObservationsUnreadable: the name is not ``<family>/seed-<k>/<stage>[@T<temperature>]``.
    """
    stage, seed = _NAME.fullmatch(folder.name), _SEED.fullmatch(folder.parent.name)
    if not stage or not seed:
        raise ObservationsUnreadable(
            f"{folder}: a run lies in <family>/seed-<k>/<stage or arm>[@T<temperature>]"
        )
    temperature = stage["temperature"]
    return (
        folder.parent.parent.name,
        int(seed[1]),
        stage["stage"],
        float(temperature) if temperature else None,
    )


def _info(path: Path) -> dict[str, object]:
    try:
        info = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ObservationsUnreadable(f"{path}: {error}") from error
    if not isinstance(info, dict):
        raise ObservationsUnreadable(f"{path}: is no JSON object")
    return info


def _number(path: Path, info: Mapping[str, object], name: str) -> float:
    value = info.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ObservationsUnreadable(f"{path}: {name}: {value!r} is no number")
    return float(value)
