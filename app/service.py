"""The service: everything one gateway process is made of, built once and passed by argument.

Knows how the parts fit together; no request and no route.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from ucbd.app.admission import Admission
from ucbd.app.errors import PolicyUnavailable, UnknownPolicy, refused
from ucbd.app.metrics import Metrics
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.case import Boundary
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.clustering.nli import Nli
from ucbd.cascade.policy import Policy, read_policies, read_policy
from ucbd.models.embedder import MiniLM
from ucbd.models.nli import EMBEDDED_NLI, CrossEncoder
from ucbd.models.reference import EMBEDDED
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger(__name__)

_NEEDS = {
    Embedding.name: "the extra 'embedding' (pip install 'ucbd-gateway[embedding]')",
    Nli.name: "a model (the setting nli) and the extra 'nli' (pip install 'ucbd-gateway[nli]')",
}


@dataclass(frozen=True)
class Service:
    """The parts of a running gateway."""

    settings: Settings
    model: str
    engine: SupervisedEngine
    embedder: MiniLM | None
    nli: CrossEncoder | None
    clusterers: dict[str, Clusterer]
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
        if policy.clusterer is not None and policy.clusterer not in self.clusterers:
            message = f"{chosen!r} needs the clusterer {policy.clusterer!r}, which is not installed"
            raise refused(PolicyUnavailable, "policy", message)
        return policy

    def _names(self) -> str:
        return ", ".join(sorted(self.policies))

    async def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Load the clusterers' models and bring the engine up; a failure is told, once."""
        try:
            if self.embedder is not None:
                await self.embedder.load()
            if self.nli is not None:
                await self.nli.load()
            await self.engine.start()
            log.info("ready: %s answers on POST /generate", self.model)
        except Exception as error:
            log.error("start-up failed: %s", error)
            on_failure(error)


def build_service(settings: Settings, engine: SupervisedEngine) -> Service:
    """Everything a gateway needs, from its settings; raises ``GatewayError`` for what cannot be.

    Starts nothing.
    """
    embedder = MiniLM() if MiniLM.installed() else None
    clusterers: dict[str, Clusterer] = {Jaccard.name: Jaccard()}
    if embedder is not None:
        clusterers[Embedding.name] = Embedding(embedder)
    nli = nli_model(settings)
    if nli is not None:
        clusterers[Nli.name] = Nli(nli)
    if settings.clusterer not in clusterers:
        raise SettingsInvalid(
            f"clusterer: {settings.clusterer!r} needs {_NEEDS[settings.clusterer]}; "
            f"there are {', '.join(clusterers)}"
        )
    boundaries: list[Boundary] = [Fluency(), Sampling(clusterers)]
    policies, default = _policies(settings)
    model = settings.served_name or settings.model
    admission = Admission(settings.max_in_flight)
    registry = CollectorRegistry()
    service = Service(
        settings=settings,
        model=model,
        engine=engine,
        embedder=embedder,
        nli=nli,
        clusterers=clusterers,
        boundaries={boundary.name: boundary for boundary in boundaries},
        policies=policies,
        default_policy=default,
        registry=registry,
        metrics=Metrics(registry, model, lambda: admission.in_flight),
        admission=admission,
    )
    service.policy(None)  # a default that cannot be used here stops the start, not every request
    return service


def nli_model(settings: Settings) -> CrossEncoder | None:
    """The NLI model that the settings name, or the embedded one of an embedded model.

    Raises ``ModelUnusable`` for a folder that holds no such model, and ``SettingsInvalid`` when one
    is named and cannot be run here.
    """
    if not CrossEncoder.installed():
        if settings.nli is not None:
            raise SettingsInvalid(f"nli: {settings.nli!r} needs {_NEEDS[Nli.name]}")
        return None
    name = settings.nli or (EMBEDDED_NLI if settings.model in EMBEDDED else None)
    return CrossEncoder(name) if name is not None else None


def _policies(settings: Settings) -> tuple[dict[str, Policy], str]:
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
