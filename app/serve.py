"""``ucbd serve``: settings in, a listening gateway out.

Finds everything that is wrong before the engine starts; knows no route.
"""

import logging
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.engines import model_location, start_engine
from ucbd.app.logs import configure_logging
from ucbd.app.main import create_app
from ucbd.app.settings import SettingsInvalid, read_settings
from ucbd.models.errors import GatewayError
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger("ucbd.serve")

_DRAIN_SECONDS = 30


def serve(config: Path | None, flags: Mapping[str, Any]) -> int:
    """Serve until stopped; returns the exit code."""
    failures: list[BaseException] = []

    def give_up(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    try:
        settings = read_settings(config, flags)
        configure_logging(settings.log_format)
        model = model_location(settings.model)
        engine = SupervisedEngine(lambda: start_engine(settings, model))
        app = create_app(settings, engine, on_failure=give_up)
        listener = _listen(settings.host, settings.port)
    except GatewayError as error:
        print(f"ucbd serve: {error}", file=sys.stderr)
        return EXIT_USAGE

    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=_DRAIN_SECONDS
        )
    )
    # uvicorn drains on SIGTERM and then raises it again: an orderly end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%s, starting the engine for %s", host, port, settings.model)
    server.run(sockets=[listener])
    return EXIT_FAILED if failures else 0


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before the engine starts: a port in use is seen at once."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsInvalid(f"cannot listen on {host}:{port}: {error.strerror}") from error
