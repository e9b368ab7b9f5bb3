"""Settings: command line over environment over file over defaults. The only reader of any of them.

A setting's environment variable is ``UCBD_`` and its name in capitals; the file is TOML with the
same names. Unknown keys are errors in both, so that a typing mistake never runs as a default.
"""

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ucbd.cascade.outcome import Action
from ucbd.models.errors import GatewayError
from ucbd.models.reference import DEFAULT

PREFIX = "UCBD_"
Positive = Annotated[int, Field(gt=0)]


class SettingsInvalid(GatewayError):
    """A setting that cannot be used: where it stands, its name, and what would be right."""


class FreshnessDomain(BaseModel):
    """A field whose facts change at a rate of their own (the stage ``freshness``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    words: Annotated[tuple[str, ...], Field(min_length=1)]
    decay_per_year: Annotated[float, Field(ge=0)]
    cutoff: date | None = Field(None, description="Default: the settings' knowledge_cutoff.")


class Settings(BaseModel):
    """Everything the gateway is told from outside; frozen once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(DEFAULT, description="Embedded model's name, or what vLLM accepts.")
    served_name: str | None = Field(None, description="Name the model answers to; default: model.")
    revision: str | None = Field(None, description="Revision of a model from a hub.")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000

    policy: str = Field("default", description="Default policy: a name, or a JSON file.")
    policies: Path | None = Field(None, description="Folder of further policy files.")
    clusterer: Literal["combined", "jaccard", "embedding", "nli"] = "combined"
    nli: str | None = Field(
        None,
        description="Model of the clusterer `nli` and of grounding: a folder, a name in the local "
        "Hugging Face cache, or `reference-nli`, the default where the model is an embedded one.",
    )
    reference_index: Path | None = Field(
        None, description="Folder that `ucbd index` wrote, for the stage `density`."
    )
    pointer: Path | None = Field(
        None,
        description="File that `ucbd pointer` wrote, for the stage `pointer`; the embedded models "
        "have theirs.",
    )
    triples: Path | None = Field(
        None,
        description="File of subject, relation, object between tabs, for the stage `association`.",
    )
    retriever: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = Field(
        None,
        description="Where evidence comes from when a request brings none: a URL that answers "
        'POST {"query", "k"} with {"documents": [text, …]}.',
    )
    knowledge_cutoff: date | None = Field(
        None, description="Last day that the model's text reaches; embedded models know theirs."
    )
    decay_per_year: Annotated[float, Field(ge=0)] = Field(
        1.0, description="How fast facts change: half of them in ln 2 / decay_per_year years."
    )
    freshness_domains: tuple[FreshnessDomain, ...] = Field(
        (), description="Fields with words, a decay_per_year and a cutoff of their own."
    )
    wired_actions: tuple[Action, ...] = Field(
        (), description="What the application does by itself on `escalate`; all else abstains."
    )

    max_body_bytes: Positive = 1024 * 1024
    max_in_flight: Positive = Field(256, description="Requests at a time; one more gets a 503.")
    max_samples: Annotated[int, Field(ge=2, le=64)] = 32
    max_tokens: Positive = Field(4096, description="Longest answer a request may ask for.")
    default_max_tokens: Positive = 256
    deadline_ms: Positive = Field(60_000, description="Time for a request that names none.")

    dtype: str = "auto"
    max_model_len: Positive | None = None
    max_num_seqs: Positive = 128
    kv_cache_gib: Positive = Field(1, description="Key-value cache on the CPU.")
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    allow_hub: bool = Field(False, description="May the engine fetch models from a hub?")

    log_format: Literal["human", "json"] = "human"

    @field_validator("wired_actions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """An environment variable names several actions with commas between."""
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]

    @model_validator(mode="after")
    def _domains_have_cutoffs(self) -> "Settings":
        for domain in self.freshness_domains:
            if domain.cutoff is None and self.knowledge_cutoff is None:
                raise ValueError(
                    f"freshness domain {domain.name!r} has no cutoff, and there is no "
                    "knowledge_cutoff"
                )
        return self

    @model_validator(mode="after")
    def _default_fits(self) -> "Settings":
        if self.default_max_tokens > self.max_tokens:
            raise ValueError(
                f"default_max_tokens ({self.default_max_tokens}) is above max_tokens "
                f"({self.max_tokens})"
            )
        return self


def read_settings(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from all their sources; ``flags`` are given ones of the command line.

    Raises ``SettingsInvalid`` naming the source, the key and what is wrong.
    """
    env = os.environ if environment is None else environment
    from_env = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in env.items()
        if key.startswith(PREFIX)
    }
    sources: list[tuple[str, Mapping[str, Any]]] = [
        (str(file), _read_file(file)) if file else ("", {}),
        ("the environment", from_env),
        ("the command line", flags or {}),
    ]
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, values in sources:
        merged |= values
        origin |= dict.fromkeys(values, name)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        where = f"{origin[key]}: {_shown(key, origin[key])}: " if key in origin else ""
        raise SettingsInvalid(f"{where}{first['msg']}, got {first['input']!r}") from error


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file}: not TOML: {error}") from error


def _shown(key: str, origin: str) -> str:
    return PREFIX + key.upper() if origin == "the environment" else key
