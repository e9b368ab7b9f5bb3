"""The gate: who is calling, and whether they may ask now, before any route sees the request.

What no answering path sends gets its `x-request-id` here.

Closed by default: a path that is not among the open ones needs a key, whatever route serves it.
Knows paths and callers; nothing of what is asked.
"""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ucbd.app.errors import RateLimited, Unauthorized
from ucbd.app.keys import Caller, KeyRing, anybody
from ucbd.app.request_id import HEADER, request_id

PAGES = ("/docs", "/redoc", "/openapi.json", "/static-offline-docs", "/playground")
"""Open: they tell what the gateway is, and nothing of what it was asked."""
PROBES = ("/healthz", "/readyz")
METRICS = "/metrics"

_SCHEME = "bearer "


class Gate:
    """ASGI middleware: finds the caller by key, takes a request from their limits, tells the rest.

    ``keys`` None asks for no key. ``refuse`` counts a request's error and makes its response.
    ``answering`` are the applications of paths whose requests count against a caller's limits: what
    is posted there goes to them directly, past the router, which would try every route before.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyRing | None,
        refuse: Callable[[Scope, Exception], Response],
        answering: Mapping[str, ASGIApp],
        *,
        open_metrics: bool = True,
    ) -> None:
        self._app = app
        self._keys = keys
        self._refuse = refuse
        self._answering = answering
        self._anybody = anybody()
        self._open = (*PAGES, *PROBES, METRICS) if open_metrics else (*PAGES, *PROBES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        try:
            caller = self._caller(path, scope)
        except Unauthorized as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        answering = self._answering.get(path) if scope["method"] == "POST" else None
        if answering is None:
            await self._app(scope, receive, _with_id(scope, send))
            return
        if not caller.allowance.limited:
            await answering(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(caller.allowance.headers())
            await send(message)

        exceeded = caller.allowance.ask()
        if exceeded is None:
            await answering(scope, receive, told)
            return
        message = f"{exceeded.limit} {exceeded.what} per minute are used up"
        refusal = self._refuse(scope, RateLimited(message, exceeded.retry_after))
        await refusal(scope, receive, told)

    def _caller(self, path: str, scope: Scope) -> Caller:
        """Who sent that to this path. Raises ``Unauthorized``."""
        if self._keys is None or self._is_open(path):
            return self._anybody
        presented = Headers(scope=scope).get("authorization", "")
        if not presented.lower().startswith(_SCHEME):
            raise Unauthorized("give a key of this gateway: Authorization: Bearer ucbd-…")
        caller = self._keys.find(presented[len(_SCHEME) :].strip())
        if caller is None:
            raise Unauthorized("the key is not one of this gateway's")
        return caller

    def _is_open(self, path: str) -> bool:
        return any(path == known or path.startswith(f"{known}/") for known in self._open)


def _with_id(scope: Scope, send: Send) -> Send:
    """Sends, with an id on the response that has none."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            ids = request_id("req-", Headers(scope=scope))
            MutableHeaders(scope=message).setdefault(HEADER, ids.told)
        await send(message)

    return told


def caller_of(request: Request) -> Caller:
    """Who the gate found to be asking."""
    caller: Caller = request.state.caller
    return caller
