"""Which boundaries there are here, made from the settings. Knows how, not what they measure."""

from collections.abc import Mapping

from ucbd.app.retriever import HttpRetriever
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.boundaries.association import Association
from ucbd.cascade.boundaries.density import Density
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.freshness import Domain, Freshness
from ucbd.cascade.boundaries.grounding import Grounding
from ucbd.cascade.boundaries.pointer import Pointer
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.boundaries.self_assessment import SelfAssessment
from ucbd.cascade.case import Boundary
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.pointer import read_pointer
from ucbd.cascade.support import Entailment, Support, Wording
from ucbd.models.embedder import Embedder
from ucbd.models.neighbours import read_index
from ucbd.models.nli import NliModel
from ucbd.models.reference import EMBEDDED, KNOWLEDGE_CUTOFF, embedded_pointer
from ucbd.models.triples import read_triples


def made_boundaries(
    settings: Settings,
    clusterers: Mapping[str, Clusterer],
    model: str | None,
    nli: NliModel | None = None,
    embedder: Embedder | None = None,
) -> dict[str, Boundary]:
    """Every boundary by its name, for answers of ``model``; None where nobody tells whose.

    ``nli`` holds answers against evidence; without one their words are compared. ``embedder`` is
    for the reference index and for names. Raises ``IndexUnusable``, ``TriplesUnreadable`` and
    ``PointerUnreadable`` for what cannot be used.
    """
    index = read_index(settings.reference_index) if settings.reference_index else None
    if index and embedder is None:
        raise SettingsInvalid("reference_index: needs the extra 'embedding'")
    triples = read_triples(settings.triples) if settings.triples else None
    pointed = settings.pointer or embedded_pointer(model)
    pointer = read_pointer(pointed) if pointed else None
    support: Support = Entailment(nli) if nli else Wording()
    retriever = HttpRetriever(settings.retriever) if settings.retriever else None
    made: list[Boundary] = [
        Freshness(_domains(settings, model)),
        Density(embedder, index),
        Pointer(pointer),
        Fluency(),
        Association(embedder, triples),
        SelfAssessment(),
        Grounding(support, retriever),
        Sampling(clusterers),
    ]
    return {boundary.name: boundary for boundary in made}


def _domains(settings: Settings, model: str | None) -> list[Domain]:
    """The settings' fields, and the one of all other questions where a cutoff is known."""
    cutoff = settings.knowledge_cutoff
    if cutoff is None and model in EMBEDDED:
        cutoff = KNOWLEDGE_CUTOFF
    domains = [
        Domain(domain.name, found, domain.decay_per_year, domain.words)
        for domain in settings.freshness_domains
        if (found := domain.cutoff or cutoff)
    ]
    return domains + ([Domain("all", cutoff, settings.decay_per_year)] if cutoff else [])
