"""What the stages found about labelled answers, in columns: what everything is fitted to.

Made from outcomes of the cascade itself. Knows no model and no threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.outcome import Outcome, Stage


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of n labelled answers, what each stage of the policy found, whatever the others did.

    ``uncertainties`` (n, stages), 0 … 1, higher = less certain, NaN where a stage could not rank;
    ``stages`` names the columns, in the policy's order. ``homogenized`` (n,): all samples say what
    the answer says. ``refused`` (n,): a rule or an alarm stands against the answer, whatever else
    is known; ``unasked`` (n,): one of a stage before sampling, so that later ones are not asked.
    ``wrong`` (n,) are the labels.
    """

    stages: tuple[str, ...]
    uncertainties: Floats
    homogenized: Mask
    refused: Mask
    unasked: Mask
    wrong: Mask

    def measured(self, stages: Sequence[str], *, homogenized: bool) -> Mask:
        """(n,): where all of these were measured; with ``homogenized`` in the stratum alone."""
        columns = self.uncertainties[:, [self.stages.index(stage) for stage in stages]]
        found: Mask = ~np.isnan(columns).any(axis=1) & ~self.unasked
        return found & self.homogenized if homogenized else found

    def __len__(self) -> int:
        return len(self.wrong)


def gathered(outcomes: Sequence[Outcome], wrong: Mask) -> Evidence:
    """The evidence of outcomes that ran every stage (``explain``).

    Samples of which some were lost could not rank: of fewer it is another measure.
    """
    columns = [
        [
            nan if stage.uncertainty is None or _lost(one, stage) else stage.uncertainty
            for stage in one.stages
        ]
        for one in outcomes
    ]
    refused = [one.verdict.by_rule for one in outcomes]
    sampled = [one.boundary == "sampling" for one in outcomes]
    return Evidence(
        stages=tuple(stage.name for stage in outcomes[0].stages),
        uncertainties=np.array(columns, dtype=np.float64),
        homogenized=np.array([one.unanimous for one in outcomes]),
        refused=np.array(refused),
        unasked=np.array(refused) & ~np.array(sampled),
        wrong=wrong,
    )


def measured_stages(evidence: Evidence) -> tuple[str, ...]:
    """The stages that said anything of any record."""
    silent = set()
    for stage, found in zip(evidence.stages, evidence.uncertainties.T, strict=True):
        unanimous = stage == "sampling" and evidence.homogenized.any()
        if np.isnan(found).all() and not unanimous:
            silent.add(stage)
    return tuple(stage for stage in evidence.stages if stage not in silent)


def signals(outcomes: Sequence[Outcome]) -> dict[str, set[str]]:
    """The signals that each stage had, by its name; without those of lost samples."""
    found: dict[str, set[str]] = {}
    for outcome, stage in ((one, stage) for one in outcomes for stage in one.stages):
        if stage.signal is not None and not _lost(outcome, stage):
            found.setdefault(stage.name, set()).add(stage.signal)
    return found


def _lost(outcome: Outcome, stage: Stage) -> bool:
    return stage.name == "sampling" and _incomplete(outcome)


def _incomplete(outcome: Outcome) -> bool:
    """Whether samples were wanted that did not come back."""
    return outcome.samples is not None and outcome.samples.lost


def scores(outcomes: Sequence[Outcome]) -> Floats:
    """(n,): P(wrong) where the cascade stopped: an answer stands at or below the threshold.

    Infinite where no threshold lets it stand, and where it stands whatever the threshold: nothing
    of the policy is about answers of that kind, and the promise leaves them out as well. So it does
    those whose samples were lost, which stand without a certificate.
    """
    return np.array([_score(outcome) for outcome in outcomes])


def _score(outcome: Outcome) -> float:
    if outcome.verdict.by_rule or outcome.uncertainty is None or _incomplete(outcome):
        return inf
    return outcome.uncertainty
