"""Tracing: what becomes of a request, told span by span. Off unless it is asked for.

Knows requests, and no OpenTelemetry: ``spans`` does, which is imported only where tracing is on.
Off, nothing is wrapped and nothing is sent.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.case import Boundary
from ucbd.cascade.outcome import Outcome
from ucbd.models.engine import Engine

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Trace(Protocol):
    """One request's part in a trace; ends with ``answered`` or ``failed``."""

    @property
    def id(self) -> str | None:
        """The trace's, for the log: 32 hex digits; None where the request has none."""
        ...

    def engine(self, engine: Engine, *, remote: bool) -> Engine:
        """The engine, for calls of this request; ``remote`` ones are told of the trace."""
        ...

    def boundaries(self, boundaries: Mapping[str, Boundary]) -> Mapping[str, Boundary]:
        """The boundaries, for this request."""
        ...

    def answered(self, outcome: Outcome) -> None:
        """The request ended with a decision."""
        ...

    def failed(self, status: int, code: str) -> None:
        """The request ended with an error."""
        ...


class Tracing(Protocol):
    """Where traces come from."""

    def begin(self, path: str, request_id: str, headers: Mapping[str, str]) -> Trace:
        """The trace of a request that came to ``path``: its caller's, where ``headers`` name it."""
        ...

    def close(self) -> None:
        """Send what has not been sent; may wait for it."""
        ...


class NoTrace(Struct, frozen=True):
    """Everything as it is; see ``Trace``. The log still gets the caller's trace."""

    id: str | None

    def engine(self, engine: Engine, *, remote: bool) -> Engine:
        """See ``Trace``."""
        return engine

    def boundaries(self, boundaries: Mapping[str, Boundary]) -> Mapping[str, Boundary]:
        """See ``Trace``."""
        return boundaries

    def answered(self, outcome: Outcome) -> None:
        """See ``Trace``."""

    def failed(self, status: int, code: str) -> None:
        """See ``Trace``."""


class NoTracing:
    """Off; see ``Tracing``."""

    def begin(self, path: str, request_id: str, headers: Mapping[str, str]) -> Trace:
        """See ``Tracing``."""
        return NoTrace(trace_id(headers.get("traceparent")))

    def close(self) -> None:
        """See ``Tracing``."""


def trace_id(traceparent: str | None) -> str | None:
    """The trace that a caller's W3C header names; None without one, or where it is malformed."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match and match[1].strip("0") else None


def made_tracing(settings: Settings) -> Tracing:
    """What the settings ask for. Raises ``SettingsInvalid`` where OpenTelemetry is missing."""
    if settings.tracing == "none":
        return NoTracing()
    try:
        from ucbd.app.telemetry.spans import exported
    except ModuleNotFoundError as error:
        raise SettingsInvalid(
            f"tracing: {settings.tracing!r} needs OpenTelemetry, and {error.name} is not "
            "installed: pip install 'ucbd-gateway[tracing]', or set tracing to 'none'"
        ) from error
    return exported(settings)
