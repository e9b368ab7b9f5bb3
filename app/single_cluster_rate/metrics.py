"""The single-cluster rate's series: of the traffic, by shadow draws, and of the canary set.

Knows draws and counts, not how they came about (contract, "Metrics"; method.md section 7).
"""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from ucbd.cascade.diagnosis.paired import Paired
from ucbd.cascade.evaluation.rates import wilson

Lost = Literal[
    "refused",  # not admitted, or there was no engine
    "invalid",  # nothing that could be asked, so no part of the traffic that the rate is of
    "deadline",  # of the request before its question was known, or of the draw
    "client_closed",  # the client left before its question was known
    "error",  # a fault of the engine, of a model or of ours
    "out_of_scope",  # samples of such an answer cannot be compared
    "incomplete",  # fewer than N usable samples: their rate would be another measure
    "shutdown",  # the gateway stopped first
]
"""Why a shadow draw yields no clusters."""


class ScrMetrics:
    """The single-cluster rate's sums, by clusterer; all at 0 from the start (method.md section 7).

    ``w`` is a draw's weight, ``y`` is 1 when all its samples fell into one cluster and else 0.
    """

    def __init__(
        self, registry: CollectorRegistry, model: str, clusterers: Collection[str]
    ) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ["model", *labels], registry=registry)

        self._model = model
        self._weight = counter("ucbd_scr_weight_total", "Sum of w over shadow draws.", "clusterer")
        self._single = counter(
            "ucbd_scr_single_weight_total", "Sum of w·y over shadow draws.", "clusterer"
        )
        self._squared = counter(
            "ucbd_scr_weight_squared_total", "Sum of w² over shadow draws.", "clusterer"
        )
        self._single_squared = counter(
            "ucbd_scr_single_weight_squared_total", "Sum of w²·y over shadow draws.", "clusterer"
        )
        self._lost = counter(
            "ucbd_scr_lost_weight_total",
            "Sum of w over shadow draws that yielded no clusters, by cause.",
            "clusterer",
            "reason",
        )
        uncovered = counter(
            "ucbd_scr_uncovered_requests_total",
            "Requests whose probability of being drawn was 0: the rate says nothing of them.",
        )
        self._uncovered = uncovered.labels(model)
        for name in clusterers:
            self.observe(name, 0, single=True)
            for reason in get_args(Lost):
                self.lost(name, 0, reason)

    def observe(self, clusterer: str, weight: float, *, single: bool) -> None:
        """Enter one draw of that weight with its clusters."""
        labels = (self._model, clusterer)
        self._weight.labels(*labels).inc(weight)
        self._single.labels(*labels).inc(weight * single)
        self._squared.labels(*labels).inc(weight**2)
        self._single_squared.labels(*labels).inc(weight**2 * single)

    def lost(self, clusterer: str, weight: float, reason: Lost) -> None:
        """Enter one draw of that weight that yielded no clusters."""
        self._lost.labels(self._model, clusterer, reason).inc(weight)

    def uncovered(self) -> None:
        """Enter one request that could not have been drawn."""
        self._uncovered.inc()


class CanaryMetrics:
    """What the last run of the canary set saw, by clusterer; no series before the first run."""

    def __init__(self, registry: CollectorRegistry, model: str) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            # Of several processes that of the newest run counts.
            return Gauge(
                name, text, ["model", *labels], registry=registry, multiprocess_mode="mostrecent"
            )

        self._model = model
        self._questions = gauge(
            "ucbd_canary_questions",
            "Questions of the last canary run by what their samples said.",
            "clusterer",
            "result",
        )
        self._rate = gauge(
            "ucbd_canary_single_cluster_rate",
            "Share of canary questions whose samples fell into one cluster.",
            "clusterer",
        )
        self._lower = gauge(
            "ucbd_canary_single_cluster_rate_lower", "Lower end of its 95 % interval.", "clusterer"
        )
        self._upper = gauge(
            "ucbd_canary_single_cluster_rate_upper", "Upper end of its 95 % interval.", "clusterer"
        )
        self._shift = gauge(
            "ucbd_canary_shift",
            "That share minus the run before, over the questions of both; above 0 is more alike.",
            "clusterer",
        )
        self._p = gauge(
            "ucbd_canary_shift_p",
            "How likely so large a shift is by chance (exact McNemar test, two-sided).",
            "clusterer",
        )
        self._time = gauge(
            "ucbd_canary_last_run_timestamp_seconds", "When the last canary run ended."
        )

    def ran(self, clusterer: str, single: Sequence[bool], *, lost: int) -> None:
        """Enter one run: of each question whether it had one cluster, and how many are not known.

        Where none is known there is no rate: that of the run before goes.
        """
        labels = (self._model, clusterer)
        hits, n = sum(single), len(single)
        for result, count in (("single", hits), ("several", n - hits), ("lost", lost)):
            self._questions.labels(*labels, result).set(count)
        if n:
            low, high = wilson(hits, n)
            self._rate.labels(*labels).set(hits / n)
            self._lower.labels(*labels).set(low)
            self._upper.labels(*labels).set(high)
        else:
            for gauge in (self._rate, self._lower, self._upper):
                gauge.remove(*labels)
        self._time.labels(self._model).set_to_current_time()

    def shifted(self, clusterer: str, pairs: Paired) -> None:
        """Enter the run against the one before."""
        self._shift.labels(self._model, clusterer).set(pairs.shift)
        self._p.labels(self._model, clusterer).set(pairs.p)
