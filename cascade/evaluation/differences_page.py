"""The part of a comparison about the questions that two runs share: their differences.

Reads only what was compared. Knows no statistics.
"""

from collections.abc import Mapping
from typing import Any

from ucbd.cascade.evaluation.cells import ends, figure, note, number, section, table
from ucbd.cascade.evaluation.svg import Axis, Mark, intervals, ticks_to

Json = Mapping[str, Any]
_CALLED = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "single_cluster_rate": "single cluster",
    "risk": "risk at",
    "brier": "Brier score,",
    "relative_cost": "cost, main calls",
}


def paired(found: Json) -> str:
    """Every run but the first against the first; where nothing is paired, why not."""
    return "".join(_pair(pair, found["intervals"]) for pair in found["pairs"])


def _pair(pair: Json, how: str) -> str:
    title = f"{pair['run']} minus {pair['base']}, on the same questions"
    if pair["unpaired"]:
        return section(title, note(f"No paired differences: {pair['unpaired']}."))
    some = [one for one in pair["differences"] if one["measure"] != "relative_cost"]
    farthest = max((abs(x) for one in some for x in one["ci"]), default=0.0) or 0.1
    ticks = ticks_to(farthest)
    axis = Axis(-ticks[-1], ticks[-1], (*(-t for t in ticks[:0:-1]), *ticks), "difference")
    rows = [
        (_name(one), [Mark(one["difference"], ends(one["ci"]), int(_apart(one)))]) for one in some
    ]
    plot = figure(
        intervals(rows, axis, 0),
        '<span class="key1">The interval excludes 0</span>; <span class="key0">it does not</span>. '
        f"{_left_out(pair)} {how}.",
        markup=True,
        wide=True,
    )
    cells = [
        [
            _name(one),
            number(one["base"]),
            number(one["run"]),
            f"{one['difference']:+.3f} [{one['ci'][0]:+.3f}, {one['ci'][1]:+.3f}]",
            str(one["n"]),
        ]
        for one in pair["differences"]
    ]
    header = ["", "first", "other", "difference [95 %]", "questions"]
    numbers = f"<details><summary>The numbers</summary>{table(header, cells)}</details>"
    return section(title, plot + numbers)


def _apart(one: Json) -> bool:
    low, high = one["ci"]
    return bool(low > 0 or high < 0)


def _name(one: Json) -> str:
    called = _CALLED[one["measure"]]
    return f"{called} {one['of']}" if one["of"] else called


def _left_out(pair: Json) -> str:
    words = f"{pair['common']} questions in common"
    others = [
        f"{pair[key]} {told}"
        for key, told in (
            ("only_base", "only in the first"),
            ("only_run", "only in the other"),
            ("other_prompts", "of the same id and another prompt"),
        )
        if pair[key]
    ]
    return f"{words}; left out: {', '.join(others)}." if others else f"{words}."
