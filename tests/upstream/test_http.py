"""The connections to one server, over real sockets: what is kept, closed, and no HTTP."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_serve import certificate
from tests.unit.waiting import until
from ucbd.models.upstream import http
from ucbd.models.upstream.http import Broken, Connection, Connections, address, header_lines

OK = b"HTTP/1.1 200 OK\r\n"
YES = OK + b"content-length: 3\r\n\r\nyes"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n"
MOST = 1000


@dataclass
class Scripted:
    """Answers the requests of each connection in turn with these pieces of bytes; None closes it.

    After the last of them it is silent. ``requests`` are what came, by connection.
    """

    answers: Sequence[Sequence[bytes | None]]
    tls: ssl.SSLContext | None = None
    requests: list[list[bytes]] = field(default_factory=list)
    left: int = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came: list[bytes] = []
        self.requests.append(came)
        try:
            for pieces in self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(re.search(rb"content-length: (\d+)", head)[1])
                came.append(head + await reader.readexactly(size))
                for piece in pieces:
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left += 1
            writer.close()


@asynccontextmanager
async def scripted(*answers: Sequence[bytes | None], **options) -> AsyncIterator[Scripted]:
    script = Scripted(answers, **options)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=script.tls)
    script.port = server.sockets[0].getsockname()[1]
    yield script
    server.close()


async def body(connections: Connections, content: bytes = b"{}") -> bytes:
    connection = await connections.ask("POST", "/v1/x", content, ())
    try:
        return await connection.whole(MOST)
    finally:
        connections.done(connection)


async def once(*pieces: bytes | None) -> bytes | Broken:
    """What one call ends in at a server that answers with these pieces."""
    async with scripted(pieces) as server:
        connections = Connections(server.url, ())
        try:
            return await body(connections)
        except Broken as error:
            return error
        finally:
            await connections.close()


async def test_a_request_is_written_as_http_wants_it():
    async with scripted([YES]) as server:
        connections = Connections(f"{server.url}/behind/", (("authorization", "Bearer k"),))
        connection = await connections.ask("POST", "/v1/x", b'{"a": 1}', (("traceparent", "t"),))
        assert (connection.status, connection.headers) == (200, {"content-length": "3"})
        await connections.close()
    assert server.requests == [
        [
            b"POST /behind/v1/x HTTP/1.1\r\n"
            b"host: localhost:%d\r\n"
            b"authorization: Bearer k\r\n"
            b"traceparent: t\r\n"
            b'content-length: 8\r\n\r\n{"a": 1}' % server.port
        ]
    ]


async def test_a_connection_is_kept_for_the_next_call():
    async with scripted([YES], [CHUNKED], [YES]) as server:
        connections = Connections(server.url, ())
        assert [await body(connections) for _ in range(3)] == [b"yes"] * 3
        await connections.close()
    assert [len(requests) for requests in server.requests] == [3]


@pytest.mark.parametrize(
    "answer",
    [
        [OK + b"connection: close\r\ncontent-length: 3\r\n\r\nyes"],
        [b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nyes"],
        [OK + b"\r\nyes", None],  # ends where the connection does
        [YES, None],
        [YES + b"unasked"],
        [YES, b"HTTP/1.1 408 Request Timeout\r\n\r\n"],
    ],
)
async def test_a_connection_that_is_over_or_says_too_much_is_not_asked_again(answer, monkeypatch):
    monkeypatch.setattr(http, "_KEEP_SECONDS", 3600)
    async with scripted(answer) as server:
        connections = Connections(server.url, ())
        assert await body(connections) == b"yes"
        await until(lambda: not any(one.usable for one in connections._idle))
        assert await body(connections) == b"yes"
        await connections.close()
    assert len(server.requests) == 2


async def test_an_idle_connection_is_closed_before_the_server_does(monkeypatch):
    monkeypatch.setattr(http, "_KEEP_SECONDS", 0.05)
    async with scripted([YES], [YES]) as server:
        connections = Connections(server.url, ())
        await body(connections)
        await until(lambda: server.left == 1)
        await body(connections)
        await connections.close()
    assert len(server.requests) == 2


async def test_a_connection_too_old_to_be_trusted_is_not_asked_again():
    async with scripted([YES], [YES]) as server:
        connections = Connections(server.url, ())
        await body(connections)
        connections._idle[0].idle_since -= 3.1
        await body(connections)
        await connections.close()
    assert len(server.requests) == 2


@settings(max_examples=200, derandomize=True)
@given(cuts=st.lists(st.integers(0, len(CHUNKED)), max_size=12), chunked=st.booleans())
def test_an_answer_is_the_same_however_it_is_cut(cuts, chunked):
    whole = CHUNKED if chunked else YES
    ends = sorted({cut for cut in cuts if 0 < cut < len(whole)} | {0, len(whole)})

    async def read() -> bytes:
        connection = Connection()
        for start, end in pairwise(ends):
            connection.data_received(whole[start:end])
        await connection.answered()
        return await connection.whole(MOST)

    assert asyncio.run(read()) == b"yes"


@pytest.mark.parametrize(
    ("pieces", "began", "words"),
    [
        ([None], False, "hung up before it answered"),
        ([OK, None], False, "hung up before it answered"),
        ([YES[:-1], None], True, "hung up in the middle of its answer"),
        ([CHUNKED[:-5], None], True, "hung up in the middle of its answer"),
        ([b"220 mail.example ESMTP\r\n"], True, "does not speak HTTP"),
        ([OK + b"content-length: 3\r\ncontent-length: 4\r\n\r\nyes"], True, "does not speak HTTP"),
        ([b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"], True, "HTTP"),
        ([OK + b"x: " + b"y" * 70_000], True, "sends a head without end"),
        ([OK + b"content-length: 1001\r\n\r\n" + b"x" * 1001], True, "more than 1,000 bytes"),
    ],
)
async def test_an_answer_without_an_end_says_what_the_server_did(pieces, began, words):
    error = await once(*pieces)
    assert isinstance(error, Broken)
    assert error.began is began
    assert words in str(error)


async def test_what_comes_before_the_answer_is_not_the_answer():
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    assert await once(b"HTTP/1.1 100 Continue\r\n\r\n", early + YES) == b"yes"


async def test_who_reads_in_parts_gets_them_as_they_come():
    async with scripted([OK + b"transfer-encoding: chunked\r\n\r\n2\r\nye\r\n"]) as server:
        connections = Connections(server.url, ())
        connection = await connections.ask("GET", "/", b"", ())
        assert await anext(connection) == b"ye"
        connections.done(connection)  # in the middle: the server hears of it
        await until(lambda: server.left == 1)
        await connections.close()


async def test_a_server_waits_for_who_reads_slowly():
    """It wants to send 64 MB in parts of 64 kB, and cannot get rid of more than buffers hold."""
    head = OK + b"content-length: %d\r\n\r\n" % (1024 * 65536)
    async with scripted([head, *[b"x" * 65536] * 1024]) as server:
        connections = Connections(server.url, ())
        connection = await connections.ask("GET", "/", b"", ())
        before = -1
        while before != connection._unread:
            before = connection._unread
            await asyncio.sleep(0.2)
        assert before < 2 * http._MOST_UNREAD
        read = 0
        async for part in connection:
            read += len(part)
        assert read == 1024 * 65536
        await connections.close()


async def test_more_calls_than_connections_wait_for_each_other():
    async with scripted([YES], [YES], [YES]) as server:
        connections = Connections(server.url, (), most=2)
        assert await asyncio.gather(*(body(connections) for _ in range(6))) == [b"yes"] * 6
        await connections.close()
    assert sum(map(len, server.requests)) == 6
    assert len(server.requests) == 2


async def test_a_call_given_up_closes_its_connection_and_makes_room():
    async with scripted([]) as server:
        connections = Connections(server.url, (), most=1)
        for n in range(1, 3):
            call = asyncio.ensure_future(body(connections))
            await until(lambda n=n: len(server.requests) == n)
            call.cancel()
            await until(lambda n=n: server.left == n)
        await connections.close()


async def test_a_host_without_a_server_cannot_be_reached():
    async with scripted([]) as server:
        pass
    for url in (server.url, "http://nowhere.invalid", f"https://localhost:{server.port}"):
        with pytest.raises(Broken, match="cannot be reached") as refused:
            await body(Connections(url, ()))
        assert not refused.value.began


async def test_who_takes_too_long_to_connect_is_given_up(monkeypatch):
    async def forever(*_, **__):
        await asyncio.sleep(3600)

    monkeypatch.setattr(http, "start_connection", forever)
    with pytest.raises(Broken, match="does not take the connection") as refused:
        await body(Connections("http://localhost:9", (), connect_seconds=0.01))
    assert not refused.value.began


async def test_a_certificate_is_checked(tmp_path, monkeypatch):
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    async with scripted([YES], tls=context) as server:
        with pytest.raises(Broken, match="cannot be reached"):
            await body(Connections(server.url, ()))
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        connections = Connections(server.url, ())
        assert await body(connections) == b"yes"
        await connections.close()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://h", ("h", 80, False, "", "h")),
        ("https://h/p/", ("h", 443, True, "/p", "h")),
        ("http://[::1]:8000/a/b", ("::1", 8000, False, "/a/b", "[::1]:8000")),
        ("http://Köln.example:1", ("xn--kln-sna.example", 1, False, "", "xn--kln-sna.example:1")),
        ("http://my_service:0", ("my_service", 0, False, "", "my_service:0")),
    ],
)
def test_an_address_is_read_out_of_a_url(url, found):
    read = address(url)
    assert (read.host, read.port, read.tls, read.path, read.name) == found


ODD = ("http://[::1", "http://[x]", "http://h/a b", "http://a b", "http://h\0", "http://h/\x7f")


@pytest.mark.parametrize(
    "url", ["h:80", "ftp://h", "http://", "http://h:70000", "http://a..b", *ODD]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match=r"must be like|no space|out of range|no name of a host"):
        address(url)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\n", "a\r", "a\0", "\u20ac"])
def test_a_header_cannot_begin_another_line(value):
    with pytest.raises(ValueError, match=r"one line|latin-1"):
        header_lines((("x", value),))
