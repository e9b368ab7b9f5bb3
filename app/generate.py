"""``POST /generate``: parse, answer, render.

One parse and one encode per request. Every request ends in exactly one counter: a decision or an
error code. Knows the wire and the service, and none of the thresholds.
"""

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.admission import read_body, unless_client_leaves
from ucbd.app.errors import (
    ClientClosed,
    EdgeError,
    FieldError,
    Invalid,
    Malformed,
    NotImplementedHere,
    Problem,
    problem_response,
    refused,
    status_and_code,
)
from ucbd.app.logs import log_fields
from ucbd.app.render import render
from ucbd.app.schemas import GenerateRequest, GenerateResponse
from ucbd.app.service import Service
from ucbd.cascade.answer import answer
from ucbd.cascade.case import Question
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy
from ucbd.models.engine import Engine
from ucbd.models.errors import DeadlineExceeded, GatewayError, PromptTooLong
from ucbd.models.generation import EncodedPrompt, GenerationOptions, Message

log = logging.getLogger("ucbd.requests")

_SHOWN_VALUE = 60  # characters of a wrong value that its error repeats
_NOT_A_REQUEST = {"json_invalid": "not JSON", "model_type": "not a JSON object"}


def generate_routes(service: Service) -> APIRouter:
    """The route, and its request and responses for ``/docs``."""
    router = APIRouter()

    @router.post(
        "/generate",
        summary="Answer a question, with the uncertainty of the answer and a decision about it",
        response_model=GenerateResponse,
        responses={
            code: {"model": Problem, "content": {"application/problem+json": {}}}
            for code in (400, 413, 422, 500, 501, 503, 504)
        },
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {}}}},
    )
    async def generate(request: Request) -> Response:
        return await serve(request, service)

    return router


async def serve(request: Request, service: Service) -> Response:
    """One request from its first byte to its response, counted once and logged once."""
    start = time.monotonic()
    request_id = f"gen-{uuid.uuid4().hex}"
    try:
        with service.admission.admit():
            body = await read_body(request, service.settings.max_body_bytes)
            wanted = parse(request.headers.get("content-type"), body)
            outcome = await unless_client_leaves(request, _answer(wanted, service, start))
            content = render(request_id, service.model, outcome).model_dump_json()
    except asyncio.CancelledError:
        _count_error(service, request_id, start, ClientClosed("the server stopped"))
        raise
    except Exception as error:
        # The last line of defence: whatever it is, it is counted, logged and answered.
        _count_error(service, request_id, start, error)
        response = problem_response(error)
    else:
        _count_answer(service, request_id, start, outcome)
        response = Response(content, media_type="application/json")
    response.headers["x-request-id"] = request_id
    return response


def parse(content_type: str | None, body: bytes) -> GenerateRequest:
    """The request in a body. Raises ``Malformed``, ``Invalid`` or ``NotImplementedHere``.

    A declared content type that is not JSON is refused: a web page can send such a body to a
    gateway on its reader's own machine without asking it first.
    """
    if content_type is not None and "json" not in content_type.lower():
        message = f"must be application/json, got {content_type[:_SHOWN_VALUE]!r}"
        raise refused(Malformed, "content-type", message)
    try:
        wanted = GenerateRequest.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error
    _check_together(wanted)
    return wanted


def _invalid(error: ValidationError) -> EdgeError:
    """Every wrong field with its value and what would be right."""
    details = error.errors(include_url=False, include_context=False)
    first = details[0]
    if first["type"] in _NOT_A_REQUEST and not first["loc"]:
        return refused(Malformed, "body", f"{_NOT_A_REQUEST[first['type']]}: {first['msg']}")
    errors = [_field_error(detail) for detail in details]
    return Invalid("; ".join(f"{e.field}: {e.message}" for e in errors[:3]), errors)


def _field_error(detail: Any) -> FieldError:
    field = ".".join(str(part) for part in detail["loc"] if not _is_union_arm(part))
    if detail["type"] in ("missing", "extra_forbidden"):
        return FieldError(field=field, message=detail["msg"])
    value = repr(detail["input"])
    shown = value if len(value) <= _SHOWN_VALUE else value[:_SHOWN_VALUE] + "…"
    return FieldError(field=field, message=f"{detail['msg']}, got {shown}")


def _is_union_arm(part: object) -> bool:
    """Pydantic names the arm of a union in the location; a field's path does not."""
    return isinstance(part, str) and ("[" in part or part == "str")


def _check_together(wanted: GenerateRequest) -> None:
    """What no single field can tell."""
    if wanted.prompt is None and wanted.messages is None:
        raise refused(Invalid, "prompt", "give prompt or messages, got neither")
    if wanted.prompt is not None and wanted.messages is not None:
        raise refused(Invalid, "prompt", "give prompt or messages, got both")
    if wanted.prompt is not None and not wanted.prompt.strip():
        raise refused(Invalid, "prompt", "holds only white space")
    if wanted.messages and wanted.messages[-1].role != "user":
        role = wanted.messages[-1].role
        raise refused(Invalid, "messages", f"the last one must be the user's, got {role!r}")
    if wanted.stream:
        raise refused(NotImplementedHere, "stream", "not served yet; ask without it")


