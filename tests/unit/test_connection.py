"""Connections over real sockets: heads that never end, and heads that never come."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from ucbd.app import connection
from ucbd.app.connection import MAX_UNREAD, Connection

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
BODY = b"Content-Length: 3\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


async def counts_its_body(scope, receive, send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % size})


@pytest.fixture
async def dial():
    """Opens a connection to a server of such connections."""
    config = uvicorn.Config(counts_its_body, http=Connection, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(config, state, {}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    yield lambda: asyncio.open_connection("127.0.0.1", port)
    server.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes; fails rather than hang."""
    async with asyncio.timeout(60):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD, b"x: " + b"a" * 1000 + b"\r\n"),
        (HEAD + b"x: ", b"a" * 1000),
        (b"GET /", b"a" * 1000),
        (CHUNKED, b"x: " + b"a" * 1000 + b"\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 1000),
    ],
    ids=["headers", "one header", "address", "trailers", "chunk extension"],
)
async def test_a_head_without_end_is_read_no_further_than_its_bound(dial, start, piece):
    reader, writer = await dial()
    writer.write(start)
    sent = 0
    try:
        async with asyncio.timeout(60):
            while sent < 100 * MAX_UNREAD:
                writer.write(piece * 64)
                sent += len(piece) * 64
                await writer.drain()
    except ConnectionError:
        pass
    assert sent < 100 * MAX_UNREAD  # hung up on
    assert b" 200 " not in await rest(reader)


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", HEAD, HEAD + BODY + b"abc\r\n", HEAD + BODY + b"abc" + HEAD],
    ids=["nothing", "half a line", "half a head", "an empty line later", "half of another"],
)
async def test_a_head_that_does_not_come_in_time_ends_the_connection(impatient, dial, said):
    reader, writer = await dial()
    writer.write(said)
    answers = await rest(reader)
    assert answers.count(b"200 OK") == said.count(b"abc")


async def test_slow_bodies_and_idle_connections_are_not_its_business(impatient, dial):
    reader, writer = await dial()
    for _ in range(2):
        writer.write(HEAD + BODY)
        await asyncio.sleep(0.5)
        writer.write(b"abc")
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readuntil(b"0\r\n\r\n") == b"1\r\n3\r\n0\r\n\r\n"
        await asyncio.sleep(0.5)
    writer.close()


async def test_a_long_body_is_no_head(dial):
    reader, writer = await dial()
    writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (4 * MAX_UNREAD))
    writer.write(b"a" * 4 * MAX_UNREAD)
    assert b"\r\n%d\r\n" % (4 * MAX_UNREAD) in await rest(reader)
