"""Policies: what a file may say, and what is said back when it may not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_cascade import ask
from ucbd.cascade.policy import Policy, PolicyUnreadable, read_policies, read_policy
from ucbd.models.scripted import Script

GOOD = {
    "schema": 1,
    "description": "for a test",
    "stages": [{"stage": "fluency", "weight": 3}, {"stage": "sampling"}],
    "threshold": 0.4,
}
shares = st.floats(0, 1)


def write(tmp_path, content, name="mine.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_stage_that_another_has_read_counts_once():
    stages = [
        {"stage": "pointer", "weight": 3},
        {"stage": "fluency", "unless": "pointer"},
        {"stage": "sampling", "weight": 1},
    ]
    found = Policy(schema=1, description="", stages=stages, threshold=0.4)
    # (3·0.2 + 1·0.6)/4, and without the pointer (0.9 + 0.6)/2
    assert found.combined({"pointer": 0.2, "fluency": 0.9, "sampling": 0.6}) == pytest.approx(0.3)
    assert found.combined({"fluency": 0.9, "sampling": 0.6}) == pytest.approx(0.75)


def test_the_shipped_policies_are_readable_and_default_is_among_them():
    assert "default" in read_policies(None).by_name


def test_combined_uncertainty_is_the_weighted_mean_of_what_could_be_measured():
    policy = Policy.model_validate(GOOD)
    # (3·0.2 + 1·0.6)/4
    assert policy.combined({"fluency": 0.2, "sampling": 0.6}) == pytest.approx(0.3)
    assert policy.combined({"sampling": 0.6}) == pytest.approx(0.6)
    assert policy.combined({}) is None


@given(shares, shares, st.floats(0, 1))
def test_combined_uncertainty_rises_with_each_of_its_parts(low, high, other):
    low, high = sorted((low, high))
    policy = Policy.model_validate(GOOD)
    lower = policy.combined({"fluency": low, "sampling": other})
    assert lower <= policy.combined({"fluency": high, "sampling": other}) + 1e-12
    assert -1e-12 <= lower <= 1 + 1e-12


def test_a_folders_policies_come_by_stem_and_win_over_shipped_ones(tmp_path):
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "default.json")
    policies = read_policies(tmp_path).by_name
    assert policies["mine"].description == "for a test"
    assert policies["default"].description == "for a test"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "the file: Invalid JSON"),
        (GOOD | {"schema": 2}, "schema: is 2, made by a newer version; this one reads 1"),
        (GOOD | {"treshold": 0.1}, "treshold: Extra inputs are not permitted"),
        (GOOD | {"threshold": 1.5}, "threshold: Input should be less than or equal to 1"),
        (GOOD | {"stages": []}, "stages: Tuple should have at least 1 item"),
        (GOOD | {"stages": [{"stage": "divination"}]}, "unknown stage 'divination'"),
        (GOOD | {"stages": [{"stage": "fluency"}] * 2}, "each stage may stand once"),
        (
            GOOD | {"stages": [{"stage": "fluency", "accept": 0.5, "high": 0.5}]},
            r"accept \(0.5\) must be below high \(0.5\)",
        ),
        (GOOD | {"samples": 1}, "samples: Input should be greater than or equal to 2"),
    ],
)
def test_a_bad_policy_file_is_named_with_its_field(tmp_path, content, complaint):
    path = write(tmp_path, content)
    with pytest.raises(PolicyUnreadable, match=complaint) as caught:
        read_policy(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(PolicyUnreadable, match=r"gone\.json: No such file"):
        read_policy(tmp_path / "gone.json")
    with pytest.raises(PolicyUnreadable, match="gone: not a folder"):
        read_policies(tmp_path / "gone")


async def test_the_papers_policy_pays_for_every_stage_of_an_answer():
    """One-sided: however certain and unanimous, all ten samples are drawn."""
    script = Script(answer="Tarn it is", entropies=(0.01,), samples=("Tarn it is",))
    outcome, engine = await ask(script, rules=read_policies(None).by_name["paper"])
    assert outcome.decision == "answer"
    assert len(engine.calls) == 11


async def test_the_papers_policy_ends_early_only_when_uncertain():
    outcome, engine = await ask(
        Script(entropies=(0.9,)), rules=read_policies(None).by_name["paper"]
    )
    assert (outcome.boundary, len(engine.calls)) == ("fluency", 1)