async def _answer(wanted: GenerateRequest, service: Service, start: float) -> Outcome:
    ledger = Ledger(start + (wanted.deadline_ms or service.settings.deadline_ms) / 1000)
    policy = service.policy(wanted.policy)
    _check_limits(wanted, service)
    prompt = await ledger.wait(_encode(wanted, service.engine, ledger))
    question = _question(wanted, service, policy, prompt)
    return await answer(
        question,
        policy=policy,
        boundaries=service.boundaries,
        engine=service.engine,
        ledger=ledger,
        wired=service.settings.wired_actions,
    )


def _check_limits(wanted: GenerateRequest, service: Service) -> None:
    """What this gateway's settings bound."""
    limits = service.settings
    if wanted.max_tokens is not None and wanted.max_tokens > limits.max_tokens:
        message = f"at most {limits.max_tokens} here, got {wanted.max_tokens}"
        raise refused(Invalid, "max_tokens", message)
    if wanted.samples is not None and wanted.samples > limits.max_samples:
        message = f"at most {limits.max_samples} here, got {wanted.samples}"
        raise refused(Invalid, "samples", message)
    if wanted.clusterer is not None and wanted.clusterer not in service.clusterers.by_name:
        known = ", ".join(sorted(service.clusterers.by_name))
        raise refused(Invalid, "clusterer", f"one of {known}, got {wanted.clusterer!r}")


async def _encode(wanted: GenerateRequest, engine: Engine, ledger: Ledger) -> EncodedPrompt:
    prompt = _conversation(wanted) if wanted.prompt is None else wanted.prompt
    try:
        async with asyncio.timeout(ledger.remaining()):
            return await engine.encode(prompt)
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before the prompt was read") from error


def _question(
    wanted: GenerateRequest, service: Service, policy: Policy, prompt: EncodedPrompt
) -> Question:
    """The request with every default filled in."""
    stop = (wanted.stop,) if isinstance(wanted.stop, str) else tuple(wanted.stop or ())
    options = GenerationOptions(
        max_tokens=_max_tokens(wanted, service, len(prompt.token_ids)),
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        stop=stop,
        seed=wanted.seed,
    )
    most = policy.samples if wanted.samples is None else wanted.samples
    return Question(
        prompt=prompt,
        options=options,
        samples=min(most, policy.samples),
        clusterer=wanted.clusterer or policy.clusterer or service.settings.clusterer,
        explain=wanted.explain,
        text=_text(wanted),
        asked_at=datetime.now(UTC),
        evidence=tuple(wanted.evidence or ()),
        conversation=_conversation(wanted),
    )


def _conversation(wanted: GenerateRequest) -> tuple[Message, ...]:
    """The turns; of a prompt the one that it is."""
    if wanted.prompt is not None:
        return (Message("user", wanted.prompt),)
    return tuple(Message(turn.role, turn.content) for turn in wanted.messages or ())


def _text(wanted: GenerateRequest) -> str:
    """The question in words: the prompt, or the user's last turn."""
    if wanted.messages:
        return wanted.messages[-1].content
    return wanted.prompt or ""


def _max_tokens(wanted: GenerateRequest, service: Service, prompt_tokens: int) -> int:
    """The longest answer: what was asked for if it fits, else the default as far as it fits."""
    context = service.engine.info.context_length
    room = context - prompt_tokens
    if wanted.max_tokens is None:
        return min(service.settings.default_max_tokens, room)
    if wanted.max_tokens > room:
        raise PromptTooLong(
            "max_tokens",
            f"the prompt has {prompt_tokens} tokens and the context holds {context}: "
            f"at most {room} are left, got {wanted.max_tokens}",
        )
    return wanted.max_tokens


def _count_answer(service: Service, request_id: str, start: float, outcome: Outcome) -> None:
    seconds = time.monotonic() - start
    service.metrics.observe(outcome, seconds)
    log_fields(
        log,
        logging.INFO,
        "answered",
        id=request_id,
        decision=outcome.decision,
        boundary=outcome.boundary,
        seconds=round(seconds, 4),
        tokens=outcome.spent.main_tokens,
        sampled_tokens=outcome.spent.sampled_tokens,
    )


def _count_error(service: Service, request_id: str, start: float, error: Exception) -> None:
    status, code = status_and_code(error)
    service.metrics.error(code)
    if not isinstance(error, GatewayError):
        log.error("request %s failed", request_id, exc_info=error)
    log_fields(
        log,
        logging.WARNING if status >= 500 else logging.INFO,
        "refused" if status < 500 else "failed",
        id=request_id,
        status=status,
        code=code,
        seconds=round(time.monotonic() - start, 4),
    )
