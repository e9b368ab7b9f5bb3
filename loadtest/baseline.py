"""Ratios that a regression moves and a slow machine does not, and the file that bounds them.

Each divides what a client waited by what the engine itself took of it, or two figures of one run,
so that the machine's speed and its other work cancel. No bound is a time.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALONE, STREAMED, COST, TOGETHER = "one at a time", "streams", "cost", "closed"
"""Names of the phases that the ratios are of."""

Phases = dict[str, dict[str, Any]]


class BaselineUnusable(ValueError):
    """A file that holds no baseline: which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A ratio as it was measured, and how far it may go."""

    name: str
    measured: float
    at_most: float | None
    at_least: float | None


def latency_to_engine(phases: Phases) -> float | None:
    """Mean time of an answer at a client ÷ its mean time in vLLM, one at a time, no samples."""
    return _quotient(_of(phases, ALONE, "service"), _of(phases, ALONE, "crosscheck", "engine"))


def first_token_to_engine(phases: Phases) -> float | None:
    """Mean time to the first token at a client ÷ the same in vLLM, one at a time, no samples."""
    engine = _of(phases, STREAMED, "crosscheck", "engine_first_token")
    return _quotient(_of(phases, STREAMED, "first_token"), engine)


def relative_cost(phases: Phases) -> float | None:
    """Tokens generated ÷ tokens of the main answers, of a seeded mix, without load."""
    return _of(phases, COST, "relative_cost")


def parallel_gain(phases: Phases) -> float | None:
    """Throughput of a mix 16 at a time ÷ its throughput one at a time."""
    together, alone = phases.get(TOGETHER), phases.get(COST)
    if together is None or alone is None:
        return None
    return _quotient(together["throughput"], alone["throughput"])


RATIOS: tuple[Callable[[Phases], float | None], ...] = (
    latency_to_engine,
    first_token_to_engine,
    relative_cost,
    parallel_gain,
)


def read_baseline(path: Path) -> list[Bound]:
    """The bounds in a file. Raises ``BaselineUnusable``."""
    known = [ratio.__name__ for ratio in RATIOS]
    try:
        told = json.loads(path.read_text("utf-8"))["ratios"]
        bounds = [
            Bound(name, one["measured"], one.get("at_most"), one.get("at_least"))
            for name, one in told.items()
        ]
    except OSError as error:
        raise BaselineUnusable(f"{path}: {error.strerror}") from error
    except KeyError as error:
        raise BaselineUnusable(f"{path}: {error.args[0]}: is missing") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise BaselineUnusable(f"{path}: {error}") from error
    for bound in bounds:
        if bound.name not in known:
            raise BaselineUnusable(f"{path}: {bound.name}: must be one of {', '.join(known)}")
        if bound.at_most is None and bound.at_least is None:
            raise BaselineUnusable(f"{path}: {bound.name}: needs at_most or at_least")
    return bounds


def compared(figures: Sequence[dict[str, Any]], baseline: Sequence[Bound] | None) -> dict[str, Any]:
    """Every ratio of a run (None where its phases did not run), and the bounds held against them.

    A bounded ratio that the run lacks breaks its bound: missing evidence is no pass.
    """
    phases = {one["name"]: one for one in figures}
    values = {ratio.__name__: ratio(phases) for ratio in RATIOS}
    checks = []
    for bound in baseline or ():
        value = values[bound.name]
        for sign, limit in (("<=", bound.at_most), (">=", bound.at_least)):
            if limit is None:
                continue
            kept = value is not None and (value <= limit if sign == "<=" else value >= limit)
            rule = f"{bound.name} {sign} {limit:g}, measured once {bound.measured:g}"
            checks.append({"phase": "ratios", "rule": rule, "value": value, "kept": kept})
    return {"values": values, "checks": checks}


def _of(phases: Phases, name: str, *path: str) -> float | None:
    """The mean under a path within a phase's figures."""
    found: Any = phases.get(name)
    for part in (*path, "mean"):
        found = found.get(part) if found is not None else None
    return found


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
