"""Policies: the thresholds that turn evidence into a decision, read from JSON files.

Knows stages by name and scores as numbers. A policy without a ``calibration`` has documented
constants for thresholds, and claims no error rate (``confidence`` and ``calibration`` stay null).
One with it is a *profile*, which ``ucbd calibrate`` makes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ucbd.cascade.boundaries import STAGE_NAMES
from ucbd.cascade.calibration.profile import Calibration
from ucbd.cascade.ladder import Rung
from ucbd.models.errors import GatewayError

Share = Annotated[float, Field(ge=0, le=1)]


class PolicyUnreadable(GatewayError):
    """A policy file that cannot be used, with the file and what is wrong in it (``complaint``)."""

    def __init__(self, path: Path, complaint: str) -> None:
        super().__init__(f"{path}: {complaint}")
        self.complaint = complaint


class Rule(BaseModel):
    """When a stage ends the cascade.

    ``fire`` is in the stage's own unit: a higher score is uncertain, and decided. ``accept`` and
    ``high`` are on the common scale [0, 1]: a combined uncertainty below ``accept`` or above
    ``high`` needs no further stage, and is held against the policy's threshold. None never exits
    that way. ``weight`` is the stage's share in
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

    ``threshold`` is the combined uncertainty above which a request is uncertain.
    ``samples`` is N of the sampling stage. ``clusterer`` None means the gateway's default.
    ``scope`` "factual" takes evidence for nothing where the request or its answer is not of that
    kind (``ucbd.cascade.scope``); "all" takes it always. With ``stop_error`` sampling ends once
    that is the most probability with which all N would have led to another decision; without it
    all N are drawn. ``withhold`` replaces the text of what is not answered by null, ``refusal``
    by words of the operator's. With a ``calibration`` the combined uncertainty is P(wrong), by
    models that were fitted to labelled answers; the weights of the rules are then not used.
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
    refusal: Annotated[str, Field(min_length=1)] | None = None
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _each_stage_once(self) -> "Policy":
        names = [rule.stage for rule in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"each stage may stand once, got {', '.join(names)}")
        return self

    @property
    def withholds(self) -> bool:
        """Whether the model's text is shown only once the decision is to answer."""
        return self.withhold or self.refusal is not None

    def combined(
        self, uncertainties: Mapping[str, float], *, homogenized: bool = False
    ) -> float | None:
        """What the stages' uncertainties say together, 0 … 1, higher = less certain.

        Their weighted mean; with a calibration P(wrong), to which it also matters whether all
        samples said what the answer says (``homogenized``). None without any evidence. A stage that
        could not rank is not among them: it adds nothing either way.
        """
        if self.calibration is not None:
            return self.calibration.wrong_probability(uncertainties, homogenized=homogenized)
        known = [
            rule
            for rule in self.stages
            if rule.stage in uncertainties and rule.unless not in uncertainties
        ]
        if not known:
            return None
        total = sum(rule.weight for rule in known)
        return sum(rule.weight * uncertainties[rule.stage] for rule in known) / total

    @property
    def aim(self) -> float:
        """The threshold that stopping early looks at.

        In a profile the fitted one: what was certified was stopped by it, and whatever was then
        certified must not change what runs.
        """
        return self.threshold if self.calibration is None else self.calibration.aim

    def on(self, rung: Rung) -> "Policy":
        """As it decides on that rung: each has a threshold of its own in a profile."""
        profile = self.calibration.ladder.get(rung) if self.calibration else None
        if profile is None or profile.threshold == self.threshold:
            return self
        return self.model_copy(update={"threshold": profile.threshold})


def digest(policy: Policy) -> str:
    """The ``id`` of a profile: of everything in it but the id itself, 16 hexadecimal digits."""
    # Defaults are left out, so that a field which a later version adds changes no profile's id.
    content = policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    content.get("calibration", {}).pop("id", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read_policy(path: Path) -> Policy:
    """The policy in a JSON file.

    Raises ``PolicyUnreadable`` naming the file and the field, and for a profile that was changed
    after it was made: what was certified is what it was then.
    """
    try:
        policy = Policy.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PolicyUnreadable(path, str(error.strerror)) from error
    except ValidationError as error:
        raise PolicyUnreadable(path, _complaint(error)) from error
    if policy.calibration is not None and policy.calibration.id != digest(policy):
        raise PolicyUnreadable(
            path,
            f"calibration.id: is {policy.calibration.id!r} and the content's digest is "
            f"{digest(policy)!r}: the profile was changed after it was made; make it again "
            "(ucbd calibrate)",
        )
    return policy


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "the file"
    version = first["input"]
    if field.endswith("schema") and isinstance(version, int) and version > 1:
        return f"{field}: is {version}, made by a newer version; this one reads 1"
    return f"{field}: {first['msg']}"


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Policies by name, and what is wrong with the files of others: no file spoils another."""

    by_name: dict[str, Policy]
    unreadable: dict[str, PolicyUnreadable]


def read_policies(folder: Path | None) -> PolicySet:
    """The shipped policies and those of ``folder``, by file stem; a folder's own wins by name.

    Raises ``PolicyUnreadable`` for a folder that is none.
    """
    found = PolicySet({}, {})
    for path in policy_paths(folder):
        found.by_name.pop(path.stem, None)  # the shipped one that it stands for, readable or not
        try:
            found.by_name[path.stem] = read_policy(path)
        except PolicyUnreadable as error:
            found.unreadable[path.stem] = error
    return found


def policy_paths(folder: Path | None) -> list[Path]:
    """The files of the shipped policies, then those of ``folder``."""
    shipped = Path(str(files("ucbd.cascade"))) / "policies"
    paths = sorted(shipped.glob("*.json"))
    if folder is not None:
        if not folder.is_dir():
            raise PolicyUnreadable(folder, "not a folder")
        paths += sorted(folder.glob("*.json"))
    return paths
