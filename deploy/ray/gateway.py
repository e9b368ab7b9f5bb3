"""The gateway on Ray Serve: the same application, on more machines than one.

    serve run --app-dir deploy/ray gateway:build replicas=4 config=/etc/ucbd.toml

Each replica is a whole gateway with an engine of its own, or in front of upstreams, by the settings
that it reads on its own machine. A replica takes requests once its engine produces tokens. Ray
spreads the requests, so ``/metrics`` behind its proxy is of any one of them: each replica serves
its own on a port of its own, where Prometheus looks.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from ray import cloudpickle, serve
from ray.serve import Application

from ucbd.app.commands.serve import check_paths
from ucbd.app.engines import larger_tier, named, starter
from ucbd.app.heap import settled
from ucbd.app.main import create_app
from ucbd.app.ops import exposition
from ucbd.app.service import Service
from ucbd.app.settings import Settings, SettingsInvalid, check_tracing, read_settings
from ucbd.app.telemetry.logs import configure_logging
from ucbd.app.workers import check_metrics_folder
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger("ucbd.ray")

_ONGOING = 10_000  # more than a gateway takes: who is too many is told so by it, not queued by Ray


class Arguments(BaseModel):
    """What ``serve run`` may say after ``gateway:build``."""

    model_config = ConfigDict(extra="forbid")

    replicas: int = Field(1, ge=1)
    config: Path | None = Field(None, description="Settings in TOML, on each replica's machine.")
    cpus: float = Field(1, ge=0, description="That Ray reserves for a replica.")
    gpus: float = Field(0, ge=0)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(
        9400, ge=1, le=65535, description="The first; replicas take the next."
    )


def build(arguments: Arguments) -> Application:
    """The application for ``serve run`` and ``serve deploy``."""
    # Replicas get this file with the deployment: on their machines only the package is installed.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    deployment = serve.deployment(
        name="ucbd",
        num_replicas=arguments.replicas,
        max_ongoing_requests=_ONGOING,
        ray_actor_options={"num_cpus": arguments.cpus, "num_gpus": arguments.gpus},
        graceful_shutdown_timeout_s=60,
        health_check_period_s=5,
    )
    return deployment(serve.ingress()(Gateway)).bind(arguments)


class Gateway:
    """One replica."""

    async def __init__(self, arguments: Arguments) -> None:
        """Raises ``GatewayError`` for settings that cannot be used here."""
        check_metrics_folder()
        settings = await named(read_settings(arguments.config))
        check_paths(settings)
        check_tracing(settings)
        configure_logging(settings.log_format)
        self._arguments = arguments
        rank = serve.get_replica_context().rank.rank
        self._settings = for_replica(settings, rank, arguments.replicas)
        self._failure: BaseException | None = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, whose start ends when the engine produces tokens."""
        app = create_app(
            self._settings,
            SupervisedEngine(settled(starter(self._settings))),
            on_failure=self._fail,
            larger=larger_tier(self._settings),
        )
        begun = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            async with begun(app):
                service: Service = app.state.service
                await service.settled.wait()
                await self.check_health()
                first = self._arguments.metrics_port
                with metrics_server(service, self._arguments.metrics_host, first):
                    yield

        app.router.lifespan_context = lifespan
        return app

    async def check_health(self) -> None:
        """Asked by Ray, which replaces a replica whose engine is given up."""
        if self._failure is not None:
            raise RuntimeError(f"no engine: {self._failure}") from self._failure

    def _fail(self, error: BaseException) -> None:
        self._failure = error


def for_replica(settings: Settings, rank: int, replicas: int) -> Settings:
    """One process each, of which the first asks the canary set. Raises ``SettingsInvalid``."""
    if replicas > 1 and not (settings.records or "postgres").startswith("postgres"):
        raise SettingsInvalid(
            f"records: {replicas} replicas cannot share one file; they need PostgreSQL"
        )
    canary = settings.canary if rank == 0 else None
    return settings.model_copy(update={"workers": 1, "canary": canary})


@contextlib.contextmanager
def metrics_server(service: Service, host: str, first: int, ports: int = 64) -> Iterator[int]:
    """Serve this replica's ``/metrics`` on the first free port from ``first`` on; gives the port.

    Raises ``OSError`` where none of ``ports`` is free.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition(service)
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE_LATEST)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """One line per request for answers is enough."""

    for port in range(first, first + ports):
        try:
            server = ThreadingHTTPServer((host, port), Handler)
            break
        except OSError:
            continue
    else:
        raise OSError(f"no port from {first} to {first + ports - 1} is free on {host}")
    log.info("metrics of this replica on http://%s:%d/metrics", host, port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
