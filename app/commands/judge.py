"""Judging recorded answers: what a policy would have decided, and every score of them.

The gateway's own cascade with the boundaries that the settings make, over recordings. Reads and
writes no file.
"""

import asyncio
from collections.abc import Mapping, Sequence

from ucbd.app.boundaries import made_boundaries
from ucbd.app.clusterers import evaluation_clusterers, nli_model
from ucbd.app.policies import known_policies
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.evaluation.recorded import decided, outcome_of
from ucbd.cascade.evaluation.records import Record, labelled
from ucbd.cascade.evaluation.score import ScoredRecord, score
from ucbd.cascade.ladder import Rung
from ucbd.cascade.outcome import Outcome
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
        policies, self.policy_name = known_policies(settings)
        self.policy: Policy = policies.by_name[self.policy_name]
        self._keep_reasoning = keep_reasoning
        self._clusterers: Mapping[str, Clusterer] = evaluation_clusterers(names, settings)
        self.default = self._default(settings.clusterer)
        self.deciding = self.policy.clusterer or self.default
        if self.deciding not in self._clusterers:
            raise SettingsInvalid(
                f"clusterers: the policy decides by {self.deciding!r}, "
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

    async def outcomes(
        self, records: Sequence[Record], policy: Policy, rung: Rung, explain: bool
    ) -> list[Outcome]:
        """What the cascade makes of recorded answers by that policy, at once, in their order."""
        found = await asyncio.gather(
            *(
                outcome_of(
                    record, policy, self._boundaries, self.default, explain=explain, rung=rung
                )
                for record in records
            )
        )
        return [outcome for outcome in found if outcome is not None]

    async def _one(self, record: Record, explain: bool) -> ScoredRecord:
        judged = await decided(
            labelled(record), self.policy, self._boundaries, self.default, explain=explain
        )
        return await score(
            judged, self._clusterers, self.default, keep_reasoning=self._keep_reasoning
        )
