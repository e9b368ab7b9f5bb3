"""The report in words: at its edges too, and never more than its numbers say."""

import pytest

from ucbd.cascade.diagnosis.sentences import (
    blind,
    headline,
    share,
    shifted,
    short_share,
    still_ranks,
    tokens,
)


@pytest.mark.parametrize(
    ("read", "generated", "uncounted", "told"),
    [
        (1234, 56, 0, "1,234 tokens read and 56 generated"),
        (1234, 56, 3, "at least 1,234 tokens read and 56 generated (3 calls not counted)"),
        (None, None, 20, "tokens not counted by the server"),
    ],
)
def test_tokens_are_told_as_far_as_the_server_counted_them(
    read: int | None, generated: int | None, uncounted: int, told: str
):
    spent = {"prompt_tokens": read, "completion_tokens": generated}
    missing = {"uncounted_requests": uncounted, "tokens_missing": "not counted by the server"}
    assert tokens(spent | missing) == told


def report(single: int, n: int, **changes):
    by = {"scr": single / n if n else None, "single": single, "n": n, "blind_mass_counts": [0, 0]}
    return {"clusterer": "combined", "homogenization": {"combined": by | changes}, "signals": {}}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0 %"),
        (0.001, "less than 1 %"),
        (0.614, "61 %"),
        (0.996, "more than 99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_little_is_not_nothing_and_nearly_all_is_not_all(value: float, words: str):
    assert share(value) == words


def test_a_headlines_number_is_short():
    assert [short_share(value) for value in (0.001, 0.614, 0.996)] == ["< 1 %", "61 %", "> 99 %"]


def test_the_headline_at_its_edges():
    assert headline(report(61, 100)) == (
        "On 61 % of these questions self-consistency cannot rank this model's answers."
    )
    assert headline(report(0, 0)).startswith("No question has two usable samples")
    assert headline(report(0, 40)).startswith("On none of these 40 questions did all samples agree")


def test_blind_mass_is_told_only_with_wrong_answers():
    assert blind(report(5, 10)) is None
    assert (
        blind(report(5, 10, blind_mass_counts=[0, 4])) == "None of its 4 wrong answers lies there."
    )
    told = blind(report(5, 10, blind_mass_counts=[3, 4]))
    assert told is not None
    assert told.startswith("Of its 4 wrong answers 3 (75 %) lie there")


@pytest.mark.parametrize(
    ("low", "words"), [(0.51, "still ranks them"), (0.49, "does not surely rank them")]
)
def test_token_entropy_ranks_only_when_its_interval_says_so(low: float, words: str):
    found = report(5, 10)
    found["signals"] = {
        "mean_token_entropy": {"auroc_single_cluster": 0.7, "auroc_single_cluster_ci": [low, 0.9]}
    }
    assert words in str(still_ranks(found))


def test_no_auroc_inside_the_stratum_is_no_sentence():
    found = report(5, 10)
    found["signals"] = {
        "mean_token_entropy": {"auroc_single_cluster": None, "auroc_single_cluster_ci": None}
    }
    assert still_ranks(found) is None


@pytest.mark.parametrize(
    ("before", "after", "p", "words"),
    [
        (0.2, 0.5, 0.001, "More homogeneous by 30.0 points (20.0 % to 50.0 %)"),
        (0.5, 0.2, 0.5, "Less homogeneous by 30.0 points"),
        (0.5, 0.5, 1.0, "has not moved"),
    ],
)
def test_a_shift_in_words(before: float, after: float, p: float, words: str):
    found = {
        "n": 200,
        "scr_before": before,
        "scr_after": after,
        "shift": after - before,
        "p": p,
        "detectable": 0.07,
    }
    told = shifted({"clusterer": "x", "clusterers": {"x": found}})
    assert words in told
    assert ("no more than chance" in told) == (p >= 0.05)
