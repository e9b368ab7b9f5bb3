"""How often a decision by the first few samples is the one by all of them, and what it saves.

From recordings with many samples a question. The decision is "discrete semantic entropy above τ",
for τ at quantiles of the values over all samples; the order of the samples is shuffled. Two halves
of the same samples beside it show the noise that any rule lives in. Knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.entropy import discrete_semantic_entropy
from ucbd.cascade.evaluation.records import RecordsUnreadable, read_records
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.stopping import LARGEST, Drawn, Foresight

QUANTILES = (0.2, 0.35, 0.5, 0.65, 0.8)
FIRST = 3
"""No rule decides on fewer samples."""
_TIE = 1e-9  # entropies of equal sizes differ in their last bits


@dataclass(frozen=True, slots=True)
class Agreement:
    """At one τ: agreement with all samples and the mean number drawn (``samples``).

    ``fixed`` is the agreement of the first half of the samples, always drawn, and ``halves`` that
    of the two halves with each other.
    """

    quantile: float
    tau: float
    agreement: float
    samples: float
    fixed: float
    halves: float


def read_samples(path: Path) -> list[tuple[str, ...]]:
    """Each question's samples. Raises ``RecordsUnreadable`` where they are not equally many."""
    found = [
        tuple(final_answer(sample.text) for sample in record.samples or ())
        for record in read_records(path)
    ]
    counts = {len(samples) for samples in found}
    if len(counts) != 1 or not 2 * FIRST <= (n := counts.pop()) <= LARGEST:
        raise RecordsUnreadable(
            f"{path}: every record needs the same number of samples, {2 * FIRST} to {LARGEST}"
        )
    if n % 2:
        raise RecordsUnreadable(f"{path}: {n} samples have no two halves")
    return found


async def measure(
    questions: Sequence[Sequence[str]], clusterer: Clusterer, error: float, shuffles: int = 20
) -> list[Agreement]:
    """One row for each of ``QUANTILES``; the same questions give the same rows."""
    paths = [
        await _path(_shuffled(samples, seed), clusterer)
        for samples in questions
        for seed in range(shuffles)
    ]
    last = [discrete_semantic_entropy(path.prefixes[-1]) for path in paths]
    return [
        _agreement(paths, quantile, float(np.quantile(last, quantile)), error)
        for quantile in QUANTILES
    ]


Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Path:
    """Sizes of the clusters of the first 1, 2, … samples, and of the second half's."""

    prefixes: tuple[Sizes, ...]
    second: Sizes


def _shuffled(samples: Sequence[str], seed: int) -> list[str]:
    return Random(seed).sample(list(samples), len(samples))


async def _path(samples: Sequence[str], clusterer: Clusterer) -> _Path:
    prefixes = [await _sizes(samples[:n], clusterer) for n in range(1, len(samples) + 1)]
    return _Path(tuple(prefixes), await _sizes(samples[len(samples) // 2 :], clusterer))


async def _sizes(samples: Sequence[str], clusterer: Clusterer) -> Sizes:
    labels = (await clusterer.cluster("", samples)).labels
    return tuple(sorted((labels.count(label) for label in set(labels)), reverse=True))


def _agreement(paths: Sequence[_Path], quantile: float, tau: float, error: float) -> Agreement:
    def above(sizes: Sizes) -> bool:
        return discrete_semantic_entropy(sizes) > tau + _TIE

    planned = len(paths[0].prefixes)
    foresight = Foresight(planned, lambda state: above(state.sizes), served=False)
    stopped = [_stopped(path, foresight, error) for path in paths]
    whole = [above(path.prefixes[-1]) for path in paths]
    half = [above(path.prefixes[planned // 2 - 1]) for path in paths]
    other = [above(path.second) for path in paths]
    return Agreement(
        quantile,
        tau,
        _share([said == all_of_it for (said, _), all_of_it in zip(stopped, whole, strict=True)]),
        float(np.mean([n for _, n in stopped])),
        _share([a == b for a, b in zip(half, whole, strict=True)]),
        _share([a == b for a, b in zip(half, other, strict=True)]),
    )


def _stopped(path: _Path, foresight: Foresight, error: float) -> tuple[object, int]:
    """The decision, and after how many samples it was made."""
    for n, sizes in enumerate(path.prefixes, 1):
        if n < FIRST:
            continue
        outlook = foresight.outlook(Drawn(None, sizes))
        if outlook.settled(error):
            return outlook.likeliest, n
    raise AssertionError("all samples together always settle it")


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
