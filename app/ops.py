"""Operators' routes: alive, ready, metrics.

Alive is the process; ready is an engine that produces tokens. Knows nothing of requests.
"""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from ucbd.app.errors import Problem, problem_response
from ucbd.app.service import Service
from ucbd.models.errors import EngineUnavailable


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The engine produces tokens: which model, and how its token entropy is measured."""

    status: str = "ready"
    model: str
    entropy: str
    entropy_note: str | None


def ops_routes(service: Service) -> APIRouter:
    """``/healthz``, ``/readyz`` and ``/metrics``."""
    router = APIRouter()

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Alive:
        return Alive()

    @router.get(
        "/readyz",
        summary="Does the engine produce tokens?",
        response_model=Ready,
        responses={503: {"model": Problem, "content": {"application/problem+json": {}}}},
    )
    async def readyz() -> Response | Ready:
        if not await service.engine.alive():
            return problem_response(EngineUnavailable(service.engine.state))
        info = service.engine.info
        return Ready(model=service.model, entropy=info.entropy, entropy_note=info.entropy_note)

    @router.get("/metrics", summary="The gateway's and the engine's metrics for Prometheus")
    def metrics() -> Response:
        # vLLM writes its own series (vllm:…) into the default registry of its process, ours.
        content = generate_latest(service.registry) + generate_latest(REGISTRY)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router
