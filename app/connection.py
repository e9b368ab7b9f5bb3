"""One HTTP connection, bounded before anything is a request: the length of a head, and its time.

uvicorn's parser takes headers without end, and waits for them for ever: one stranger without a key
could fill the memory. Bodies are bounded in ``ucbd.app.admission``. Knows no request.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_UNREAD = 512 * 1024  # bytes that are no piece of a body; a read brings up to half of that
HEAD_SECONDS = 30.0  # from the first byte of a head, or from connecting, to the head's end


class Connection(HttpToolsProtocol):
    """uvicorn's, that closes on heads (and trailers) too long or too slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        self._unread += len(data)
        if self._unread > MAX_UNREAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        elif self._late is None and self._at_rest():
            self._expect_head()

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._unread = 0
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._unread = 0
        super().on_body(body)

    def _at_rest(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
