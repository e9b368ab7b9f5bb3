"""The server and its signals: an orderly end, and files that are read again.

The end: unready at once, nothing new, what is under way is finished, in bounded time. Knows what is
in flight; no request.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn

from ucbd.app.service import Service

log = logging.getLogger(__name__)

_LAST_SECONDS = 5  # for the responses that are being written when all requests have ended


class DrainingServer(uvicorn.Server):
    """A server that drains on the first SIGTERM or SIGINT and ends on the second.

    While it drains it listens: probes and balancers are told that it is going, not left guessing
    at a closed port. It is up for at least ``notice`` seconds then, and at most ``limit``.
    """

    def __init__(
        self, config: uvicorn.Config, service: Service, *, limit: float, notice: float
    ) -> None:
        config.timeout_graceful_shutdown = _LAST_SECONDS
        super().__init__(config)
        self._service = service
        self._limit = limit
        self._notice = notice
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop that the signals have to reach."""
        self._loop = asyncio.get_running_loop()
        on_terminal = sys.stdin is not None and sys.stdin.isatty()
        if not on_terminal:  # there it means that the user has gone
            self._loop.add_signal_handler(signal.SIGHUP, self._service.reread)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        self._service.loop_lag.look(time.monotonic())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins to drain; another ends the server with what it has."""
        if self._loop is None or self._service.admission.closed:
            super().handle_exit(sig, frame)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._service.admission.cut)
            return
        self._captured_signals.append(sig)
        self._service.admission.close(self._limit)
        log.info("%s: no more requests are taken in", signal.Signals(sig).name)
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        admission = self._service.admission
        await asyncio.sleep(min(self._notice, self._limit))
        try:
            async with asyncio.timeout(max(0.0, self._limit - self._notice)):
                await admission.idle()
        except TimeoutError:
            unfinished = admission.in_flight
            log.warning("%d requests were not finished in %g s", unfinished, self._limit)
            admission.cut()
        self.should_exit = True
