"""What a server says instead of an answer, as the project's own errors.

Knows no call and no retry; whether a call may be made again is told by the error (``may_retry``).
Messages name the server, never the prompt or a key.
"""

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from ucbd.models.errors import (
    GatewayError,
    InvalidRequest,
    PromptTooLong,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamUnreachable,
)
from ucbd.models.upstream.http import Broken

_SHOWN = 300  # characters of a server's own message
_BUSY = frozenset({429, 503, 529})
_REFUSED = frozenset({400, 413, 422})
_TOO_LONG = ("context_length", "context length", "maximum model length", "max_model_len")


def from_status(
    server: str, status: int, message: str, *, field: str = "request", retry_after: str = ""
) -> GatewayError:
    """The error for an answer other than 200; ``message`` is the server's own, cut short."""
    said = _shown(message) or _phrase(status)
    if status in _BUSY:
        return UpstreamBusy(f"{server} is busy ({status}): {said}", seconds(retry_after))
    if status in _REFUSED:
        if any(words in message.lower() for words in _TOO_LONG):
            return PromptTooLong("prompt", f"refused by the model's server: {said}")
        return InvalidRequest(field, f"refused by the model's server: {said}")
    if status in (401, 403):
        return UpstreamFailed(f"{server} refuses the gateway's key ({status})")
    if status >= 500 or status == 408:
        return UpstreamFailed(f"{server} failed ({status}): {said}", began=False)
    return UpstreamFailed(f"{server} answered {status}: {said}")


def from_connection(server: str, error: Broken) -> GatewayError:
    """The error for a connection that could not be made, or broke."""
    kind = UpstreamFailed if error.began else UpstreamUnreachable
    return kind(f"{server} {error}")


def nonsense(server: str, what: str) -> UpstreamFailed:
    """The error for an answer with status 200 that is none."""
    return UpstreamFailed(f"{server} answered {_shown(what)}")


def may_retry(error: GatewayError) -> bool:
    """Whether the same call may be made again: no byte of an answer had come."""
    if isinstance(error, UpstreamFailed):
        return not error.began
    return isinstance(error, UpstreamUnreachable | UpstreamBusy)


def seconds(retry_after: str, now: float | None = None) -> float | None:
    """``Retry-After`` in seconds, however many; None for none, and for what cannot be meant.

    A date is so far from ``now`` (in seconds of the epoch; this moment), one that is past 0.
    """
    try:
        wait = float(retry_after)
    except ValueError:
        until = _date(retry_after)
        return None if until is None else max(0.0, until - (time.time() if now is None else now))
    return wait if 0 <= wait < math.inf else None


def _date(text: str) -> float | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "no reason given"


def _shown(message: str) -> str:
    """In one line, cut short."""
    line = " ".join(message.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
