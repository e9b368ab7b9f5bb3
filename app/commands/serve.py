"""``ucbd serve``: settings in, a listening gateway out.

Finds everything that is wrong before the engine starts; knows no route.
"""

import argparse
import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.connection import Connection
from ucbd.app.drain import DrainingServer
from ucbd.app.engines import larger_tier, named, starter
from ucbd.app.heap import settled
from ucbd.app.main import create_app
from ucbd.app.records import check_store
from ucbd.app.service import Service
from ucbd.app.settings import Settings, SettingsInvalid, check_tracing, read_settings
from ucbd.app.telemetry.logs import configure_logging
from ucbd.app.workers import check_metrics_folder, run_workers
from ucbd.models.engine import Engine
from ucbd.models.errors import GatewayError, ModelUnusable
from ucbd.models.supervisor import SupervisedEngine

log = logging.getLogger("ucbd.serve")

# Longer than clients and balancers keep an idle connection (mostly up to 60 s): who asks should be
# the one who closes, or it may ask on a connection that is just being closed here.
_IDLE_SECONDS = 75


_FLAGS = (
    "model",
    "upstream",
    "policy",
    "host",
    "port",
    "workers",
    "keys",
    "public_without_keys",
    "tls_cert",
    "tls_key",
)


_PATHS: tuple[tuple[str, Callable[[Path], bool], str], ...] = (
    ("keys", Path.is_file, "file"),
    ("tls_cert", Path.is_file, "file"),
    ("tls_key", Path.is_file, "file"),
    ("canary", Path.is_file, "file"),
    ("pointer", Path.is_file, "file"),
    ("triples", Path.is_file, "file"),
    ("policies", Path.is_dir, "folder"),
    ("reference_index", Path.is_dir, "folder"),
)


def command(options: argparse.Namespace) -> int:
    """``ucbd serve`` with what the command line gave; returns the exit code."""
    flags = {name: value for name in _FLAGS if (value := getattr(options, name)) is not None}
    return serve(options.config, flags)


def serve(config: Path | None, flags: Mapping[str, Any]) -> int:
    """Serve until stopped; returns the exit code."""
    try:
        settings = read_settings(config, flags)
        check_metrics_folder()
        configure_logging(settings.log_format)
        settings = asyncio.run(named(settings))
        if settings.workers > 1:
            return run_workers(settings, _listener(settings), serve_worker)
        return run(settings, starter(settings))
    except GatewayError as error:
        print(f"ucbd serve: {error}", file=sys.stderr)
        return EXIT_USAGE


def run(settings: Settings, start: Callable[[], Awaitable[Engine]]) -> int:
    """Serve the engine that ``start`` brings up until stopped; returns the exit code.

    Raises ``GatewayError`` for what can be seen to be wrong before that.
    """
    return _run(settings, start, _listener(settings))


def serve_worker(settings: Settings, listener: socket.socket) -> int:
    """One of several processes, on the socket that all of them have; returns the exit code."""
    configure_logging(settings.log_format)
    try:
        return _run(settings, starter(settings), listener)
    except GatewayError as error:
        print(f"ucbd serve: {error}", file=sys.stderr)
        return EXIT_USAGE


def _run(
    settings: Settings, start: Callable[[], Awaitable[Engine]], listener: socket.socket
) -> int:
    failures: list[BaseException] = []

    def give_up(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    if settings.records is not None:
        asyncio.run(check_store(settings.records))
    app = create_app(
        settings,
        SupervisedEngine(settled(start)),
        on_failure=give_up,
        larger=larger_tier(settings),
    )
    service: Service = app.state.service
    server = DrainingServer(
        uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            timeout_keep_alive=_IDLE_SECONDS,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        ),
        service,
        limit=settings.drain_seconds,
        notice=settings.drain_notice_seconds,
    )
    # uvicorn raises a signal again once it has ended: an orderly end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    log.info("listening on %s://%s:%s, starting the engine", scheme, host, port)
    server.run(sockets=[listener])
    if failures and isinstance(failures[0], SettingsInvalid | ModelUnusable):
        return EXIT_USAGE  # a setting that only what it names could show to be wrong
    return EXIT_FAILED if failures else 0


def _listener(settings: Settings) -> socket.socket:
    """The socket to serve on, once nothing is seen to be wrong with serving there."""
    check_exposure(settings)
    check_paths(settings)
    check_tracing(settings)
    check_certificate(settings)
    return _listen(settings.host, settings.port)


def check_exposure(settings: Settings) -> None:
    """Nobody serves the world by mistake. Raises ``SettingsInvalid``, saying what to do."""
    if settings.keys is None and not settings.public_without_keys and not _loopback(settings.host):
        raise SettingsInvalid(
            f"host: {settings.host} can be reached from other machines and no keys are asked: "
            "give --keys FILE (make keys by `ucbd keys new NAME`), or --public-without-keys when "
            "something in front of the gateway asks for them"
        )


def check_paths(settings: Settings) -> None:
    """That the files and folders are there. Raises ``SettingsInvalid``, naming the setting."""
    for name, is_there, kind in _PATHS:
        path: Path | None = getattr(settings, name)
        if path is not None and not is_there(path):
            found = "there is something else" if path.exists() else "it is not there"
            raise SettingsInvalid(f"{name}: {path}: must be a {kind}, and {found}")


def check_certificate(settings: Settings) -> None:
    """That certificate and key can be served. Raises ``SettingsInvalid``, naming the file."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (ssl.SSLError, OSError) as error:
        pair = f"{settings.tls_cert} and {settings.tls_key}"
        raise SettingsInvalid(f"tls_cert, tls_key: {pair}: {error}") from error


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before the engine starts: a port in use is seen at once."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).split(" (")[0]  # Python repeats the address there
        raise SettingsInvalid(f"host, port: cannot listen on {host}:{port}: {reason}") from error
