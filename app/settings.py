"""Settings: command line over environment over file over defaults. The only reader of any of them.

A setting's environment variable is ``UCBD_`` and its name in capitals; the file is TOML with the
same names. Unknown keys are errors in both, so that a typing mistake never runs as a default.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from ucbd.app.telemetry import otel_variables
from ucbd.cascade.outcome import Action
from ucbd.models.errors import GatewayError
from ucbd.models.reference import DEFAULT
from ucbd.models.upstream.http import address

PREFIX = "UCBD_"
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _server_url(url: str) -> str:
    address(url)  # raises for a host or a port that cannot be
    return url


def _server_key(key: SecretStr) -> SecretStr:
    clear = key.get_secret_value()
    if not clear or not clear.isascii() or not clear.isprintable():
        raise ValueError("must be one line of printable ASCII")
    return key


# No user and password within it: addresses are logged.
ServerUrl = Annotated[
    str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$"), AfterValidator(_server_url)
]
ServerKey = Annotated[SecretStr, AfterValidator(_server_key)]
_PASSWORD = re.compile(r"//[^/@\s]*@")
SECRETS = ("upstream_api_key", "larger_api_key")
"""Read from the environment only: a file is copied about, a command line is seen by everybody."""
ClustererName = Literal["combined", "jaccard", "embedding", "nli"]


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
    upstream: tuple[ServerUrl, ...] = Field(
        (),
        description="OpenAI-compatible servers of one model, which take the place of an engine in "
        "this process; `model` is then its name there, by default the only one that they serve.",
    )
    upstream_api_key: ServerKey | None = Field(
        None, description="Key that the upstreams want; read from the environment only."
    )
    vocab_size: Positive | None = Field(
        None,
        description="The upstreams' vocabulary, for upper bounds on token entropy; a vLLM with our "
        "plugin tells it.",
    )
    upstream_silence_seconds: Seconds = Field(
        20,
        description="After so long without a token from an upstream that has calls it is asked for "
        "one, and left alone when none comes: more than a full queue there takes.",
    )
    larger_upstream: tuple[ServerUrl, ...] = Field(
        (),
        description="Servers of a second, bigger model, which answers where the policy would "
        "escalate to one.",
    )
    larger_model: str | None = Field(None, description="Its name there.")
    larger_api_key: ServerKey | None = Field(
        None, description="Key that they want; read from the environment only."
    )
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000

    workers: Positive = Field(
        1,
        description="Processes, in front of upstreams only. Limits of requests in flight and of "
        "keys are each process's own.",
    )

    policy: str = Field("default", description="Default policy: a name, or a JSON file.")
    policies: Path | None = Field(None, description="Folder of further policy files.")
    clusterer: ClustererName = "combined"
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

    shadow: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.01,
        description="Tokens that measuring the single-cluster rate may generate beside the "
        "traffic, as a share of the traffic's own; 0 measures nothing.",
    )

    shadow_clusterers: tuple[ClustererName, ...] = Field(
        ("combined", "jaccard", "embedding"),
        description="Whose single-cluster rates are measured, as far as they are installed; the "
        "default clusterer's always is.",
    )
    keys: Path | None = Field(
        None, description="File of API keys (`ucbd keys new NAME`); without one nobody needs a key."
    )
    keys_for_metrics: bool = Field(False, description="Does `/metrics` need a key too?")
    public_without_keys: bool = Field(
        False, description="May other machines ask without a key? Else such a start is refused."
    )
    tls_cert: Path | None = Field(None, description="Certificate chain in PEM; with `tls_key`.")
    tls_key: Path | None = Field(None, description="Its private key in PEM.")

    canary: Path | None = Field(
        None,
        description="Questions that the model's own single-cluster rate is measured by, at start "
        "and daily: a question file, or the report.json of `ucbd diagnose`.",
    )
    canary_last: Path | None = Field(
        None, description="File that keeps the canary set's last run, for the first after a start."
    )
    canary_hours: Annotated[float, Field(gt=0)] = Field(24.0, description="From run to run.")

    records: str | None = Field(
        None,
        description="Where request records and what became of them are kept: a file (SQLite), or "
        "postgresql://USER:PASSWORD@HOST/NAME. Nowhere by default.",
    )
    record_text: bool = Field(
        False, description="Keep questions, evidence and answers too: labellers need them."
    )
    records_rows: Positive = Field(
        100_000, description="Most records kept of drawn requests, and most of the others."
    )
    records_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        90.0, description="How long a record and its labels are kept at most."
    )
    audit_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Share of all requests that is drawn for `ucbd label`; with `record_text` "
        "their answers get N samples afterwards, which `ucbd calibrate` needs.",
    )
    risk_limit: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Share of wrong answers among the answered that the drift alarm holds policies "
        "to that have no certificate.",
    )
    drift_delta: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="Probability that the drift alarm of a policy is ever false."
    )

    max_body_bytes: Positive = 1024 * 1024
    body_seconds: Seconds = Field(10, description="Time in which a request's body must arrive.")
    max_in_flight: Positive = Field(256, description="Requests at a time; one more gets a 503.")
    capacity: Positive | None = Field(
        None,
        description="Engine sequences that requests in flight may hold: 1 for an answer, more "
        "where it may be sampled. Above half of it a request is not sampled, above three quarters "
        "it gets only what is free, one more gets a 503. Default: twice max_num_seqs.",
    )
    drain_seconds: Seconds = Field(
        30, description="After SIGTERM: time for what is under way; what is left then gets a 503."
    )
    drain_notice_seconds: Annotated[float, Field(ge=0)] = Field(
        0, description="After SIGTERM: at least that long up and unready, for a balancer to see."
    )
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
    tracing: Literal["none", "otlp", "console"] = Field(
        "none",
        description="Where OpenTelemetry spans go; OTEL_TRACES_EXPORTER says the same, and an "
        "OTLP endpoint in OTEL_… means otlp. Everything else of it is in those variables too.",
    )

    @field_validator(
        "upstream", "larger_upstream", "wired_actions", "shadow_clusterers", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        """An environment variable names several of them with commas between."""
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
    def _one_engine_has_one_worker(self) -> "Settings":
        if self.workers > 1 and not self.upstream:
            raise ValueError(
                f"workers: {self.workers} processes cannot share the engine in one of them; "
                "several are for --upstream"
            )
        return self

    @model_validator(mode="after")
    def _larger_is_named(self) -> "Settings":
        if bool(self.larger_upstream) != bool(self.larger_model):
            raise ValueError("larger_upstream and larger_model: give both, or neither")
        return self

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise ValueError(f"{given} is given and {missing} is not: TLS needs both")
        return self

    @model_validator(mode="after")
    def _records_have_a_place(self) -> "Settings":
        needed = [name for name in ("record_text", "audit_share") if getattr(self, name)]
        if needed and self.records is None:
            raise ValueError(f"{needed[0]} needs `records`, where they are kept")
        if self.workers > 1 and not (self.records or "postgres").startswith("postgres"):
            raise ValueError(
                f"records: {self.workers} processes cannot share one file; they need PostgreSQL: "
                "postgresql://USER:PASSWORD@HOST/NAME"
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
        otel_variables.endpoint(env),
        (str(file), _read_file(file)) if file else ("", {}),
        otel_variables.exporter(env),
        ("the environment", from_env),
        otel_variables.disabled(env),
        ("the command line", flags or {}),
    ]
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, values in sources:
        for key in SECRETS:
            if key in values and values is not from_env:
                raise SettingsInvalid(
                    f"{key}: {name}: a secret is read from the environment only, as "
                    f"{PREFIX}{key.upper()}"
                )
        merged |= values
        origin |= dict.fromkeys(values, name)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsInvalid(_complaint(error.errors()[0], origin)) from error


def check_tracing(settings: Settings, environment: Mapping[str, str] | None = None) -> None:
    """That spans can go where OpenTelemetry's variables say. Raises ``SettingsInvalid``.

    Apart from ``read_settings``: they may be there for other programs, and only who serves minds.
    """
    env = os.environ if environment is None else environment
    wrong = otel_variables.unsupported(env, settings.tracing)
    if wrong is not None:
        raise SettingsInvalid(wrong)


def _complaint(first: ErrorDetails, origin: Mapping[str, str]) -> str:
    """Where it stands, its name, what is wrong; a value only where it can be no secret."""
    if not first["loc"]:  # of several settings together, among which may be secrets
        return first["msg"].removeprefix("Value error, ")
    key = str(first["loc"][0])
    where = f"{origin[key]}: {_shown(key, origin[key])}: " if key in origin else ""
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        near = get_close_matches(key, Settings.model_fields, 1)
        meant = f"; did you mean {_shown(near[0], origin[key])}?" if near else ""
        return f"{where}there is no such setting{meant}"
    wrong = where + first["msg"].removeprefix("Value error, ")
    if key in SECRETS:
        return wrong
    return f"{wrong}, got {_PASSWORD.sub('//…@', repr(first['input']))}"


def records_setting(config: Path | None, given: str | None) -> str:
    """Where a command finds the store: ``given``, else the setting. Raises ``SettingsInvalid``."""
    flags = {} if given is None else {"records": given}
    where = read_settings(config, flags).records
    if where is None:
        raise SettingsInvalid("records: say where they are: --records FILE|URL, or the setting")
    return where


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file}: not TOML: {error}") from error


def _shown(key: str, origin: str) -> str:
    return PREFIX + key.upper() if origin == "the environment" else key
