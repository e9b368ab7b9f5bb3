"""Final answers: reasoning is not part of what is compared."""

import pytest

from ucbd.cascade.reasoning import final_answer


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("Tarn.", "Tarn."),
        ("<think>born… where?</think>\nTarn.", "Tarn."),
        ("<think>a</think>Ta<think>b</think>rn", "Tarn"),
        ("born… where?</think> Tarn.", "Tarn."),
        ("<think>never ends", ""),
        ("<THINK>loud</THINK> Tarn.", "Tarn."),
        ("  \n", ""),
    ],
)
def test_reasoning_blocks_are_stripped(text, final):
    assert final_answer(text) == final
