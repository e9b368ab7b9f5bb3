"""What labels say of the decisions, as Prometheus series: read from the store now and then.

Gauges of the latest labels by policy and source, and the drift alarm by policy. Of what too few
labels tell there is no series: absent is not 0. Labels are bounded: sources are two, and policies
those that the gateway has.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ucbd.app.telemetry.logs import log_fields
from ucbd.cascade.monitoring.drift import Drift
from ucbd.cascade.monitoring.window import Window, window
from ucbd.models.store.rows import Judged, Source
from ucbd.models.store.store import RecordStore
from ucbd.models.store.writer import Loss

log = logging.getLogger(__name__)

WINDOW = 1000
"""Labels of each source, of all policies together, that the gauges are of."""

_AT_ONCE = 500
_GAUGES = {
    "ucbd_labels": "Labels in the window.",
    "ucbd_selective_risk": "Share of wrong among the answered, of the labels in the window.",
    "ucbd_selective_risk_lower": "Lower end of its 95 % interval (Wilson).",
    "ucbd_selective_risk_upper": "Upper end of its 95 % interval (Wilson).",
    "ucbd_coverage": "Share of answered requests, of the labels in the window.",
    "ucbd_brier_score": "Of `confidence`, over the labels in the window; lower is better.",
    "ucbd_calibration_error": "ECE of `confidence`, 15 bins, over the labels in the window.",
}


class RecordMetrics:
    """What becomes of records and of feedback."""

    def __init__(self, registry: CollectorRegistry, model: str) -> None:
        self._model = model
        self._lost = Counter(
            "ucbd_records_lost_total",
            "Request records, and completions of audited ones, that were not kept, by reason.",
            ["model", "reason"],
            registry=registry,
        )
        self._feedback = Counter(
            "ucbd_feedback_total",
            "Feedback that was acknowledged: joined to its request, or there already.",
            ["model", "result"],
            registry=registry,
        )
        for reason in (*get_args(Loss), "not_completed", "engine_gone"):
            self._lost.labels(model, reason)

    def lost(self, reason: str, count: int) -> None:
        """Enter records that were not kept."""
        self._lost.labels(self._model, reason).inc(count)

    def feedback(self, *, new: bool) -> None:
        """Enter an acknowledged feedback."""
        self._feedback.labels(self._model, "joined" if new else "repeated").inc()


class Live(Collector):
    """Reads labels, watches for drift, and gives both to Prometheus.

    ``limit`` is the risk to hold answers to that were given without a certificate; None watches
    only those with one. The alarm is false with probability at most ``delta`` for each policy and
    certificate, however long it is watched.
    """

    def __init__(
        self,
        model: str,
        policies: Callable[[], Collection[str]],
        limit: float | None,
        delta: float,
    ) -> None:
        self._model = model
        self._policies = policies
        self._limit = limit
        self._delta = delta
        self._windows: dict[tuple[str, Source], Window] = {}
        self._drifts: dict[tuple[str, str], Drift] = {}
        self._watched: dict[str, str] = {}  # policy -> the reference of its latest label
        self._seen_by: dict[tuple[str, str], int] = {}  # the last label that each has counted
        self._read = 0  # the last label that was read
        self._drawn = self._waiting = 0

    async def restore(self, store: RecordStore) -> None:
        """Go on from what the monitors had seen when the last process ended."""
        kept = await store.monitors()
        for (policy, reference), (seen, state) in sorted(kept.items(), key=lambda one: one[1][0]):
            self._drifts[policy, reference] = Drift.restored(state)
            self._seen_by[policy, reference] = seen
            self._watched[policy] = reference
        self._read = min(self._seen_by.values(), default=0)

    async def refresh(self, store: RecordStore, model: str) -> None:
        """Read what came in since, of that model's answers. Raises ``StoreFailed``."""
        windows: dict[tuple[str, Source], Window] = {}
        for source in get_args(Source):
            latest = await store.last_judged(source, model, WINDOW)
            for policy in {one.policy for one in latest} & set(self._policies()):
                mine = [one for one in latest if one.policy == policy]
                windows[policy, source] = window(mine)
        self._windows = windows
        self._drawn, self._waiting = await store.audit_counts()
        while new := await store.judged_after("audit", model, self._read, _AT_ONCE):
            await self._watch(store, model, new)

    async def _watch(self, store: RecordStore, model: str, labels: list[Judged]) -> None:
        changed = set()
        for one in labels:
            self._read = one.number
            reference, bound = self._reference(model, one)
            key = (one.policy, reference)
            counted = one.number <= self._seen_by.get(key, 0)
            if bound is None or one.decision != "answer" or counted:
                continue
            before = self._drifts.get(key, Drift())
            after = before.after(wrong=not one.correct, bound=bound)
            self._drifts[key], self._watched[one.policy] = after, reference
            self._seen_by[key] = one.number
            changed.add(key)
            if after.alarmed(self._delta) and not before.alarmed(self._delta):
                self._alarm(one.policy, reference, bound, after)
        for key in changed:
            await store.keep_monitor(*key, self._seen_by[key], self._drifts[key].state())

    def _reference(self, model: str, one: Judged) -> tuple[str, float | None]:
        """What an answer is held to, and the risk that is; None holds it to nothing."""
        if one.certificate is not None:
            return one.certificate.id, one.certificate.risk_upper
        return f"risk_limit={self._limit} of {model}", self._limit

    def _alarm(self, policy: str, reference: str, bound: float, drift: Drift) -> None:
        log_fields(
            log,
            logging.ERROR,
            "drift: more answers are wrong than was promised; calibrate anew",
            policy=policy,
            reference=reference,
            bound=bound,
            wrong=drift.wrong,
            answered=drift.answers,
            evidence=round(drift.evidence, 1),
        )

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        gauges = {
            name: GaugeMetricFamily(name, text, labels=["model", "policy", "source"])
            for name, text in _GAUGES.items()
        }
        for (policy, source), found in sorted(self._windows.items()):
            for name, value in _values(found).items():
                if value is not None:
                    gauges[name].add_metric([self._model, policy, source], value)
        yield from gauges.values()
        yield self._gauge("ucbd_audit_records", "Drawn requests in the store.", self._drawn)
        yield self._gauge("ucbd_audit_waiting", "Of them, those without a label.", self._waiting)
        yield from self._drift_gauges()

    def _drift_gauges(self) -> Iterator[Metric]:
        labels = ["model", "policy"]
        evidence = GaugeMetricFamily(
            "ucbd_drift_evidence",
            "Evidence that answers are wrong more often than was promised; 1 is none.",
            labels=labels,
        )
        alarm = GaugeMetricFamily(
            "ucbd_drift_alarm",
            "1 once the evidence was enough, until a new profile.",
            labels=labels,
        )
        for policy, reference in sorted(self._watched.items()):
            if policy in self._policies():
                drift = self._drifts[policy, reference]
                evidence.add_metric([self._model, policy], drift.evidence)
                alarm.add_metric([self._model, policy], float(drift.alarmed(self._delta)))
        yield from (evidence, alarm)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["model"])
        family.add_metric([self._model], value)
        return family


def _values(found: Window) -> dict[str, Any]:
    lower, upper = found.risk.interval or (None, None)
    return {
        "ucbd_labels": found.labels,
        "ucbd_selective_risk": found.risk.value,
        "ucbd_selective_risk_lower": lower,
        "ucbd_selective_risk_upper": upper,
        "ucbd_coverage": found.coverage.value,
        "ucbd_brier_score": found.brier,
        "ucbd_calibration_error": found.ece,
    }
