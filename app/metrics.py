"""Metrics: one outcome or one error in, Prometheus series out (contract, "Metrics").

Knows outcomes, not requests. Every label comes from a closed set, so the number of series is
bounded. Base units: seconds, nats.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ucbd.cascade.outcome import Outcome
from ucbd.models.generation import Missing

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OVERHEAD = (0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5)
_NATS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5)
_CLUSTERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32)
_COST = (1, 1.25, 1.5, 2, 3, 5, 8, 11, 16, 33)


class Metrics:
    """The gateway's series in ``registry``, all labelled with the served ``model``."""

    def __init__(
        self, registry: CollectorRegistry, model: str, in_flight: Callable[[], int]
    ) -> None:
        self._model = model
        self._requests = Counter(
            "ucbd_requests_total",
            "Answered requests (HTTP 200) by decision and the boundary that decided.",
            ["model", "decision", "boundary"],
            registry=registry,
        )
        self._errors = Counter(
            "ucbd_errors_total",
            "Requests that ended without a decision, by error code.",
            ["model", "code"],
            registry=registry,
        )
        self._seconds = self._histogram(
            registry, "ucbd_request_seconds", "Time of an answered request.", _SECONDS
        )
        self._overhead = self._histogram(
            registry,
            "ucbd_overhead_seconds",
            "Time of an answered request minus its waiting for engine and models.",
            _OVERHEAD,
        )
        self._stage_seconds = Histogram(
            "ucbd_stage_seconds",
            "Time of a stage that ran.",
            ["model", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stage_outcomes = Counter(
            "ucbd_stage_outcomes_total",
            "Stages by how they ended, the skipped ones too.",
            ["model", "stage", "outcome"],
            registry=registry,
        )
        self._entropy = self._histogram(
            registry,
            "ucbd_token_entropy_nats",
            "Mean token entropy of the main answer; higher is less certain.",
            _NATS,
        )
        self._clusters = Histogram(
            "ucbd_cluster_count",
            "Clusters among the samples of requests that reached sampling; "
            "selected by earlier stages, so not the traffic's single-cluster rate.",
            ["model", "clusterer"],
            buckets=_CLUSTERS,
            registry=registry,
        )
        self._cost = self._histogram(
            registry,
            "ucbd_relative_cost",
            "Tokens generated for a request ÷ tokens of its main answer.",
            _COST,
        )
        gauge = Gauge("ucbd_in_flight", "Requests being served.", ["model"], registry=registry)
        gauge.labels(model).set_function(in_flight)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Enter one answered request that took ``seconds``."""
        model = self._model
        self._requests.labels(model, outcome.decision, outcome.boundary).inc()
        self._seconds.observe(seconds)
        self._overhead.observe(max(0.0, seconds - outcome.spent.waited))
        for stage in outcome.stages:
            self._stage_outcomes.labels(model, stage.name, stage.outcome).inc()
            if stage.outcome != "skipped":
                self._stage_seconds.labels(model, stage.name).observe(stage.seconds)
        if not isinstance(outcome.entropy, Missing) and outcome.entropy.mean is not None:
            self._entropy.observe(outcome.entropy.mean)
        if outcome.samples is not None and outcome.samples.complete:
            self._clusters.labels(model, outcome.clusterer).observe(len(outcome.samples.clusters))
        if outcome.spent.relative_cost is not None:
            self._cost.observe(outcome.spent.relative_cost)

    def error(self, code: str) -> None:
        """Enter one request that ended in an error."""
        self._errors.labels(self._model, code).inc()

    def _histogram(
        self, registry: CollectorRegistry, name: str, text: str, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, ["model"], buckets=buckets, registry=registry).labels(
            self._model
        )
