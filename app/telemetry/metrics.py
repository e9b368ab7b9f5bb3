"""Metrics: one outcome or one error in, Prometheus series out (contract, "Metrics").

Knows outcomes, not requests. Every label comes from a closed set, so the number of series is
bounded. Base units: seconds, nats.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ucbd.app.errors import INTERNAL, TABLE
from ucbd.cascade.ladder import LADDER
from ucbd.cascade.outcome import Outcome
from ucbd.models.generation import Missing
from ucbd.models.supervisor import ENGINE_EVENTS, EngineEvent

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OVERHEAD = (0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5)
_NATS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5)
_CLUSTERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32)
_CHILDREN = 512

Family = TypeVar("Family", Counter, Histogram)

_COST = (1, 1.25, 1.5, 2, 3, 5, 8, 11, 16, 33)


class Metrics:
    """The gateway's series in ``registry``, all labelled with the served ``model``."""

    def __init__(self, registry: CollectorRegistry, model: str) -> None:
        self._model = model
        # A child is found by its labels' values alone, which are from closed sets.
        self._child = lru_cache(_CHILDREN)(self._labelled)
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
        self._requests.labels(model, "answer", "none")  # shares of what never was need its 0
        for _, code in (*TABLE.values(), INTERNAL):
            self._errors.labels(model, code)
        self._degraded = Counter(
            "ucbd_degraded_total",
            "Answered requests for which load made the gateway shed stages, by what was left.",
            ["model", "rung"],
            registry=registry,
        )
        for rung in LADDER[1:]:
            self._degraded.labels(model, rung)
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
        self._stage_cost = Counter(
            "ucbd_stage_cost_total",
            "Tokens generated for a stage ÷ tokens of the main answer, summed over requests.",
            ["model", "stage"],
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
        self._engine_events = Counter(
            "ucbd_engine_events_total",
            "Deaths of the engine, and how each attempt to start it again ended.",
            ["model", "event"],
            registry=registry,
        )
        self._escalations = Counter(
            "ucbd_escalations_total",
            "Requests that the larger tier was asked for, by what came of it.",
            ["model", "outcome"],
            registry=registry,
        )
        for event in ENGINE_EVENTS:
            self._engine_events.labels(model, event)
        gauge = Gauge(
            "ucbd_in_flight",
            "Requests being served.",
            ["model"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.in_flight: Callable[[float], None] = gauge.labels(model).set
        held = Gauge(
            "ucbd_sequences_in_flight",
            "Engine sequences that requests hold together, as admission weighs them.",
            ["model"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.sequences_in_flight: Callable[[float], None] = held.labels(model).set

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Enter one answered request that took ``seconds``."""
        child = self._child
        child(self._requests, outcome.decision, outcome.boundary).inc()
        if outcome.rung != "all":
            child(self._degraded, outcome.rung).inc()
        self._seconds.observe(seconds)
        self._overhead.observe(max(0.0, seconds - outcome.spent.waited))
        for stage in outcome.stages:
            child(self._stage_outcomes, stage.name, stage.outcome).inc()
            if stage.outcome != "skipped":
                child(self._stage_seconds, stage.name).observe(stage.seconds)
                cost = child(self._stage_cost, stage.name)  # its 0 too is a series
                if stage.cost:
                    cost.inc(stage.cost)
        if not isinstance(outcome.entropy, Missing) and outcome.entropy.mean is not None:
            self._entropy.observe(outcome.entropy.mean)
        if outcome.samples is not None and outcome.samples.complete:
            child(self._clusters, outcome.clusterer).observe(len(outcome.samples.clusters))
        if outcome.escalation is not None:
            failed = outcome.escalation.generation is None
            child(self._escalations, "failed" if failed else "answered").inc()
        if outcome.spent.relative_cost is not None:
            self._cost.observe(outcome.spent.relative_cost)

    def error(self, code: str) -> None:
        """Enter one request that ended in an error."""
        self._errors.labels(self._model, code).inc()

    def engine(self, event: EngineEvent) -> None:
        """Enter what happened to the engine."""
        self._engine_events.labels(self._model, event).inc()

    def _labelled(self, family: Family, *values: str) -> Family:
        return family.labels(self._model, *values)

    def _histogram(
        self, registry: CollectorRegistry, name: str, text: str, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, ["model"], buckets=buckets, registry=registry).labels(
            self._model
        )
