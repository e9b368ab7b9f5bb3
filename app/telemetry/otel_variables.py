"""What OpenTelemetry's standard variables say about the setting ``tracing``.

Knows their names and how they rank beside our own; reads no environment by itself.
"""

from collections.abc import Mapping
from typing import Any

Source = tuple[str, Mapping[str, Any]]
"""Where settings come from, in words, and the settings."""

_EXPORTER = "OTEL_TRACES_EXPORTER"
_EXPORTERS = ("none", "otlp", "console")
_SPOKEN = "http/protobuf"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def endpoint(env: Mapping[str, str]) -> Source:
    """Who names a collector means to send to it, unless anything else says otherwise."""
    for name in _ENDPOINTS:
        if env.get(name, "").strip():
            return _where(name), {"tracing": "otlp"}
    return "", {}


def exporter(env: Mapping[str, str]) -> Source:
    """What says where spans go in so many words; ``UCBD_TRACING`` says it of us alone."""
    named = env.get(_EXPORTER, "").strip()
    return _where(_EXPORTER), {"tracing": named} if named in _EXPORTERS else {}


def disabled(env: Mapping[str, str]) -> Source:
    """The switch that turns OpenTelemetry off whatever else is said."""
    off = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return _where("OTEL_SDK_DISABLED"), {"tracing": "none"} if off else {}


def unsupported(env: Mapping[str, str], tracing: str) -> str | None:
    """What a variable asks for that ``tracing`` has not, in words; None where there is nothing."""
    named = env.get(_EXPORTER, "").strip()
    if named and named not in _EXPORTERS:
        return f"{_where(_EXPORTER)}: one of {', '.join(_EXPORTERS)}, got {named!r}"
    for name in _PROTOCOLS if tracing == "otlp" else ():
        if (asked := env.get(name, "").strip()) not in ("", _SPOKEN):
            return f"{_where(name)}: spans are sent by {_SPOKEN} only, got {asked!r}"
    return None


def _where(name: str) -> str:
    return f"the environment's {name}"
