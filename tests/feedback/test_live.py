"""Labels on ``/metrics``: by hand, by source, bounded; and the drift alarm across restarts."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.store.conftest import RECORD, records
from ucbd.app.live import Live
from ucbd.cascade.monitoring.drift import Drift
from ucbd.models.store.rows import Certificate
from ucbd.models.store.store import RecordStore


@pytest.fixture
async def store(tmp_path):
    store = await RecordStore.open(str(tmp_path / "records.db"))
    yield store
    await store.close()


def live(limit: float | None = None, policies=("default", "strict")) -> Live:
    return Live("m", lambda: policies, limit, 0.05)


def series(collector: Live) -> dict[tuple[str, ...], float]:
    """Value by name and the labels but ``model``."""
    registry = CollectorRegistry()
    registry.register(collector)
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = [v for k, v in sorted(sample.labels.items()) if k != "model"]
            found[(sample.name, *labels)] = sample.value
    return found


async def labelled(store, name: str, n: int, wrong: int, source="audit", **changes) -> None:
    """``n`` records of which the first ``wrong`` are wrong."""
    await store.add([replace(RECORD, id=f"{name}{i}", **changes) for i in range(n)])
    for i in range(n):
        await store.label(f"{name}{i}", source, correct=i >= wrong, at=1.0)


async def test_nothing_labelled_says_nothing(store):
    await store.add(records(2))
    collector = live()
    await collector.refresh(store, "m")
    assert series(collector) == {("ucbd_audit_records",): 2, ("ucbd_audit_waiting",): 2}


async def test_the_gauges_by_hand_and_by_source(store):
    await labelled(store, "a", 4, wrong=1)  # answered with confidence 0.8
    await labelled(store, "b", 1, wrong=1, decision="abstain", confidence=0.3)
    await labelled(store, "f", 2, wrong=2, source="feedback", confidence=None)
    collector = live()
    await collector.refresh(store, "m")
    found = series(collector)
    assert found["ucbd_labels", "default", "audit"] == 5
    assert found["ucbd_selective_risk", "default", "audit"] == 0.25
    assert found["ucbd_selective_risk_lower", "default", "audit"] == pytest.approx(0.0456, abs=1e-4)
    assert found["ucbd_selective_risk_upper", "default", "audit"] == pytest.approx(0.6994, abs=1e-4)
    assert found["ucbd_coverage", "default", "audit"] == 0.8
    brier = (3 * 0.2**2 + 0.8**2 + 0.3**2) / 5
    assert found["ucbd_brier_score", "default", "audit"] == pytest.approx(brier)
    assert found["ucbd_selective_risk", "default", "feedback"] == 1
    assert ("ucbd_brier_score", "default", "feedback") not in found
    assert ("ucbd_calibration_error", "default", "audit") not in found  # of 5 labels


async def test_policies_that_the_gateway_does_not_have_make_no_series(store):
    await labelled(store, "a", 1, wrong=0, policy="gone")
    await labelled(store, "b", 1, wrong=0, policy="strict")
    collector = live()
    await collector.refresh(store, "m")
    assert {labels[1] for labels in series(collector) if len(labels) > 1} == {"strict"}


async def test_another_models_answers_say_nothing_of_this_one(store):
    await labelled(store, "a", 30, wrong=15, model="before")
    collector = live()
    await collector.refresh(store, "m")
    assert series(collector) == {("ucbd_audit_records",): 30, ("ucbd_audit_waiting",): 0}


async def test_feedback_moves_no_alarm(store):
    await labelled(store, "f", 50, wrong=50, source="feedback")
    collector = live(limit=0.1)
    await collector.refresh(store, "m")
    assert not [name for name in series(collector) if name[0].startswith("ucbd_drift")]


async def test_what_was_not_answered_breaks_no_promise(store):
    await labelled(store, "a", 50, wrong=50, decision="abstain")
    collector = live()
    await collector.refresh(store, "m")
    assert not [name for name in series(collector) if name[0].startswith("ucbd_drift")]


async def test_a_drift_is_logged_once_and_the_alarm_outlives_the_process(store, caplog):
    await labelled(store, "a", 30, wrong=15)
    collector = live()
    await collector.refresh(store, "m")
    await collector.refresh(store, "m")
    expected = Drift()
    for i in range(30):
        expected = expected.after(wrong=i < 15, bound=0.1)
    found = series(collector)
    assert found["ucbd_drift_evidence", "default"] == pytest.approx(expected.evidence)
    assert found["ucbd_drift_alarm", "default"] == 1
    assert len([r for r in caplog.records if r.message.startswith("drift:")]) == 1

    after = live()
    await after.restore(store)
    assert series(after)["ucbd_drift_alarm", "default"] == 1
    await labelled(store, "more", 3, wrong=3)
    await after.refresh(store, "m")
    assert len([r for r in caplog.records if r.message.startswith("drift:")]) == 1
    for _ in range(3):
        expected = expected.after(wrong=True, bound=0.1)
    assert series(after)["ucbd_drift_evidence", "default"] == pytest.approx(expected.evidence)


async def test_a_new_profile_is_watched_anew(store):
    await labelled(store, "a", 30, wrong=15)
    await labelled(store, "b", 5, wrong=0, certificate=Certificate("c2", 0.2))
    collector = live()
    await collector.refresh(store, "m")
    assert series(collector)["ucbd_drift_alarm", "default"] == 0
    restarted = live()
    await restarted.restore(store)
    assert series(restarted)["ucbd_drift_alarm", "default"] == 0


async def test_without_a_certificate_the_limit_is_the_promise_and_without_both_there_is_none(store):
    await labelled(store, "a", 30, wrong=15, certificate=None)
    for limit, expected in ((None, None), (0.1, 1), (0.9, 0)):
        collector = live(limit)
        await collector.refresh(store, "m")
        assert series(collector).get(("ucbd_drift_alarm", "default")) == expected
