"""Errors on the wire: exception class → status and code, in one table.

Every error of the project's own tree (``ucbd.models.errors``) and of this edge becomes an
``application/problem+json`` body. Knows no route.
"""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from ucbd.models.errors import (
    ContradictoryLabel,
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    GatewayError,
    InvalidRequest,
    PromptTooLong,
    StoreFailed,
    UnknownRecord,
    UpstreamBusy,
    UpstreamFailed,
)


class FieldError(BaseModel):
    """One thing that is wrong with the request."""

    field: str = Field(examples=["max_tokens"])
    message: str = Field(examples=["Input should be greater than or equal to 1, got -3"])


class EdgeError(GatewayError):
    """A request refused at the edge, with everything that is wrong with it."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class Malformed(EdgeError):
    """Not JSON, not UTF-8, or not an object."""


class Invalid(EdgeError):
    """JSON, but not a request that can be served."""


class BodyTooLarge(EdgeError):
    """More bytes than the gateway reads."""


class UnknownModel(EdgeError):
    """Another model than the served one."""


class UnknownPolicy(EdgeError):
    """No policy of that name."""


class PolicyUnavailable(EdgeError):
    """The policy exists and cannot be used here."""


class NotImplementedHere(EdgeError):
    """Part of the contract that this version does not serve yet."""


class Unauthorized(EdgeError):
    """No key that is known here."""


class Busy(EdgeError):
    """Not now; ``retry_after`` are the seconds after which it is worth another try, if known."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Overloaded(Busy):
    """As much in flight as the gateway takes, or it is shutting down."""


class RateLimited(Busy):
    """The caller is at a limit of its own."""


class ClientClosed(EdgeError):
    """The client left before the answer; nobody reads this one."""


class NotFound(EdgeError):
    """No such path."""


class MethodNotAllowed(EdgeError):
    """The path exists, the method does not."""


def refused(kind: type[EdgeError], field: str, message: str) -> EdgeError:
    """An error of that kind about one field."""
    return kind(f"{field}: {message}", [FieldError(field=field, message=message)])


TABLE: dict[type[GatewayError], tuple[int, str]] = {
    Malformed: (400, "malformed"),
    Unauthorized: (401, "unauthorized"),
    NotFound: (404, "not_found"),
    UnknownModel: (404, "unknown_model"),
    UnknownRecord: (404, "unknown_id"),
    MethodNotAllowed: (405, "method_not_allowed"),
    ContradictoryLabel: (409, "conflict"),
    BodyTooLarge: (413, "body_too_large"),
    Invalid: (422, "invalid_request"),
    InvalidRequest: (422, "invalid_request"),
    PromptTooLong: (422, "prompt_too_long"),
    UnknownPolicy: (422, "unknown_policy"),
    PolicyUnavailable: (422, "policy_unavailable"),
    RateLimited: (429, "rate_limited"),
    ClientClosed: (499, "client_closed"),
    EngineFailed: (500, "internal"),
    UpstreamFailed: (502, "upstream_error"),
    NotImplementedHere: (501, "not_implemented"),
    EngineUnavailable: (503, "engine_unavailable"),
    Overloaded: (503, "overloaded"),
    StoreFailed: (503, "records_unavailable"),
    UpstreamBusy: (503, "overloaded"),
    DeadlineExceeded: (504, "deadline_exceeded"),
}
INTERNAL = (500, "internal")
# Seconds, where nothing is known.
_RETRY_AFTER = {"overloaded": 1.0, "engine_unavailable": 5.0, "records_unavailable": 5.0}
_MOST_RETRY_AFTER = 86_400.0
_TITLES = {499: "Client Closed Request"}  # nginx's number, unknown to HTTPStatus


class Problem(BaseModel):
    """RFC 9457 problem details, with a ``code`` from a closed list and the fields at fault."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["max_tokens: Input should be greater than 0, got -3"])
    code: str = Field(examples=["invalid_request"])
    errors: list[FieldError] = Field(default_factory=list)


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}}
    for status in (400, 401, 413, 422, 429, 500, 501, 502, 503, 504)
}
"""For OpenAPI: how a request for an answer may end without one."""


def status_and_code(error: Exception) -> tuple[int, str]:
    """Status and code of an error, by the nearest class in the table; 500 for any other."""
    for cls in type(error).__mro__:
        if cls in TABLE:
            return TABLE[cls]
    return INTERNAL


def problem(error: Exception) -> Problem:
    """The body for an error. What is not ours says nothing of the inside."""
    status, code = status_and_code(error)
    ours = isinstance(error, GatewayError)
    return Problem(
        type="about:blank",
        title=_TITLES.get(status) or HTTPStatus(status).phrase,
        status=status,
        detail=str(error) if ours else "internal error; the log has the request id",
        code=code,
        errors=_field_errors(error),
    )


def problem_response(error: Exception) -> Response:
    """The HTTP response for an error."""
    body = problem(error)
    return Response(
        body.model_dump_json(),
        status_code=body.status,
        media_type="application/problem+json",
        headers=error_headers(error),
    )


def error_headers(error: Exception) -> dict[str, str]:
    """The headers of an error's response, whatever its body's shape."""
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    seconds = _RETRY_AFTER.get(status_and_code(error)[1])
    if isinstance(error, Busy | EngineUnavailable) and error.retry_after is not None:
        seconds = error.retry_after
    if seconds is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(min(seconds, _MOST_RETRY_AFTER))))}


def _field_errors(error: Exception) -> list[FieldError]:
    if isinstance(error, EdgeError):
        return list(error.errors)
    if isinstance(error, InvalidRequest):
        return [FieldError(field=error.field, message=str(error))]
    return []
