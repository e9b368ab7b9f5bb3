"""Percentiles, tallies, scrapes and their comparison, on numbers worked out by hand."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.client import Seen, StageTold
from loadtest.crosscheck import crosscheck, disagreements
from loadtest.pairs import round_count
from loadtest.scrape import Histogram, Metrics, read
from loadtest.tally import Tally, percentile, slope, summary

BEFORE = """
# TYPE ucbd_requests counter
ucbd_requests_total{decision="answer",boundary="none",model="m"} 5.0
# TYPE ucbd_request_seconds histogram
ucbd_request_seconds_bucket{le="0.1",model="m"} 5.0
ucbd_request_seconds_bucket{le="0.5",model="m"} 5.0
ucbd_request_seconds_bucket{le="+Inf",model="m"} 5.0
ucbd_request_seconds_count{model="m"} 5.0
ucbd_request_seconds_sum{model="m"} 0.25
"""
AFTER = """
# TYPE ucbd_requests counter
ucbd_requests_total{decision="answer",boundary="none",model="m"} 6.0
ucbd_requests_total{decision="abstain",boundary="pointer",model="m"} 1.0
# TYPE ucbd_errors counter
ucbd_errors_total{code="overloaded",model="m"} 1.0
# TYPE ucbd_degraded counter
ucbd_degraded_total{rung="fluency",model="m"} 1.0
# TYPE ucbd_request_seconds histogram
ucbd_request_seconds_bucket{le="0.1",model="m"} 6.0
ucbd_request_seconds_bucket{le="0.5",model="m"} 7.0
ucbd_request_seconds_bucket{le="+Inf",model="m"} 7.0
ucbd_request_seconds_count{model="m"} 7.0
ucbd_request_seconds_sum{model="m"} 0.65
# TYPE ucbd_stage_seconds histogram
ucbd_stage_seconds_bucket{le="+Inf",stage="fluency",model="m"} 2.0
ucbd_stage_seconds_count{stage="fluency",model="m"} 2.0
ucbd_stage_seconds_sum{stage="fluency",model="m"} 0.003
# TYPE ucbd_relative_cost histogram
ucbd_relative_cost_bucket{le="+Inf",model="m"} 2.0
ucbd_relative_cost_count{model="m"} 2.0
ucbd_relative_cost_sum{model="m"} 12.0
"""


def seen(**changes) -> Seen:
    told = {
        "kind": "plain",
        "due": 0.0,
        "sent": 0.0,
        "done": 0.09,
        "outcome": "answered",
        "decision": "answer",
        "relative_cost": 1.0,
        "stages": (StageTold("fluency", "accepted", 0.001), StageTold("sampling", "skipped", 9.0)),
    }
    return Seen(**(told | changes))


def two_answers_and_an_error() -> Tally:
    tally = Tally()
    tally.add(seen())
    tally.add(
        seen(
            due=1.0,
            sent=1.1,
            done=1.5,
            first_token=1.25,
            decision="abstain",
            degraded="fluency",
            relative_cost=11.0,
            stages=(StageTold("fluency", "fired", 0.002),),
        )
    )
    tally.add(Seen("plain", 2.0, 2.0, 2.2, "overloaded"))
    return tally


def test_a_percentile_is_the_nearest_rank():
    values = [15, 20, 35, 40, 50]
    found = {rank: percentile(values, rank) for rank in (5, 30, 40, 50, 100)}
    assert found == {5: 15, 30: 20, 40: 20, 50: 35, 100: 50}


@given(st.lists(st.floats(-100, 100), min_size=1), st.floats(0.1, 100))
def test_at_least_that_share_is_no_larger_and_no_smaller_value_has_it(values, rank):
    ascending = sorted(values)
    found = percentile(ascending, rank)
    assert sum(v <= found for v in values) >= rank / 100 * len(values) - 1e-9
    assert sum(v < found for v in values) < rank / 100 * len(values) + 1e-9


def test_of_nothing_there_is_no_summary():
    assert summary([]) is None


def test_growth_is_the_slope_of_least_squares_and_two_points_tell_none():
    assert slope([(0, 1), (1, 2), (2, 6)]) == pytest.approx(2.5)  # (−1·−2 + 1·3) ÷ 2
    assert slope([(0, 1), (1, 2)]) is None


def test_a_tally_counts_every_request_once_and_times_answers_from_when_they_were_due():
    figures = two_answers_and_an_error().figures(seconds=2.0)
    assert (figures["asked"], figures["answered"]) == (3, 2)
    assert figures["errors"] == {"overloaded": 1}
    assert figures["error_share"] == pytest.approx(1 / 3)
    assert figures["decisions"] == {"abstain": 1, "answer": 1}
    assert (figures["degraded"], figures["degraded_share"]) == ({"fluency": 1}, 0.5)
    assert figures["seconds"] == 2.2  # the last request ended later than the phase
    assert figures["throughput"] == pytest.approx(2 / 2.2)
    assert figures["latency"]["max"] == pytest.approx(0.5)  # due at 1.0, not sent at 1.1
    assert figures["service"]["max"] == pytest.approx(0.4)
    assert figures["late"]["max"] == pytest.approx(0.1)
    assert figures["first_token"] == {
        "n": 1, **dict.fromkeys(("mean", "p50", "p95", "p99", "max"), pytest.approx(0.25))
    }  # fmt: skip
    assert figures["relative_cost"]["mean"] == 6.0
    assert list(figures["stages"]) == ["fluency"]  # a skipped stage took no time
    assert figures["stages"]["fluency"]["mean"] == pytest.approx(0.0015)


def test_a_histograms_rank_lies_between_the_edges_of_its_bucket():
    histogram = Histogram(10, 3.0, ((0.1, 5), (0.5, 9), (float("inf"), 10)))
    assert histogram.mean == pytest.approx(0.3)
    assert histogram.bounds(50) == (0, 0.1)
    assert histogram.bounds(51) == (0.1, 0.5)
    assert histogram.bounds(90) == (0.1, 0.5)
    assert histogram.bounds(99) == (0.5, float("inf"))
    assert Histogram(0, 0, ()).bounds(50) is None


def test_what_two_scrapes_gained_is_the_phases():
    added = read(AFTER).since(read(BEFORE))
    assert added.by("ucbd_requests_total", "decision") == {"answer": 1, "abstain": 1}
    whole = added.histogram("ucbd_request_seconds")
    assert (whole.count, whole.sum) == (2, pytest.approx(0.4))
    assert whole.buckets == ((0.1, 1), (0.5, 2), (float("inf"), 2))


def test_two_views_of_the_same_requests_agree():
    found = crosscheck(two_answers_and_an_error(), read(AFTER).since(read(BEFORE)))
    assert found["agrees"], disagreements(found)
    assert len(found["checks"]) == 11
    assert found["outside_mean"] == pytest.approx(0.245 - 0.2)
    assert found["gateway"]["p99"] == [0.1, 0.5]
    assert found["engine"] is None


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('decision="answer",boundary="none",model="m"} 6.0', None, "decided answer"),
        ('code="overloaded",model="m"} 1.0', None, "error overloaded"),
        ('rung="fluency",model="m"} 1.0', None, "degraded to fluency"),
        ('ucbd_request_seconds_sum{model="m"} 0.65', "9", "mean seconds"),
        ('ucbd_request_seconds_bucket{le="0.1",model="m"} 6.0', "5", "p50 seconds, at least"),
        ('ucbd_stage_seconds_sum{stage="fluency",model="m"} 0.003', "0.004", "fluency: seconds"),
        ('ucbd_relative_cost_sum{model="m"} 12.0', "13", "sum of relative cost"),
    ],
)
def test_a_gateway_that_counts_otherwise_is_found_out(old, new, what):
    line, value = old.rsplit(" ", 1)
    changed = AFTER.replace(old, f"{line} {new or float(value) + 1}")
    found = crosscheck(two_answers_and_an_error(), read(changed).since(read(BEFORE)))
    told = disagreements(found)
    assert not found["agrees"]
    assert any(text.startswith(what) for text in told), told


def test_what_ended_without_a_reply_may_have_been_counted_as_anything():
    tally = two_answers_and_an_error()
    tally.add(Seen("plain", 3.0, 3.0, 4.0, "timeout"))
    more = AFTER.replace('boundary="none",model="m"} 6.0', 'boundary="none",model="m"} 7.0')
    for text in (AFTER, more):
        assert crosscheck(tally, read(text).since(read(BEFORE)))["agrees"]


def test_several_gateways_series_add_up():
    twice = Metrics({key: 2 * value for key, value in read(AFTER).samples.items()})
    assert twice.total("ucbd_requests_total", decision="answer") == 12


def test_of_one_round_no_spread_is_asked_for(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=round_count)
    assert parser.parse_args(["--rounds", "2"]).rounds == 2
    with pytest.raises(SystemExit):
        parser.parse_args(["--rounds", "1"])
    assert "--rounds: must be at least 2, is 1: one has no spread" in capsys.readouterr().err
