"""What passes from one step of a calibration to the next.

The types keep the order: nothing certifies but what was fitted, and on no record that it was fitted
to. Computes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.ladder import Rung
from ucbd.cascade.policy import Policy


@dataclass(frozen=True, slots=True)
class Wanted:
    """At most ``alpha`` wrong among what is answered, with confidence ``1 - delta``.

    With ``groups`` in each group of records for itself.
    """

    alpha: float
    delta: float
    groups: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """A policy with fitted models, exits and thresholds, and nothing certified yet.

    ``same_as`` names for each rung the first that runs the same stages, of those that measured
    anything. For each of these ``scores`` (n,) has P(wrong) of the fit split, whose labels are
    ``wrong`` (n,): which thresholds are tested is told by them.
    """

    policy: Policy
    scores: Mapping[Rung, Floats]
    wrong: Mask
    same_as: Mapping[Rung, Rung]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Records that nothing was fitted to, as the fitted policy found them.

    For each rung that runs other stages ``scores`` (n,) has P(wrong) where the cascade stopped;
    ``wrong`` (n,) are the labels, ``groups`` (n,) where the records of each group are.
    """

    scores: Mapping[Rung, Floats]
    wrong: Mask
    groups: Mapping[str, Mask]

    @property
    def parts(self) -> Mapping[str, Mask]:
        """What is certified apart: the groups, or all records under no name."""
        return self.groups or {"": np.ones(len(self.wrong), dtype=np.bool_)}
