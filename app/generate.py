"""``POST /generate``: our own wire format, whole or as server-sent events.

A stream is ``token`` events {text, entropy, entropies, tokens}, then one ``result``, the body that
there would be without a stream, or one ``error``, a problem. Knows the wire and nothing of how an
answer is made.
"""

import json

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.answering import Answered
from ucbd.app.errors import REFUSALS, Invalid, problem, problem_response, refused
from ucbd.app.exchange import EVENTS, Exchange, ExchangeRoute, Head
from ucbd.app.feed import Told
from ucbd.app.parse import parse
from ucbd.app.question import Wanted
from ucbd.app.render import render
from ucbd.app.schemas import GenerateRequest, GenerateResponse
from ucbd.app.service import Service
from ucbd.models.generation import Message


def generate_routes(service: Service) -> APIRouter:
    """The route, and its request and responses for ``/docs``."""
    router = APIRouter(route_class=ExchangeRoute)
    edge = GenerateEdge()

    @router.post(
        "/generate",
        summary="Answer a question, with the uncertainty of the answer and a decision about it",
        response_model=GenerateResponse,
        responses=REFUSALS | {200: {"content": EVENTS}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {}}}},
    )
    def generate(request: Request) -> Exchange:
        return Exchange(request, service, edge)

    return router


class GenerateEdge:
    """Reads requests of this format; see ``ucbd.app.exchange.Edge``."""

    id_prefix = "gen-"

    def read(self, content_type: str | None, body: bytes, head: Head) -> "GenerateAsked":
        """See ``Edge``."""
        return GenerateAsked(wanted(parse(GenerateRequest, content_type, body)), head)

    def refusal(self, error: Exception) -> Response:
        """See ``Edge``."""
        return problem_response(error)


class GenerateAsked(msgspec.Struct, frozen=True):
    """Writes what is said to one request; see ``ucbd.app.exchange.Asked``."""

    wanted: Wanted
    head: Head

    def body(self, answer: Answered) -> bytes:
        """See ``Asked``."""
        head = self.head
        return msgspec.json.encode(render(head.id, head.model, head.created, answer.outcome))

    def event(self, told: Told) -> bytes:
        """See ``Asked``."""
        part = {
            "text": told.text,
            "entropy": told.entropy,
            "entropies": told.entropies,
            "tokens": told.tokens,
        }
        return _event("token", json.dumps(part, ensure_ascii=False).encode())

    def ending(self, answer: Answered) -> bytes:
        """See ``Asked``."""
        return _event("result", self.body(answer))

    def failure(self, error: Exception) -> bytes:
        """See ``Asked``."""
        return _event("error", problem(error).model_dump_json().encode())


def wanted(request: GenerateRequest) -> Wanted:
    """What a request asks for. Raises ``Invalid`` for what no single field can tell."""
    return Wanted(
        prompt=_prompt(request),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seed=request.seed,
        samples=request.samples,
        clusterer=request.clusterer,
        evidence=tuple(request.evidence or ()),
        policy=request.policy,
        explain=request.explain,
        deadline_ms=request.deadline_ms,
        stream=request.stream,
        stream_mode=request.stream_mode,
    )


def _prompt(request: GenerateRequest) -> str | tuple[Message, ...]:
    if request.prompt is None and request.messages is None:
        raise refused(Invalid, "prompt", "give prompt or messages, got neither")
    if request.prompt is not None and request.messages is not None:
        raise refused(Invalid, "prompt", "give prompt or messages, got both")
    if request.prompt is not None:
        return request.prompt
    return tuple(Message(turn.role, turn.content) for turn in request.messages or ())


def _event(name: str, data: bytes) -> bytes:
    """One server-sent event; JSON holds no line break of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
