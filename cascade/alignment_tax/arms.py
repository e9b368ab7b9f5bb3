"""What an arm does to the SFT model it starts from: to the values it asserts, and to their form.

Values are what the oracle reads off an answer, form is the exact string. Knows no page.
"""

from dataclasses import dataclass
from enum import Enum

from ucbd.cascade.alignment_tax.chosen import facts
from ucbd.cascade.alignment_tax.comparisons import Difference, single_difference
from ucbd.cascade.alignment_tax.runs import Runs, median_low_by

VALUE, FORM = "oracle", "exact"


class Move(Enum):
    """Where a single-cluster rate goes, over all seeds."""

    UP = 1
    NONE = 0
    DOWN = -1


@dataclass(frozen=True, slots=True)
class Change:
    """An arm's single-cluster rate minus that of its own SFT model, at every seed.

    ``middle`` is the median seed's, with its interval; ``move`` is up (or down) when the rate rises
    (falls) at every seed and the interval in the middle excludes 0.
    """

    each: tuple[float, ...]
    middle: Difference

    @property
    def move(self) -> Move:
        """See the class."""
        for move in (Move.UP, Move.DOWN):
            if (
                all(value * move.value > 0 for value in self.each)
                and self.middle.sign == move.value
            ):
                return move
        return Move.NONE


def change(runs: Runs, arm: str, clusterer: str) -> Change | None:
    """How an arm's rate differs from SFT's on facts; None where the two were not both run."""
    found = []
    for run in runs.seeds(arm):
        before = runs.run("sft", run.seed)
        if before and (d := single_difference(facts(before), facts(run), clusterer)):
            found.append(d)
    if not found:
        return None
    middle = median_low_by(found, lambda difference: difference.value)
    return Change(tuple(difference.value for difference in found), middle)


def verdict(runs: Runs, arm: str) -> str | None:
    """What collapses in an arm, in words; None where it was not run."""
    value, form = change(runs, arm, VALUE), change(runs, arm, FORM)
    if value is None or form is None:
        return None
    return {
        (Move.UP, Move.UP): "values and form",
        (Move.UP, Move.NONE): "values",
        (Move.UP, Move.DOWN): "values, while form widens",
        (Move.NONE, Move.UP): "form only",
        (Move.NONE, Move.NONE): "neither",
        (Move.NONE, Move.DOWN): "neither; form widens",
        (Move.DOWN, Move.UP): "form only, while values widen",
        (Move.DOWN, Move.NONE): "neither; values widen",
        (Move.DOWN, Move.DOWN): "neither; both widen",
    }[value.move, form.move]
