"""Live metrics of labels, by hand."""

import pytest

from ucbd.cascade.evaluation.rates import Rate
from ucbd.cascade.monitoring.window import Window, window
from ucbd.models.store.rows import Judged


def judged(decision: str, correct: bool, confidence: float | None = None) -> Judged:
    return Judged(1, "default", decision, confidence, None, correct)


def test_risk_is_of_the_answered_and_coverage_of_all():
    labels = [
        judged("answer", True),
        judged("answer", True),
        judged("answer", False),
        judged("abstain", False),
        judged("escalate", True),
    ]
    assert window(labels) == Window(5, Rate(1, 3), Rate(3, 5), None, None)


def test_without_labels_nothing_is_known():
    found = window([])
    assert (found.risk.value, found.coverage.value, found.brier, found.ece) == (None,) * 4


def test_brier_is_of_the_labels_with_a_confidence():
    labels = [judged("answer", True, 0.9), judged("abstain", False, 0.4), judged("answer", False)]
    assert window(labels).brier == pytest.approx((0.1**2 + 0.4**2) / 2)


def test_calibration_error_waits_for_thirty_labels():
    """30 answers said to be right with 0.9, of which 20 are: off by 0.9 − 2/3."""
    labels = [judged("answer", i % 3 > 0, 0.9) for i in range(30)]
    assert window(labels[:29]).ece is None
    assert window(labels).ece == pytest.approx(0.9 - 2 / 3)
