"""Budgets and the baseline: what keeps a rule, what breaks it, what is no rule."""

import json
from pathlib import Path

import pytest

from loadtest.baseline import BaselineUnusable, compared, read_baseline
from loadtest.budget import RuleUnreadable, judged, read_rule
from loadtest.forms import broke, capacity

SHIPPED = Path(__file__).parents[2] / "loadtest" / "baseline.json"


def phase(name: str, p99: float = 0.2, errors: float = 0.0, **more):
    return {"name": name, "latency": {"p99": p99}, "error_share": errors, "throughput": 9.0} | more


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("latency.p99 <= 0.2", [True, False]),
        ("steady: latency.p99<=0.2", [True]),
        ("bursts:latency.p99 >= 3e-1", [True]),
        ("throughput>=9", [True, True]),
        ("latency.p50 <= 1", [False, False]),  # there is none: missing is no pass
        ("elsewhere: error_share <= 1", [False]),
    ],
)
def test_a_rule_is_held_against_every_phase_or_the_one_it_names(text, kept):
    phases = [phase("steady"), phase("bursts", p99=0.3)]
    assert [verdict["kept"] for verdict in judged([read_rule(text)], phases)] == kept


@pytest.mark.parametrize("text", ["", "latency.p99", "latency.p99 < 1", "p99 <= fast", "a: <= 1"])
def test_what_is_no_rule_is_told_with_one_that_is(text):
    with pytest.raises(RuleUnreadable, match=r"latency\.p99 <= 0\.5"):
        read_rule(text)


def test_a_ramps_capacity_is_the_last_rate_that_was_held():
    steps = [phase("a", throughput=10.0), phase("b", throughput=20.0), phase("c", p99=1.5)]
    found = capacity(steps, limit=1.0)
    assert (found["held"], found["saturated"], found["ended_by"]) == (20.0, True, "p99 1500 ms")
    assert capacity(steps[:2], limit=1.0)["told"].startswith("at least 20.0 answers a second")
    assert broke(phase("d", errors=0.02), limit=1.0) == "2.0 % errors"
    assert capacity([], limit=1.0) is None


def engine(mean: float):
    return {"mean": mean}


RAN = [
    phase("one at a time", service={"mean": 0.03}, crosscheck={"engine": engine(0.024)}),
    phase("streams", first_token={"mean": 0.01}, crosscheck={"engine_first_token": engine(0.008)}),
    phase("cost", relative_cost={"mean": 1.5}, throughput=10.0),
    phase("closed", throughput=45.0),
]


def test_ratios_divide_what_a_client_waited_by_what_the_engine_took():
    assert compared(RAN, None)["values"] == {
        "latency_to_engine": pytest.approx(1.25),
        "first_token_to_engine": pytest.approx(1.25),
        "relative_cost": 1.5,
        "parallel_gain": 4.5,
    }


def test_a_bound_is_broken_by_a_worse_ratio_and_by_a_missing_one(tmp_path):
    path = tmp_path / "baseline.json"
    bounds = {
        "latency_to_engine": {"measured": 1.1, "at_most": 1.2},
        "parallel_gain": {"measured": 4.0, "at_least": 3.0},
    }
    path.write_text(json.dumps({"ratios": bounds}))
    baseline = read_baseline(path)
    assert [check["kept"] for check in compared(RAN, baseline)["checks"]] == [False, True]
    assert [check["kept"] for check in compared(RAN[2:], baseline)["checks"]] == [False, True]
    assert [check["kept"] for check in compared([], baseline)["checks"]] == [False, False]


def test_the_shipped_baseline_bounds_every_ratio_and_holds_what_was_measured():
    bounds = read_baseline(SHIPPED)
    assert [bound.name for bound in bounds] == list(compared([], None)["values"])
    for bound in bounds:
        assert (bound.at_least or 0) < bound.measured < (bound.at_most or float("inf"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("{}", "ratios: is missing"),
        ('{"ratios": {"speed": {"measured": 1, "at_most": 2}}}', "speed: must be one of latency_"),
        ('{"ratios": {"parallel_gain": {"measured": 1}}}', "parallel_gain: needs at_most or"),
        ('{"ratios": {"parallel_gain": {"at_most": 1}}}', "measured: is missing"),
    ],
)
def test_a_file_that_is_no_baseline_is_named_with_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(BaselineUnusable, match=message):
        read_baseline(path)
