"""A proxy that does nothing: FastAPI hands a chat completion's bytes on, and the answer's back.

    .venv/bin/python -m loadtest.passthrough --client httpx --upstream http://127.0.0.1:9100

What any gateway of Python takes at least. ``httpx`` is httpx over aiohttp's transport, ``aiohttp``
the bare session.
"""

import argparse
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from httpx_aiohttp import AiohttpTransport

PATH = "/v1/chat/completions"
HEADERS = {"content-type": "application/json"}
Send = Callable[[bytes], Awaitable[bytes]]
Client = Callable[[str], AbstractAsyncContextManager[Send]]
"""By an upstream's address: makes of a question's bytes an answer's."""


@asynccontextmanager
async def by_httpx(url: str) -> AsyncIterator[Send]:
    async with httpx.AsyncClient(
        transport=AiohttpTransport(verify=ssl.create_default_context())
    ) as client:

        async def send(body: bytes) -> bytes:
            return (await client.post(url + PATH, content=body, headers=HEADERS)).content

        yield send


@asynccontextmanager
async def by_aiohttp(url: str) -> AsyncIterator[Send]:
    async with aiohttp.ClientSession() as session:

        async def send(body: bytes) -> bytes:
            async with session.post(url + PATH, data=body, headers=HEADERS) as answer:
                return await answer.read()

        yield send


def proxy(client: Client, url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client(url) as app.state.send:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH)
    async def pass_on(request: Request) -> Response:
        answer = await app.state.send(await request.body())
        return Response(answer, media_type="application/json")

    @app.get("/readyz")
    async def ready() -> Response:
        return Response()

    return app


def main(clients: Mapping[str, Client], description: str) -> None:
    """Serve by the client that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--client", choices=clients, default=next(iter(clients)))
    parser.add_argument("--upstream", default="http://127.0.0.1:9100")
    parser.add_argument("--port", type=int, default=9101)
    given = parser.parse_args()
    app = proxy(clients[given.client], given.upstream)
    uvicorn.run(app, port=given.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main({"httpx": by_httpx, "aiohttp": by_aiohttp}, __doc__.splitlines()[0])
