"""Several processes behind one listening socket, for a gateway in front of upstreams.

Each is a whole gateway; what they share is the socket, and the folder in which their metrics add
up. One that dies is started again; one that ends by itself with an error ends all, and without
their parent they end too. Knows no route.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ucbd.app.settings import Settings, SettingsInvalid

log = logging.getLogger(__name__)

Serve = Callable[[Settings, socket.socket], int]
"""One gateway on a socket that listens, until it ends; returns the exit code. Picklable."""

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PAUSE_SECONDS = 1.0  # before a dead worker's successor


def check_metrics_folder() -> None:
    """That nobody has set up metrics of several processes: what lies there would be served as ours.

    Raises ``SettingsInvalid``.
    """
    folder = os.environ.get(_FOLDER)
    if folder is not None:
        raise SettingsInvalid(
            f"the environment: {_FOLDER}: {folder!r} may hold what other processes have counted: "
            "unset it; the gateway's workers add up in a folder of their own"
        )


def run_workers(settings: Settings, listener: socket.socket, serve: Serve) -> int:
    """Serve with ``settings.workers`` processes until stopped; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="ucbd-metrics-") as folder:
        # The workers' prometheus_client reads it while it is imported.
        os.environ[_FOLDER] = folder
        return _Workers(settings, listener, serve, folder).run()


def summed() -> CollectorRegistry:
    """The metrics of all workers, added up from their files."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it is untyped
    return registry


class _Workers:
    def __init__(
        self, settings: Settings, listener: socket.socket, serve: Serve, folder: str
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._serve = serve
        self._folder = folder
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[SpawnProcess, int] = {}
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(caught, self._pass_on)
        for number in range(self._settings.workers):
            self._start(number)
        while self._running:
            wait([process.sentinel for process in self._running])
            for process in [one for one in self._running if one.exitcode is not None]:
                self._ended(process, self._running.pop(process))
        return self._code

    def _start(self, number: int) -> None:
        # The canary set is asked once, not by every worker.
        settings = self._settings.model_copy(update={"canary": None} if number else {})
        process = self._context.Process(
            target=_work, args=(settings, self._listener, self._serve), name=f"worker-{number}"
        )
        process.start()
        self._running[process] = number
        if self._stopping:  # told while it was being started, when nobody could tell it
            process.terminate()

    def _ended(self, process: SpawnProcess, number: int) -> None:
        mark_process_dead(process.pid, self._folder)  # type: ignore[no-untyped-call]  # it is untyped
        code = process.exitcode or 0
        if self._stopping:
            self._code = self._code or max(0, code)
        elif code > 0:
            self._code = code
            self._stop(signal.SIGTERM)
        else:
            log.error("worker %d ended (%d) and is started again", number, code)
            time.sleep(_PAUSE_SECONDS)
            if not self._stopping:
                self._start(number)

    def _pass_on(self, caught: int, frame: FrameType | None) -> None:
        if caught == signal.SIGHUP:
            self._send(signal.SIGHUP)
        else:
            self._stop(signal.SIGTERM)

    def _stop(self, how: signal.Signals) -> None:
        self._stopping = True
        self._send(how)

    def _send(self, what: signal.Signals) -> None:
        for process in self._running:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, what)


def _work(settings: Settings, listener: socket.socket, serve: Serve) -> None:
    """One worker. In a group of its own: what a terminal interrupts is the parent, which tells."""
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(serve(settings, listener))


def _end_with_parent() -> None:
    """Who is left alone would hold the address, and nobody could stop it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
