"""``create_app``: the whole service in one constructor.

Knows every part of ``app`` and starts the engine; holds no logic of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ucbd.app.errors import Malformed, MethodNotAllowed, NotFound, problem_response
from ucbd.app.exchange import ExchangeRoute, turned_away
from ucbd.app.feedback import FeedbackRequest, feedback_routes
from ucbd.app.gate import METRICS, PROBES, Gate
from ucbd.app.generate import generate_routes
from ucbd.app.openai.errors import openai_refusal
from ucbd.app.openai.routes import openai_routes
from ucbd.app.openai.schemas import ChatRequest, CompletionRequest
from ucbd.app.ops import ops_routes
from ucbd.app.playground.routes import playground_routes
from ucbd.app.schemas import GenerateRequest, GenerateResponse
from ucbd.app.service import build_service
from ucbd.app.settings import Settings
from ucbd.app.telemetry.tracing import Tracing
from ucbd.models.supervisor import SupervisedEngine

_TOGETHER_SECONDS = 60.0
"""How long one of several processes leaves the address to the others while its engine starts."""
_REQUESTS: dict[str, type[BaseModel]] = {
    "/generate": GenerateRequest,
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/feedback": FeedbackRequest,
}


def create_app(
    settings: Settings,
    engine: SupervisedEngine,
    on_failure: Callable[[BaseException], None] = lambda error: None,
    larger: SupervisedEngine | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """The gateway: listens at once, is ready when the engine produces tokens. One of several
    workers listens when it is ready, for some seconds at least.

    ``larger`` is the second model, which answers what is escalated to it.
    ``on_failure`` is told when the engine cannot be started, or not again. ``tracing`` is made from
    the settings where it is not given. Raises ``GatewayError`` for what can be seen to be wrong
    before anything starts.
    """
    service = build_service(settings, engine, larger, tracing)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(service.run(on_failure))
        if settings.workers > 1:  # nobody is sent to a process that cannot answer yet
            with suppress(TimeoutError):
                await asyncio.wait_for(service.settled.wait(), _TOGETHER_SECONDS)
        yield
        running.cancel()
        await asyncio.wait({running})
        if service.records:
            await service.records.close()
        await engine.close()
        if larger is not None:
            await larger.close()
        await asyncio.to_thread(service.tracing.close)  # sends the last spans

    # The pages of FastAPI itself fetch their scripts from a CDN; these bring them along.
    app = FastAPIOffline(
        title="ucbd-gateway",
        summary="Answers, with the uncertainty of each and a decision about it.",
        version=version("ucbd-gateway"),
        lifespan=lifespan,
    )
    app.state.service = service

    def refuse(scope: Scope, error: Exception) -> Response:
        refusal = openai_refusal if scope["path"].startswith("/v1/") else problem_response
        return turned_away(service, Headers(scope=scope), error, refusal(error))

    app.include_router(generate_routes(service))
    app.include_router(openai_routes(service))
    app.include_router(feedback_routes(service))
    app.include_router(ops_routes(service))
    app.include_router(playground_routes(service))
    app.add_middleware(
        Gate,
        keys=service.keys,
        refuse=refuse,
        answering={one.path: one.app for one in app.routes if isinstance(one, ExchangeRoute)},
        open_metrics=not settings.keys_for_metrics,
    )

    @app.exception_handler(HTTPException)
    async def routing_error(request: Request, error: HTTPException) -> Response:
        """What the router refuses, in the same shape and the same counter as everything else."""
        kinds = {404: NotFound, 405: MethodNotAllowed}
        ours = kinds.get(error.status_code, Malformed)(f"{request.method} {request.url.path}")
        return refuse(request.scope, ours)

    _complete_openapi(app)
    if service.keys is not None:
        _ask_for_keys(app)
    return app


def _ask_for_keys(app: FastAPI) -> None:
    """OpenAPI says which paths need a key; see ``ucbd.app.gate``."""
    schema = app.openapi()
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        if path not in (*PROBES, METRICS):
            for operation in operations.values():
                operation["security"] = [{"key": []}]


def _complete_openapi(app: FastAPI) -> None:
    """Complete OpenAPI: the routes parse by themselves, so FastAPI does not see the requests."""
    schema = app.openapi()
    components: dict[str, Any] = schema["components"]["schemas"]
    for path, wire in _REQUESTS.items():
        parts = wire.model_json_schema(ref_template="#/components/schemas/{model}")
        components |= parts.pop("$defs", {})
        components[wire.__name__] = parts
        content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        content["schema"] = {"$ref": f"#/components/schemas/{wire.__name__}"}
    # FastAPI leaves null out of examples, where it means something here.
    components["GenerateResponse"]["examples"] = GenerateResponse.model_json_schema()["examples"]
