"""``POST /feedback``: whether an answer was right, joined to its request.

Acknowledged when it is on disk, and not before. Knows the wire and the records.
"""

import asyncio
import logging

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.admission import read_body
from ucbd.app.errors import (
    ClientClosed,
    Invalid,
    NotImplementedHere,
    Problem,
    problem_response,
    refused,
    status_and_code,
)
from ucbd.app.parse import parse
from ucbd.app.request_id import HEADER, RequestId, request_id
from ucbd.app.service import Service
from ucbd.app.telemetry.logs import log_fields
from ucbd.models.errors import GatewayError

log = logging.getLogger("ucbd.feedback")


class FeedbackRequest(BaseModel):
    """What became of an answer."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={"examples": [{"id": "gen-fc436570c81e47e5", "correct": True}]},
    )

    id: str = Field(
        description="The `id` of the response.", pattern=r"^[!-~]+$", min_length=1, max_length=200
    )
    correct: bool = Field(description="Whether its answer was right.")
    note: str | None = Field(
        None, max_length=2000, description="In words; only where the gateway keeps text."
    )


class FeedbackResponse(BaseModel):
    """The feedback is on disk."""

    id: str
    correct: bool
    repeated: bool = Field(description="Whether the same had been said before.")


def feedback_routes(service: Service) -> APIRouter:
    """The route, and its request and responses for ``/docs``."""
    router = APIRouter()

    @router.post(
        "/feedback",
        summary="Say whether an answer was right",
        response_model=FeedbackResponse,
        responses={
            code: {"model": Problem, "content": {"application/problem+json": {}}}
            for code in (400, 401, 404, 409, 413, 422, 500, 501, 503, 504)
        },
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {}}}},
    )
    async def feedback(request: Request) -> Response:
        return await serve(request, service)

    return router


async def serve(request: Request, service: Service) -> Response:
    """One feedback, acknowledged or refused."""
    try:
        said = await _read(request, service)
        repeated = not await _joined(said, service)
    except asyncio.CancelledError:
        service.metrics.error(status_and_code(ClientClosed("the client left"))[1])
        raise
    except Exception as error:
        # The last line of defence: whatever it is, it is counted, logged and answered.
        return _refusal(error, service, request_id("req-", request.headers))
    body = FeedbackResponse(id=said.id, correct=said.correct, repeated=repeated)
    return Response(body.model_dump_json(), media_type="application/json")


async def _read(request: Request, service: Service) -> FeedbackRequest:
    limits = service.settings
    body = await read_body(request, limits.max_body_bytes, limits.body_seconds)
    said = parse(FeedbackRequest, request.headers.get("content-type"), body)
    if said.note is not None and not service.settings.record_text:
        raise refused(Invalid, "note", "this gateway keeps no text (record_text)")
    return said


async def _joined(said: FeedbackRequest, service: Service) -> bool:
    if service.records is None:
        raise NotImplementedHere(
            "this gateway keeps no records of its requests: set `records` to a file or a URL"
        )
    return await service.records.feedback(said.id, correct=said.correct, note=said.note)


def _refusal(error: Exception, service: Service, ids: RequestId) -> Response:
    status, code = status_and_code(error)
    service.metrics.error(code)
    if not isinstance(error, GatewayError):
        log.error("feedback %s failed", ids.own, exc_info=error)
    level = logging.WARNING if status >= 500 else logging.INFO
    log_fields(log, level, "feedback refused", **ids.fields(), status=status, code=code)
    response = problem_response(error)
    response.headers[HEADER] = ids.told
    return response
