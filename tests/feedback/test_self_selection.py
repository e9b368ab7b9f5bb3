"""Whoever volunteers is not the traffic: certified on feedback α breaks, on the audit it holds."""

import pytest

from tests.feedback.self_selection import ALPHA, SOURCES, simulate

pytestmark = pytest.mark.slow

AUDIT, TWICE_RIGHT, _, _, FOUR_TIMES_WRONG = SOURCES


def test_on_the_audit_draw_alpha_holds_and_something_is_answered():
    found = simulate(AUDIT, draws=200)
    assert found.broken <= found.most_broken
    assert found.refused <= 0.1 * found.draws
    assert found.coverage > 0.25


def test_where_right_answers_are_reported_twice_as_often_feedback_breaks_alpha():
    found = simulate(TWICE_RIGHT, draws=50)
    assert found.broken >= 0.95 * found.draws
    assert found.risk > 1.4 * ALPHA


def test_where_wrong_answers_are_reported_more_often_feedback_answers_little():
    audit, feedback = (simulate(one, draws=50) for one in (AUDIT, FOUR_TIMES_WRONG))
    assert feedback.broken == 0
    assert feedback.refused > 0.9 * feedback.draws or feedback.coverage < audit.coverage / 2
