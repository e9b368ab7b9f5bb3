"""P(wrong) from what the stages found: one small model for each set of evidence.

A logistic regression over the stages' uncertainties, then a map that makes a probability of it, as
they were fitted to labelled answers (``ucbd.cascade.calibration.fit``). The homogenized stratum has
models of its own: that all samples agree is not evidence for the answer, it is another population.
Knows no threshold. What it says holds for answers like those that it was fitted to, and no others.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Real = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

_CLIP = 0.005
"""Uncertainties are read no nearer to 0 or 1: their logits are within ±5.3."""


class Platt(BaseModel):
    """``1 / (1 + exp(-(slope z + intercept)))`` of a logit z (Platt 1999)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["platt"] = "platt"
    slope: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    intercept: Real

    def probability(self, z: float) -> float:
        """0 … 1, rising with z."""
        return _sigmoid(self.slope * z + self.intercept)


class Isotonic(BaseModel):
    """Rising, and straight between the points (z, p); flat beyond the outer ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["isotonic"] = "isotonic"
    z: Annotated[tuple[Real, ...], Field(min_length=1)]
    p: Annotated[tuple[Share, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rising(self) -> "Isotonic":
        if len(self.z) != len(self.p):
            raise ValueError(f"z has {len(self.z)} points and p has {len(self.p)}")
        if list(self.z) != sorted(set(self.z)) or list(self.p) != sorted(self.p):
            raise ValueError("z must rise and p must not fall")
        return self

    def probability(self, z: float) -> float:
        """0 … 1, never falling with z."""
        after = bisect_right(self.z, z)
        if after in (0, len(self.z)):
            return self.p[min(after, len(self.p) - 1)]
        before = after - 1
        share = (z - self.z[before]) / (self.z[after] - self.z[before])
        return self.p[before] + share * (self.p[after] - self.p[before])


class EvidenceModel(BaseModel):
    """P(wrong) where these stages were measured: 0 … 1, higher = less certain.

    ``homogenized`` is the stratum in which all samples say what the answer says; ``sampling`` is
    then not among ``stages``, since it cannot rank there; with no stage at all it is the stratum's
    own error rate. ``weights`` are of the logits of the
    stages' uncertainties, never below 0: more doubt never reads as less. ``answers`` and ``wrong``
    are how many it was fitted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[str, ...]
    homogenized: bool = False
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    intercept: Real
    map: Annotated[Platt | Isotonic, Field(discriminator="kind")]
    answers: Annotated[int, Field(gt=0)]
    wrong: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _one_weight_each(self) -> "EvidenceModel":
        if len(self.weights) != len(self.stages):
            raise ValueError(f"{len(self.stages)} stages and {len(self.weights)} weights")
        if not self.stages and not self.homogenized:
            raise ValueError("stages: only the stratum has an error rate without any")
        return self

    def wrong_probability(self, uncertainties: Mapping[str, float]) -> float:
        """P(wrong), from the uncertainty of each of ``stages``."""
        logits = (logit(uncertainties[stage]) for stage in self.stages)
        z = math.fsum(w * x for w, x in zip(self.weights, logits, strict=True)) + self.intercept
        return self.map.probability(z)


def stages_read(models: Iterable[EvidenceModel]) -> set[str]:
    """The stages that any of the models depends on; one of the stratum on what samples said."""
    read = {stage for model in models for stage in model.stages}
    return read | {"sampling" for model in models if model.homogenized}


def model_for(
    models: Sequence[EvidenceModel], available: Mapping[str, float], *, homogenized: bool
) -> EvidenceModel | None:
    """The model that reads most of what is available; None where none was fitted to any of it.

    In the stratum one of its own where there is one; else the others decide as they do without
    samples, and where there is nothing but the samples the stratum's own error rate does
    (method.md section 1).
    """
    known = available.keys() - ({"sampling"} if homogenized else set())
    fitting = [model for model in models if known >= set(model.stages)]
    own = [model for model in fitting if model.homogenized] if homogenized else []
    ranking = [model for model in own if model.stages]
    chosen = ranking or [model for model in fitting if not model.homogenized] or own
    return max(chosen, key=lambda model: (len(model.stages), model.answers), default=None)


def logit(uncertainty: float) -> float:
    """``ln(u / (1 - u))`` of an uncertainty in [0, 1], which is clipped to 0.005 … 0.995."""
    u = min(max(uncertainty, _CLIP), 1 - _CLIP)
    return math.log(u / (1 - u))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
