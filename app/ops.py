"""Operators' routes: alive, ready, metrics.

Alive is the process; ready is an engine that produces tokens. Knows nothing of requests.
"""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from ucbd.app.errors import Overloaded, Problem, problem_response
from ucbd.app.service import Service
from ucbd.app.workers import summed


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

    # Balancers and `wget --spider` probe by HEAD.
    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Alive:
        return Alive()

    @router.head("/readyz", include_in_schema=False, response_model=None)
    @router.get(
        "/readyz",
        summary="Does the engine produce tokens?",
        response_model=Ready,
        responses={503: {"model": Problem, "content": {"application/problem+json": {}}}},
    )
    async def readyz() -> Response | Ready:
        if service.admission.closed:
            return problem_response(Overloaded("the gateway is shutting down"))
        if not await service.engine.alive():
            return problem_response(service.engine.unavailable())
        info = service.engine.info
        return Ready(model=service.model, entropy=info.entropy, entropy_note=info.entropy_note)

    @router.get(
        "/metrics",
        summary="The gateway's and the engine's metrics for Prometheus",
        response_class=PlainTextResponse,
    )
    def metrics() -> Response:
        return Response(exposition(service), media_type=CONTENT_TYPE_LATEST)

    return router


def exposition(service: Service) -> bytes:
    """All metrics in Prometheus' text format."""
    # What labels say every worker knows, from the store: nothing to add up.
    labels = service.records.labels if service.records else None
    if service.settings.workers > 1:
        registries = [summed(), labels]
    else:
        # vLLM writes its own series (vllm:…) into the default registry of its process, ours.
        registries = [service.registry, labels, REGISTRY]
    return b"".join(generate_latest(one) for one in registries if one is not None)
