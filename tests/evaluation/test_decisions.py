"""What a page says of a policy: what it certified, what was seen, and why that may be no check."""

from typing import Any

from ucbd.cascade.evaluation.decisions import policy_of
from ucbd.cascade.evaluation.html import page
from ucbd.cascade.evaluation.report import report_on
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.tally import tallied
from ucbd.cascade.policy import read_policies

POLICIES = read_policies(None).by_name
BALANCED = POLICIES["balanced"]
CERTIFIED = BALANCED.calibration.ladder["all"].certificate
FILES = BALANCED.calibration.records.files


def policy(name: str, model: str = "reference-dpo", files: tuple[str, ...] = ()) -> dict[str, Any]:
    return policy_of(name, POLICIES[name], [model], files)


def test_what_is_certified_is_the_profiles_own():
    found = policy("balanced")
    assert found["certified"]["alpha"] == BALANCED.calibration.alpha
    assert found["certified"]["coverage"] == CERTIFIED.coverage
    assert found["certified"]["wrong"] == CERTIFIED.wrong
    assert found["caveats"] == []


def test_a_policy_that_is_no_profile_certifies_nothing():
    assert policy("default")["certified"] is None


def test_the_records_that_a_profile_was_made_from_are_no_check_of_it():
    (caveat,) = policy("balanced", files=FILES)["caveats"]
    assert "no check" in caveat


def test_answers_of_another_model_are_told():
    (caveat,) = policy("balanced", model="gpt-x")["caveats"]
    assert "made for reference-dpo" in caveat
    assert "gpt-x" in caveat


def test_the_page_shows_the_promise_beside_what_was_seen():
    records = [
        ScoredRecord.model_validate(
            {
                "id": str(i),
                "prompt": "?",
                "correct": i > 0,
                "decision": "answer" if i < 4 else "abstain",
            }
        )
        for i in range(5)
    ]
    shown = page(report_on(tallied(records), "jaccard", policy("balanced", model="<b>x</b>")))
    assert "at most 10.0 %" in shown
    assert f"{CERTIFIED.wrong} of {CERTIFIED.answered}" in shown
    assert "25.0 % [4.6, 69.9]" in shown  # Wilson, 1 wrong of 4 answered
    assert "80.0 % [37.6, 96.4]" in shown  # 4 of 5 answered
    assert "answers of &lt;b&gt;x&lt;/b&gt;" in shown


def test_the_page_of_an_uncertified_policy_says_that_it_promises_nothing():
    record = ScoredRecord.model_validate({"id": "q", "prompt": "?", "decision": "answer"})
    shown = page(report_on(tallied([record]), "jaccard", policy("default")))
    assert "default certifies no error rate" in shown
