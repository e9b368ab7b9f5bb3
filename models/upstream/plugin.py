"""The route by which a `vllm serve` with our plugin gives exact token entropies.

``GET`` says what the server is, ``POST`` hands over what it kept for requests; the other side is
``ucbd.models.exact_entropy.endpoint``. Calls that come together go together.
"""

import math
import uuid
from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ucbd.models.coalesce import Coalescer
from ucbd.models.errors import GatewayError, UpstreamFailed
from ucbd.models.exact_entropy import ENTROPY_ID, ROUTE
from ucbd.models.generation import Missing, TokenEntropies
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.measure import exact
from ucbd.models.upstream.shapes import read
from ucbd.models.upstream.wire import Call, Reply

_Wanted = tuple[str, int | None]
"""A request that has ended, or a running one and the position from which on it is wanted."""

_FORGET_MOST = 4096  # broken-off requests not yet told to the server; it evicts by itself


class Told(msgspec.Struct, frozen=True):
    """What the server says of itself: its vocabulary, and why it keeps nothing, if it does not."""

    vocab_size: int
    missing: str | None = None


class _Kept(msgspec.Struct):
    entropies: list[list[float | None] | None]


class EntropyRoute:
    """The route of one server."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._fetch = Coalescer(self._fetch_many)
        self._forget: deque[str] = deque(maxlen=_FORGET_MOST)

    async def told(self) -> Told | None:
        """What the server says; None when it has no such route."""
        try:
            return await self._client.read("GET", ROUTE, _told)
        except UpstreamFailed:
            return None

    def marked(self, call: Call) -> tuple[str, Call]:
        """An id, different over all gateways that share the server, and the call under it."""
        request = f"ucbd-{uuid.uuid4().hex}"
        return request, replace(call, extra={**call.extra, "vllm_xargs": {ENTROPY_ID: request}})

    async def entropies(self, request: str, reply: Reply) -> TokenEntropies | Missing:
        """What the server kept for a reply, in nats; that it cannot be had costs no answer."""
        try:
            kept = await self._fetch((request, None))
        except GatewayError as error:
            self.forget(request)
            return Missing(f"token entropies were not collected: {error}")
        return exact(reply, kept)

    async def so_far(self, request: str, start: int) -> Sequence[float]:
        """What there is of a running request from position ``start`` on."""
        return await self._fetch((request, start))

    def forget(self, request: str) -> None:
        """Drop a request's values; the server hears of it with the next collection."""
        self._forget.append(request)

    async def _fetch_many(self, wanted: Sequence[_Wanted]) -> Sequence[list[float]]:
        ended = [request for request, start in wanted if start is None]
        running = [(request, start) for request, start in wanted if start is not None]
        forget = list(self._forget)
        self._forget.clear()
        body = {"collect": ended, "forget": forget, "running": running}
        found = await self._client.read("POST", ROUTE, _kept, msgspec.json.encode(body))
        if len(found) != len(wanted):
            raise UpstreamFailed(f"{self._client.url} gave entropies of {len(found)} requests")
        first, then = iter(found[: len(ended)]), iter(found[len(ended) :])
        return [next(first if start is None else then) for _, start in wanted]


def _told(body: bytes) -> Told:
    return read(body, Told)


def _kept(body: bytes) -> list[list[float]]:
    found = read(body, _Kept).entropies
    return [[math.nan if v is None else v for v in values or ()] for values in found]
