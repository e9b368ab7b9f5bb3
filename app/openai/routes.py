"""``/v1``: OpenAI's chat completions, completions and models, with our judgement under ``ucbd``.

Writes OpenAI's shapes, whole or in chunks; the block ``ucbd`` is what ``/generate`` says of the
same answer, and comes in a stream's last chunk. Knows nothing of how an answer is made.
"""

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.answering import Answered
from ucbd.app.errors import UnknownModel, refused
from ucbd.app.exchange import EVENTS, Exchange, ExchangeRoute, Head, turned_away
from ucbd.app.feed import Told
from ucbd.app.openai.choices import ChatChoices, Choices, TextChoices
from ucbd.app.openai.errors import OPENAI_REFUSALS, OpenAIFailure, openai_error, openai_refusal
from ucbd.app.openai.schemas import ChatRequest, CommonRequest, CompletionRequest
from ucbd.app.openai.wanted import chat_wanted, completion_wanted
from ucbd.app.parse import parse
from ucbd.app.question import Wanted
from ucbd.app.render import judgement
from ucbd.app.service import Service

Wire = TypeVar("Wire", bound=CommonRequest)

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, **EVENTS}},
    **OPENAI_REFUSALS,
}


def openai_routes(service: Service) -> APIRouter:
    """The routes below ``/v1``; their requests are described in ``ucbd.app.main``."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])
    answering = APIRouter(route_class=ExchangeRoute)
    since = int(time.time())
    chat = OpenAIEdge("chatcmpl-", ChatRequest, chat_wanted, ChatChoices)
    text = OpenAIEdge("cmpl-", CompletionRequest, completion_wanted, TextChoices)
    call: dict[str, Any] = {
        "response_model": None,
        "responses": _RESPONSES,
        "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {}}}},
    }

    @answering.post("/chat/completions", summary="OpenAI's chat completions", **call)
    def chat_completions(request: Request) -> Exchange:
        return Exchange(request, service, chat)

    @answering.post("/completions", summary="OpenAI's completions of a text", **call)
    def completions(request: Request) -> Exchange:
        return Exchange(request, service, text)

    router.include_router(answering)

    @router.get("/models", summary="The served model")
    async def models() -> Response:
        listed = {"object": "list", "data": [_model(service, since)]}
        return Response(msgspec.json.encode(listed), media_type="application/json")

    @router.get(
        "/models/{name:path}",
        summary="The served model, by its name",
        responses={404: {"model": OpenAIFailure}},
    )
    async def model(name: str, request: Request) -> Response:
        if name == service.model:
            content = msgspec.json.encode(_model(service, since))
            return Response(content, media_type="application/json")
        error = refused(UnknownModel, "model", f"{name!r} is not served, {service.model!r} is")
        return turned_away(service, request.headers, error, openai_refusal(error))

    return router


def _model(service: Service, since: int) -> dict[str, object]:
    return {"id": service.model, "object": "model", "created": since, "owned_by": "ucbd-gateway"}


class OpenAIEdge(Generic[Wire]):
    """Reads requests of one of the two calls; see ``ucbd.app.exchange.Edge``."""

    def __init__(
        self,
        id_prefix: str,
        wire: type[Wire],
        wanted: Callable[[Wire, str], Wanted],
        choices: Callable[[], Choices],
    ) -> None:
        self.id_prefix = id_prefix
        self._wire = wire
        self._wanted = wanted
        self._choices = choices

    def read(self, content_type: str | None, body: bytes, head: Head) -> "OpenAIAsked":
        """See ``Edge``."""
        request = parse(self._wire, content_type, body)
        options = request.stream_options
        usage = bool(options and options.include_usage)
        return OpenAIAsked(self._wanted(request, head.model), head, self._choices(), usage)

    def refusal(self, error: Exception) -> Response:
        """See ``Edge``."""
        return openai_refusal(error)


class OpenAIAsked(msgspec.Struct, frozen=True):
    """Writes what is said to one request; see ``ucbd.app.exchange.Asked``."""

    wanted: Wanted
    head: Head
    choices: Choices
    include_usage: bool

    def body(self, answer: Answered) -> bytes:
        """See ``Asked``."""
        return msgspec.json.encode(
            self._head(self.choices.whole)
            | {
                "choices": self.choices.of(answer),
                "usage": _usage(answer),
                "ucbd": judgement(answer.outcome),
            }
        )

    def event(self, told: Told) -> bytes:
        """See ``Asked``."""
        running = {"entropy": told.entropy, "entropies": told.entropies}
        return self._chunk([self.choices.part(told)], ucbd=running)

    def ending(self, answer: Answered) -> bytes:
        """See ``Asked``: why each choice ended, the usage where it is wanted, and our block."""
        ends = self.choices.ends(answer)
        block = judgement(answer.outcome)
        if self.include_usage:
            last = self._chunk(ends) + self._chunk([], usage=_usage(answer), ucbd=block)
        else:
            last = self._chunk(ends, ucbd=block)
        return last + b"data: [DONE]\n\n"

    def failure(self, error: Exception) -> bytes:
        """See ``Asked``; a stream that failed is never done."""
        return b"data: %s\n\n" % openai_error(error)

    def _head(self, kind: str) -> dict[str, Any]:
        head = self.head
        return {"id": head.id, "object": kind, "created": head.created, "model": head.model}

    def _chunk(
        self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None, ucbd: Any = None
    ) -> bytes:
        chunk = self._head(self.choices.chunk) | {"choices": choices}
        if self.include_usage:
            chunk["usage"] = usage
        if ucbd is not None:
            chunk["ucbd"] = ucbd
        return b"data: %s\n\n" % msgspec.json.encode(chunk)


def _usage(answer: Answered) -> dict[str, Any]:
    """OpenAI's usage: of the choices, the larger tier's too. Our block has what judging cost."""
    outcome = answer.outcome
    spent, prompt = outcome.spent, outcome.prompt_tokens
    completion = spent.main_tokens + spent.larger_tokens + spent.choice_tokens
    reasoning = [generation.reasoning for generation in answer.generations]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": outcome.generation.cached_prompt_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": sum(len(block.lower) for block in reasoning if block)
        },
    }
