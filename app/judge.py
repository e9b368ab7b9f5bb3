"""Judging recorded answers: what a policy would have decided, and every score of them.

The gateway's own cascade with the boundaries that the settings make, over recordings. Reads and
writes no file.
"""

import asyncio
from collections.abc import Mapping, Sequence

from ucbd.app.boundaries import made_boundaries
from ucbd.app.clusterers import evaluation_clusterers, nli_model
from ucbd.app.service import known_policies
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.evaluation.recorded import decided
from ucbd.cascade.evaluation.records import Record, labelled
from ucbd.cascade.evaluation.score import ScoredRecord, score
from ucbd.cascade.policy import Policy
from ucbd.models.embedder import MiniLM
from ucbd.models.reference import EMBEDDED


class Judge:
    """What makes scored records of answered ones: a policy and its boundaries, and clusterers."""

    def __init__(
        self,
        names: Sequence[str] | None,
        settings: Settings,
        model: str | None,
        *,
        keep_reasoning: bool,
    ) -> None:
        policies, default = known_policies(settings)
        self._policy: Policy = policies[default]
        self._keep_reasoning = keep_reasoning
        self._clusterers: Mapping[str, Clusterer] = evaluation_clusterers(names, settings)
        self.default = self._default(settings.clusterer)
        deciding = self._policy.clusterer or self.default
        if deciding not in self._clusterers:
            raise SettingsInvalid(
                f"clusterers: the policy decides by {deciding!r}, "
                f"which is not among {', '.join(self._clusterers)}"
            )
        nli = nli_model(settings) if settings.nli or model in EMBEDDED else None
        embedder = MiniLM() if settings.reference_index and MiniLM.installed() else None
        self._boundaries = made_boundaries(settings, self._clusterers, model, nli, embedder)

    def _default(self, preferred: str) -> str:
        """The settings' clusterer where it is one of those used, else the first of them."""
        return preferred if preferred in self._clusterers else next(iter(self._clusterers))

    async def scored(
        self, records: Sequence[Record], *, explain: bool = False
    ) -> list[ScoredRecord]:
        """Every record labelled, decided and scored, in their order, all at once.

        ``explain`` runs every stage of the policy, whatever the ones before it found.
        """
        return list(await asyncio.gather(*(self._one(record, explain) for record in records)))

    async def _one(self, record: Record, explain: bool) -> ScoredRecord:
        judged = await decided(
            labelled(record), self._policy, self._boundaries, self.default, explain=explain
        )
        return await score(
            judged, self._clusterers, self.default, keep_reasoning=self._keep_reasoning
        )
