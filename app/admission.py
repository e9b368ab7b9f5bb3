"""Admission: what is taken in at all. Bounded requests in flight, bounded bodies, client gone.

Refuses at once rather than queue without bound. Knows no route.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from ucbd.app.errors import BodyTooLarge, ClientClosed, EdgeError, Overloaded, refused

T = TypeVar("T")


class Admission:
    """At most ``limit`` requests in flight; the next is refused with ``Overloaded``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one request in for as long as the context lasts."""
        if self.in_flight >= self._limit:
            raise Overloaded(f"{self.in_flight} requests in flight, the limit is {self._limit}")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


async def read_body(request: Request, limit: int) -> bytes:
    """The body, read no further than ``limit`` bytes. Raises ``BodyTooLarge``."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit, f"{declared} bytes declared")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit, f"more than {limit} bytes sent")
    except ClientDisconnect as error:
        raise ClientClosed("the client left while sending its request") from error
    return bytes(body)


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; the work is cancelled, and ``ClientClosed`` raised, if the client leaves.

    The request's body must have been read: from then on its channel carries only the disconnect.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientClosed("the client left before the answer")
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            # Its engine calls are aborted when this returns, not some time later.
            await asyncio.wait({working})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int, got: str) -> EdgeError:
    return refused(BodyTooLarge, "body", f"at most {limit} bytes, {got}")
