"""``create_app``: the whole service in one constructor.

Knows every part of ``app`` and starts the engine; holds no logic of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.errors import Malformed, MethodNotAllowed, NotFound, problem_response, status_and_code
from ucbd.app.generate import generate_routes
from ucbd.app.ops import ops_routes
from ucbd.app.schemas import GenerateRequest, GenerateResponse
from ucbd.app.service import build_service
from ucbd.app.settings import Settings
from ucbd.models.supervisor import SupervisedEngine


def create_app(
    settings: Settings,
    engine: SupervisedEngine,
    on_failure: Callable[[BaseException], None] = lambda error: None,
) -> FastAPI:
    """The gateway: listens at once, is ready when the engine produces tokens.

    ``on_failure`` is told when the engine cannot be started. Raises ``GatewayError`` for what can
    be seen to be wrong before anything starts.
    """
    service = build_service(settings, engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(service.start(on_failure))
        yield
        starting.cancel()
        await asyncio.wait({starting})
        await engine.close()

    # The pages of FastAPI itself fetch their scripts from a CDN; these bring them along.
    app = FastAPIOffline(
        title="ucbd-gateway",
        summary="Answers, with the uncertainty of each and a decision about it.",
        version=version("ucbd-gateway"),
        lifespan=lifespan,
    )
    app.include_router(generate_routes(service))
    app.include_router(ops_routes(service))

    @app.exception_handler(HTTPException)
    async def routing_error(request: Request, error: HTTPException) -> Response:
        """What the router refuses, in the same shape and the same counter as everything else."""
        kinds = {404: NotFound, 405: MethodNotAllowed}
        ours = kinds.get(error.status_code, Malformed)(f"{request.method} {request.url.path}")
        service.metrics.error(status_and_code(ours)[1])
        return problem_response(ours)

    _complete_openapi(app)
    return app


def _complete_openapi(app: FastAPI) -> None:
    """Complete OpenAPI: the route parses by itself, so FastAPI does not see the request."""
    schema = app.openapi()
    parts = GenerateRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    components: dict[str, Any] = schema["components"]["schemas"]
    components |= parts.pop("$defs", {})
    components["GenerateRequest"] = parts
    # FastAPI leaves null out of examples, where it means something here.
    components["GenerateResponse"]["examples"] = GenerateResponse.model_json_schema()["examples"]
    content = schema["paths"]["/generate"]["post"]["requestBody"]["content"]
    content["application/json"]["schema"] = {"$ref": "#/components/schemas/GenerateRequest"}
