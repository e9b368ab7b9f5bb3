"""The service: everything one gateway process is made of, built once and passed by argument.

Knows how the parts fit together; no request and no route.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from ucbd.app.admission import Admission
from ucbd.app.boundaries import made_boundaries
from ucbd.app.clusterers import Clusterers, served_clusterers
from ucbd.app.errors import PolicyUnavailable, UnknownPolicy, refused
from ucbd.app.metrics import Metrics
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.case import Boundary
from ucbd.cascade.policy import Policy, read_policies, read_policy
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts of a running gateway."""

    settings: Settings
    model: str
    engine: SupervisedEngine
    clusterers: Clusterers
    boundaries: dict[str, Boundary]
    policies: dict[str, Policy]
    default_policy: str
    registry: CollectorRegistry
    metrics: Metrics
    admission: Admission

    def policy(self, name: str | None) -> Policy:
        """The policy of that name, the default for None.

        Raises ``UnknownPolicy``, or ``PolicyUnavailable`` when it needs what is not installed.
        """
        chosen = self.default_policy if name is None else name
        policy = self.policies.get(chosen)
        if policy is None:
            raise refused(UnknownPolicy, "policy", f"{chosen!r} is not among {self._names()}")
        if policy.clusterer is not None and policy.clusterer not in self.clusterers.by_name:
            message = f"{chosen!r} needs the clusterer {policy.clusterer!r}, which is not installed"
            raise refused(PolicyUnavailable, "policy", message)
        return policy

    def _names(self) -> str:
        return ", ".join(sorted(self.policies))

    async def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Load the clusterers' models and bring the engine up; a failure is told, once."""
        try:
            await self.clusterers.load()
            await self.engine.start()
            log.info("ready: %s answers on POST /generate", self.model)
        except Exception as error:
            log.error("start-up failed: %s", error)
            on_failure(error)


def build_service(settings: Settings, engine: SupervisedEngine) -> Service:
    """Everything a gateway needs, from its settings; raises ``GatewayError`` for what cannot be.

    Starts nothing.
    """
    clusterers = served_clusterers(settings)
    policies, default = known_policies(settings)
    model = settings.served_name or settings.model
    admission = Admission(settings.max_in_flight)
    registry = CollectorRegistry()
    service = Service(
        settings=settings,
        model=model,
        engine=engine,
        clusterers=clusterers,
        boundaries=made_boundaries(
            settings, clusterers.by_name, settings.model, clusterers.nli, clusterers.embedder
        ),
        policies=policies,
        default_policy=default,
        registry=registry,
        metrics=Metrics(registry, model, lambda: admission.in_flight),
        admission=admission,
    )
    service.policy(None)  # a default that cannot be used here stops the start, not every request
    return service


def known_policies(settings: Settings) -> tuple[dict[str, Policy], str]:
    """All policies by name, and the default's name; ``settings.policy`` may be a file."""
    policies = read_policies(settings.policies)
    name = settings.policy
    if name not in policies and name.endswith(".json"):
        path = Path(name)
        policies[path.stem] = read_policy(path)
        name = path.stem
    if name not in policies:
        known = ", ".join(sorted(policies))
        raise SettingsInvalid(f"policy: {name!r} is neither a file nor one of {known}")
    return policies, name
