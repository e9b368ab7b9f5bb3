"""HTTP/1.1 to one server, as much of it as calls of a model need: kept connections, one exchange at
a time on each, its answer whole or in parts as they come.

httptools reads, as in uvicorn; the rest is here because no client of Python's is as quick
(docs/performance.md). Follows no redirect, knows no proxy, no cookie and no content encoding,
limits no time but a connection's, and does not ask twice.
"""

import asyncio
import ssl
import time
from socket import SOCK_STREAM
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from ucbd.models.generation import Headers

_KEEP_SECONDS = 3.0  # uvicorn closes idle connections after 5: ours go first
_MOST_HEAD = 64 * 1024  # bytes
_MOST_UNREAD = 1024 * 1024  # bytes of parts that nobody has taken; then the server has to wait
_NEXT_ADDRESS_SECONDS = 0.25  # after which a host's second address is tried beside the first

_LIKE = "must be like http://host:8000 or https://host"


class Address(Struct, frozen=True):
    """Where a server is: what is asked of it begins with ``path``, and names it as ``name``."""

    host: str
    port: int
    tls: bool
    path: str
    name: str


def address(url: str) -> Address:
    """Where that URL points. Raises ``ValueError`` for what is no server's."""
    if any(sign <= " " or sign == "\x7f" for sign in url):  # it would end the request's first line
        raise ValueError("must hold no space and no control sign")
    try:
        parts = urlsplit(url)
    except ValueError as error:  # brackets that are no IPv6 address
        raise ValueError(_LIKE) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(_LIKE)
    tls = parts.scheme == "https"
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError(f"no name of a host: {parts.hostname!r}") from error
    name = f"[{host}]" if ":" in host else host
    given = parts.port  # raises for one out of range
    if given is not None:
        name = f"{name}:{given}"
    port = (443 if tls else 80) if given is None else given
    return Address(host, port, tls, parts.path.rstrip("/"), name)


