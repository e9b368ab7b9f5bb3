"""Errors at ``/v1`` in the shape of OpenAI's: ``{"error": {message, type, param, code}}``.

The same errors with the same codes as everywhere else. Knows no route.
"""

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from ucbd.app.errors import REFUSALS, error_headers, problem, status_and_code
from ucbd.app.openai.schemas import Steering

_BAD_REQUEST, _UNPROCESSABLE = 400, 422
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class OpenAIError(BaseModel):
    """What is wrong; ``param`` names the first field at fault, ``code`` is from our closed list."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIFailure(BaseModel):
    """The body of every error below ``/v1``."""

    error: OpenAIError


def openai_error(error: Exception) -> bytes:
    """The error as JSON; ``param`` is the first field that is wrong."""
    ours = problem(error)
    field = ours.errors[0].field if ours.errors else None
    content = OpenAIError(
        message=ours.detail,
        type=_TYPES.get(ours.status) or _type(ours.status),
        param=f"ucbd.{field}" if field in Steering.model_fields else field,
        code=ours.code,
    )
    return OpenAIFailure(error=content).model_dump_json().encode()


def openai_refusal(error: Exception) -> Response:
    """The response; what is 422 elsewhere is OpenAI's 400."""
    status, _ = status_and_code(error)
    return Response(
        openai_error(error),
        _BAD_REQUEST if status == _UNPROCESSABLE else status,
        media_type="application/json",
        headers=error_headers(error),
    )


OPENAI_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIFailure} for status in (404, *REFUSALS) if status != _UNPROCESSABLE
}
"""For OpenAPI: how a request may end without an answer."""


def _type(status: int) -> str:
    return "server_error" if status >= 500 else "invalid_request_error"
