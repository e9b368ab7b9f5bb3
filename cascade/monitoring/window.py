"""What the latest labels say: selective risk, coverage, and how far confidence can be believed.

Over a window of labels, those of the audit draw or those that were volunteered, never both
together: who volunteers is not the traffic. Knows no store and no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ucbd.cascade.evaluation.calibrated import measure
from ucbd.cascade.evaluation.rates import Rate
from ucbd.models.store.rows import Judged

_FEWEST = 30  # labels for a calibration error: of fewer it says more of chance than of the model


@dataclass(frozen=True, slots=True)
class Window:
    """``labels`` of them. ``risk`` is the share of wrong answers among the answered ones and
    ``coverage`` the share of answered ones, withheld and escalated ones being the rest.

    ``brier`` and ``ece`` (0 … 1, lower is better) are of ``confidence`` over the labels that have
    one; None where too few have.
    """

    labels: int
    risk: Rate
    coverage: Rate
    brier: float | None
    ece: float | None


def window(judged: Sequence[Judged]) -> Window:
    """The metrics of some labels."""
    answered = [one for one in judged if one.decision == "answer"]
    believed = [(one.confidence, one.correct) for one in judged if one.confidence is not None]
    calibrated = None
    if believed:
        said = [1 - confidence for confidence, _ in believed]
        calibrated = measure(said, [not correct for _, correct in believed])
    return Window(
        labels=len(judged),
        risk=Rate(sum(not one.correct for one in answered), len(answered)),
        coverage=Rate(len(answered), len(judged)),
        brier=calibrated.brier if calibrated else None,
        ece=calibrated.ece if calibrated and len(believed) >= _FEWEST else None,
    )