def header_lines(headers: Headers) -> bytes:
    """As they stand in a request. Raises ``ValueError`` for what would end its line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if lines.count("\r") != len(headers) or lines.count("\n") != len(headers) or "\0" in lines:
        raise ValueError("a header is one line of text")
    return lines.encode("latin-1")


class Broken(Exception):
    """An exchange without an end; says what the server did. ``began``: it may have answered."""

    def __init__(self, what: str, *, began: bool) -> None:
        super().__init__(what)
        self.began = began


class Connection(asyncio.Protocol):
    """One connection, and the answer that comes on it.

    ``status`` and ``headers`` (names in lower case, of several the last) are known once the
    connection is handed out by ``Connections.ask``. Methods raise ``Broken``.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport  # from ``connection_made`` on
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Broken | None = None
        self._closed = self._paused = False
        self._begin()

    @property
    def usable(self) -> bool:
        """Whether the last answer was read to its end and another can be asked for."""
        return self._complete and self._keeps and not self._closed

    def send(self, request: bytes) -> None:
        """Begin an exchange."""
        self._begin()
        self._transport.write(request)

    async def answered(self) -> None:
        """Wait for the head of the answer."""
        while not self._head_came:
            await self._news()

    async def whole(self, most: int) -> bytes:
        """The body, of at most ``most`` bytes."""
        self._needed = most + 1  # nobody has to look before
        self._resume()
        while not self._complete and self._unread <= most:
            await self._news()
        if self._unread > most:
            raise Broken(f"answered more than {most:,} bytes", began=True)
        return self._taken()

    def __aiter__(self) -> "Connection":
        """The body in parts, as it comes."""
        self._needed = 1
        return self

    async def __anext__(self) -> bytes:
        """The bytes that came since the last part."""
        while not self._parts:
            if self._complete:
                raise StopAsyncIteration
            await self._news()
        return self._taken()

    def close(self) -> None:
        """At once, whatever is under way: that is how the server hears that nobody waits."""
        self._transport.abort()

    def _begin(self) -> None:
        self._head_came = self._complete = self._keeps = self._until_closed = False
        self._head_bytes = self._unread = self._needed = 0
        self._parts: list[bytes] = []
        self.headers = {}

    async def _news(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _taken(self) -> bytes:
        parts, self._parts = self._parts, []
        self._unread = 0
        self._resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _resume(self) -> None:
        if self._paused and not self._closed:
            self._paused = False
            self._transport.resume_reading()

    # What the loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(Broken("does not speak HTTP", began=True))
            return
        if self._head_came:
            if self._unread > max(_MOST_UNREAD, self._needed) and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            if self._complete or self._unread >= self._needed:
                self._wake()
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD:
            self._fail(Broken("sends a head without end", began=True))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._closed = True
        if self._until_closed and exc is None:
            self._complete = True
        elif self._head_came:
            self._fault = self._fault or Broken("hung up in the middle of its answer", began=True)
        else:
            self._fault = self._fault or Broken("hung up before it answered", began=False)
        self._wake()

    def _fail(self, fault: Broken) -> None:
        if self._complete:  # more than the answer: it stands, the connection does not
            self._keeps = False
        else:
            self._fault = fault
        self.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._complete:
            raise ValueError("an answer that was not asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.status = self._parser.get_status_code()
        if self.status < 200:  # the answer is still to come
            self.headers = {}
            return
        self._head_came = True
        self._until_closed = (
            "content-length" not in self.headers
            and "transfer-encoding" not in self.headers
            and self.status not in (204, 304)
        )

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._parts.append(body)
        self._unread += len(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._head_came:
            self._complete = True
            self._keeps = self._parser.should_keep_alive()


class Connections:
    """To the server at ``url``, http or https; ``headers`` go with every request.

    At most ``most`` at a time, beyond which a call waits; one is made within ``connect_seconds``.
    Raises ``ValueError`` for what is no such address, or headers that are none.
    """

    def __init__(
        self, url: str, headers: Headers, *, connect_seconds: float = 5.0, most: int = 2048
    ) -> None:
        self._address = address(url)
        self._tls = ssl.create_default_context() if self._address.tls else None
        self._headers = header_lines((("host", self._address.name), *headers))
        self._connect_seconds = connect_seconds
        self._free = asyncio.Semaphore(most)
        self._idle: list[Connection] = []  # the one used last is the last
        self._busy: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def ask(self, method: str, path: str, content: bytes, headers: Headers) -> Connection:
        """A connection with the head of the answer; to be given back by ``done``.

        Raises ``Broken``.
        """
        line = f"{method} {self._address.path}{path} HTTP/1.1\r\n".encode()
        length = b"content-length: %d\r\n\r\n" % len(content)
        request = b"".join((line, self._headers, header_lines(headers), length, content))
        await self._free.acquire()
        connection: Connection | None = None
        try:
            connection = self._kept() or await self._made()
            self._busy.add(connection)
            connection.send(request)
            await connection.answered()
        except BaseException:
            self._dropped(connection)
            raise
        return connection

    def done(self, connection: Connection) -> None:
        """Keep it for another call, where its answer was read to the end; else close it."""
        if not connection.usable:
            self._dropped(connection)
            return
        self._free.release()
        self._busy.discard(connection)
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweep_later()

    async def close(self) -> None:
        """Close every connection; calls under way are broken off."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # their ends are told in the next round of the loop

    def _dropped(self, connection: Connection | None) -> None:
        self._free.release()
        if connection is not None:
            self._busy.discard(connection)
            connection.close()

    def _kept(self) -> Connection | None:
        oldest = time.monotonic() - _KEEP_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _made(self) -> Connection:
        loop = asyncio.get_running_loop()
        host = self._address.host
        try:
            async with asyncio.timeout(self._connect_seconds):
                addresses = await loop.getaddrinfo(host, self._address.port, type=SOCK_STREAM)
                socket = await start_connection(
                    addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
                )
                _, connection = await loop.create_connection(
                    Connection,
                    sock=socket,
                    ssl=self._tls,
                    server_hostname=host if self._tls else None,
                )
        except TimeoutError as error:
            raise Broken("does not take the connection", began=False) from error
        except (OSError, RuntimeError) as error:  # uvloop raises the second, rarely
            raise Broken("cannot be reached", began=False) from error
        return connection

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_KEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long; the next look is due while any is left."""
        self._sweeper = None
        oldest = time.monotonic() - _KEEP_SECONDS
        while self._idle and (self._idle[0].idle_since <= oldest or not self._idle[0].usable):
            self._idle.pop(0).close()
        if self._idle:
            self._sweep_later()
