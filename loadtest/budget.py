"""Budgets: rules over a phase's figures, as ``latency.p99 <= 0.5`` or ``steady: error_share <= 0``.

A rule with a phase's name is of that phase, one without is of all. What a rule names and a phase
lacks breaks it: missing evidence is no pass.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_RULE = re.compile(r"(?:(?P<phase>[^:<>=]+):)?(?P<path>[\w.]+)(?P<sign><=|>=)(?P<limit>[-+.\deE]+)")
_SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


class RuleUnreadable(ValueError):
    """A budget's rule that cannot be read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``path`` leads to a number within a phase's figures."""

    phase: str | None
    path: str
    sign: str
    limit: float


def read_rule(text: str) -> Rule:
    """A rule from its text. Raises ``RuleUnreadable`` saying what would be right."""
    match = _RULE.fullmatch(re.sub(r"\s*(:|<=|>=)\s*", r"\1", text.strip()))
    try:
        if match is None:
            raise ValueError
        phase = match["phase"]
        return Rule(phase, match["path"], match["sign"], float(match["limit"]))
    except ValueError as error:
        example = "latency.p99 <= 0.5 (seconds), or steady: error_share <= 0.01"
        raise RuleUnreadable(f"budget: {text!r}: is no rule; one is {example}") from error


def judged(rules: Sequence[Rule], phases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rule with each value that it was held against; a rule of no phase is broken."""
    found = []
    for rule in rules:
        own = [p for p in phases if rule.phase in (None, p["name"])]
        values = [(p["name"], _value(p, rule.path)) for p in own] or [(rule.phase, None)]
        for name, value in values:
            kept = value is not None and _SIGNS[rule.sign](value, rule.limit)
            said = f"{rule.path} {rule.sign} {rule.limit:g}"
            found.append({"phase": name, "rule": said, "value": value, "kept": kept})
    return found


def _value(figures: Any, path: str) -> float | None:
    for name in path.split("."):
        figures = figures.get(name) if isinstance(figures, dict) else None
    return float(figures) if isinstance(figures, int | float) else None
