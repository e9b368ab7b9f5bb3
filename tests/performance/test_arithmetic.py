"""The timing program times what its aims name; how long things take is its business, not ours."""

from tests.performance.arithmetic import AIMS, answers, measure


def test_every_part_with_an_aim_is_timed_once_a_round():
    found = measure(rounds=2, samples=3, words=5)
    assert set(AIMS) <= set(found)
    assert all(len(taken) == 2 and min(taken) > 0 for taken in found.values())


def test_the_answers_are_long_enough_seeded_and_not_alike_between_rounds():
    said = answers(7, 3, 60)
    assert [len(text.split()) for text in said] == [60, 60, 60]
    assert said == answers(7, 3, 60)
    assert not set(said) & set(answers(8, 3, 60))
