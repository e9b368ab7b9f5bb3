"""Policies: the thresholds that turn evidence into a decision, read from JSON files.

Knows stages by name and scores as numbers. A policy here is uncalibrated: its thresholds are
documented constants, so it claims no error rate (``confidence`` and ``calibration`` stay null).
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ucbd.cascade.boundaries import STAGE_NAMES
from ucbd.models.errors import GatewayError

Share = Annotated[float, Field(ge=0, le=1)]


class PolicyUnreadable(GatewayError):
    """A policy file that cannot be used, with the file and what is wrong in it."""


class Rule(BaseModel):
    """When a stage ends the cascade.

    ``fire`` is in the stage's own unit: a higher score is uncertain, and decided. ``accept`` and
    ``high`` are on the common scale [0, 1]: a combined uncertainty below ``accept`` is answered,
    one above ``high`` is uncertain. None never exits that way. ``weight`` is the stage's share in
    the combined uncertainty; none ``unless`` that other stage was measured, which has read what
    this one reads: evidence counts once. With less than ``seconds`` left to its deadline a request
    skips the stage: what it takes, as measured where the policy was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    fire: Annotated[float, Field(ge=0)] | None = None
    accept: Share | None = None
    high: Share | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    unless: str | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        for name in (self.stage, self.unless):
            if name is not None and name not in STAGE_NAMES:
                raise ValueError(f"unknown stage {name!r}; there are {', '.join(STAGE_NAMES)}")
        if self.accept is not None and self.high is not None and self.accept >= self.high:
            raise ValueError(f"accept ({self.accept}) must be below high ({self.high})")
        return self


class Policy(BaseModel):
    """A named set of rules, cheapest stage first, and what to do when no stage has decided.

    ``threshold`` is the combined uncertainty above which an undecided request is uncertain.
    ``samples`` is N of the sampling stage. ``clusterer`` None means the gateway's default.
    ``scope`` "factual" takes evidence for nothing where the request or its answer is not of that
    kind (``ucbd.cascade.scope``); "all" takes it always. With ``stop_error`` sampling ends once
    that is the most probability with which all N would have led to another decision; without it
    all N are drawn. ``withhold`` replaces the text of what is not answered by null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(alias="schema")
    description: str
    stages: Annotated[tuple[Rule, ...], Field(min_length=1)]
    threshold: Share
    samples: Annotated[int, Field(ge=2, le=64)] = 10
    scope: Literal["factual", "all"] = "factual"
    stop_error: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    clusterer: str | None = None
    withhold: bool = False

    @model_validator(mode="after")
    def _each_stage_once(self) -> "Policy":
        names = [rule.stage for rule in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"each stage may stand once, got {', '.join(names)}")
        return self

    def combined(self, uncertainties: Mapping[str, float]) -> float | None:
        """Weighted mean of the stages' uncertainties, 0 … 1, higher = less certain.

        None without any. A stage that could not rank is not among them: it adds nothing either way.
        """
        known = [
            rule
            for rule in self.stages
            if rule.stage in uncertainties and rule.unless not in uncertainties
        ]
        if not known:
            return None
        total = sum(rule.weight for rule in known)
        return sum(rule.weight * uncertainties[rule.stage] for rule in known) / total


def read_policy(path: Path) -> Policy:
    """The policy in a JSON file. Raises ``PolicyUnreadable`` naming the file and the field."""
    try:
        return Policy.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PolicyUnreadable(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise PolicyUnreadable(f"{path}: {field}: {first['msg']}") from error


def read_policies(folder: Path | None) -> dict[str, Policy]:
    """The shipped policies and those of ``folder``, by file stem; a folder's own wins by name."""
    shipped = Path(str(files("ucbd.cascade"))) / "policies"
    paths = sorted(shipped.glob("*.json"))
    if folder is not None:
        if not folder.is_dir():
            raise PolicyUnreadable(f"{folder}: not a folder")
        paths += sorted(folder.glob("*.json"))
    return {path.stem: read_policy(path) for path in paths}
