"""The service: everything one gateway process is made of, built once and passed by argument.

Knows how the parts fit together; no request and no route.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from ucbd.app.admission import Admission
from ucbd.app.boundaries import made_boundaries
from ucbd.app.clusterers import Clusterers, served_clusterers
from ucbd.app.keys import KeyRing
from ucbd.app.live import Live, RecordMetrics
from ucbd.app.policies import Policies
from ucbd.app.records import Records
from ucbd.app.settings import Settings
from ucbd.app.single_cluster_rate.all_samples import AllSamples
from ucbd.app.single_cluster_rate.canary import (
    Canary,
    diagnosed_run,
    is_diagnosis,
    read_questions,
    read_run,
)
from ucbd.app.single_cluster_rate.metrics import CanaryMetrics, ScrMetrics
from ucbd.app.single_cluster_rate.shadow import Shadow
from ucbd.app.telemetry.loop_lag import LoopLag
from ucbd.app.telemetry.metrics import Metrics
from ucbd.app.telemetry.tracing import Tracing, made_tracing
from ucbd.cascade.case import Boundary
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.models.engine import Engine
from ucbd.models.errors import EngineStartFailed
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts of a running gateway."""

    settings: Settings
    model: str
    engine: SupervisedEngine
    larger: SupervisedEngine | None
    clusterers: Clusterers
    boundaries: dict[str, Boundary]
    policies: Policies
    registry: CollectorRegistry
    metrics: Metrics
    admission: Admission
    shadow: Shadow
    canary: Canary | None
    keys: KeyRing | None
    records: Records | None
    tracing: Tracing
    loop_lag: LoopLag
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything is up, or cannot be had."""

    async def run(self, on_failure: Callable[[BaseException], None]) -> None:
        """Bring models and engine up and keep it up, work in the background; until cancelled.

        An engine that cannot be had, or not again, is told, once, and so is a fault of ours.
        """
        try:
            if self.records is not None:
                await self.records.open()
            await self.clusterers.load()
            if self.larger is not None:
                await self.larger.start()  # first: ready is who can also escalate
            await self.engine.start()
            self.policies.check_default_served()
            log.info("ready: %s answers on POST /generate", self.model)
        except Exception as error:
            log.error("start-up failed: %s", error)
            on_failure(error)
            return
        finally:
            self.settled.set()
        try:
            await self._work(on_failure)
        except ExceptionGroup as failed:
            # All of it has ended, the engine's supervision too: better a new process than half a
            # gateway.
            log.error("the work in the background failed", exc_info=failed)
            on_failure(failed.exceptions[0])

    async def _work(self, on_failure: Callable[[BaseException], None]) -> None:
        async with asyncio.TaskGroup() as background:
            background.create_task(self.policies.watch())
            background.create_task(self.shadow.run())
            if self.canary is not None:
                background.create_task(self.canary.run(self.settings.canary_hours))
            if self.records is not None:
                background.create_task(self.records.run())
            background.create_task(self._supervise(on_failure))

    def reread(self) -> None:
        """Read keys and policies again, changed or not."""
        if self.keys is not None:
            self.keys.reload()
        self.policies.reload_soon()

    async def _supervise(self, on_failure: Callable[[BaseException], None]) -> None:
        try:
            await self.engine.supervise(self.metrics.engine)
        except EngineStartFailed as error:
            log.error("there is no engine: %s", error)
            on_failure(error)


def build_service(
    settings: Settings,
    engine: SupervisedEngine,
    larger: SupervisedEngine | None = None,
    tracing: Tracing | None = None,
) -> Service:
    """Everything a gateway needs, from its settings; raises ``GatewayError`` for what cannot be.

    Starts nothing.
    """
    tracing = tracing or made_tracing(settings)
    clusterers = served_clusterers(settings)
    policies = Policies(settings, clusterers.by_name, lambda: engine.info)
    model = settings.served_name or settings.model
    policies.check_default(model)  # what cannot be used here stops the start, not every request
    registry = CollectorRegistry()
    metrics = Metrics(registry, model)
    admission = Admission(
        settings.max_in_flight,
        settings.capacity or 2 * settings.max_num_seqs,
        tell=metrics.in_flight,
        tell_held=metrics.sequences_in_flight,
    )
    all_samples = AllSamples(engine, policies.default, measured_clusterers(settings, clusterers))
    return Service(
        settings=settings,
        model=model,
        engine=engine,
        larger=larger,
        clusterers=clusterers,
        boundaries=made_boundaries(
            settings, clusterers.by_name, settings.model, clusterers.nli, clusterers.embedder
        ),
        policies=policies,
        registry=registry,
        metrics=metrics,
        admission=admission,
        shadow=Shadow(
            share=settings.shadow,
            samples=all_samples,
            metrics=ScrMetrics(registry, model, all_samples.clusterers),
            load=lambda: admission.load,
        ),
        canary=made_canary(settings, all_samples, engine, registry),
        keys=KeyRing(settings.keys) if settings.keys else None,
        records=kept_records(settings, model, engine, policies, registry),
        tracing=tracing,
        loop_lag=LoopLag(registry, model),
    )


def kept_records(
    settings: Settings,
    model: str,
    engine: SupervisedEngine,
    policies: Policies,
    registry: CollectorRegistry,
) -> Records | None:
    """None where nothing is to be kept."""
    if settings.records is None:
        return None
    live = Live(model, lambda: policies.names, settings.risk_limit, settings.drift_delta)
    return Records(settings, engine, RecordMetrics(registry, model), live)


def measured_clusterers(settings: Settings, clusterers: Clusterers) -> dict[str, Clusterer]:
    """Those that the single-cluster rate is measured by."""
    wanted = {*settings.shadow_clusterers, settings.clusterer}
    return {name: one for name, one in clusterers.by_name.items() if name in wanted}


def made_canary(
    settings: Settings, samples: AllSamples, engine: Engine, registry: CollectorRegistry
) -> Canary | None:
    """The canary set that the settings name; raises ``GatewayError`` for files that are none."""
    if settings.canary is None:
        return None
    model = settings.served_name or settings.model
    before = read_run(settings.canary_last) if settings.canary_last else None
    if before is None and is_diagnosis(settings.canary):
        before = diagnosed_run(settings.canary)
    return Canary(
        read_questions(settings.canary),
        samples,
        engine,
        model=model,
        max_tokens=settings.default_max_tokens,
        metrics=CanaryMetrics(registry, model),
        before=before,
        file=settings.canary_last,
    )
