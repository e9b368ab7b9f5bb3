"""Collecting entropies from vLLM's worker: one call in flight for all requests together.

Knows the worker's RPC and how vLLM dies; nothing of what a request asked for.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from ucbd.models.coalesce import Coalescer
from ucbd.models.errors import EngineFailed, EngineUnavailable

_FORGET_MOST = 4096  # aborted requests not yet told to the worker; it evicts older ones by itself


class EntropyCollector:
    """The entropies that the worker of one ``AsyncLLM`` keeps, by request id."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._collect = Coalescer(self._collect_many)
        self._forget: deque[str] = deque(maxlen=_FORGET_MOST)

    async def collect(self, request: str) -> list[float]:
        """The values of a request in nats, by output position; empty when none are kept.

        Raises ``EngineUnavailable`` when the engine dies first, ``EngineFailed`` when it refuses.
        """
        return await self._collect(request) or []

    def forget(self, request: str) -> None:
        """Drop a request's values; the worker hears of it with the next collection."""
        self._forget.append(request)

    async def kept(self) -> int:
        """How many values the worker holds for requests not yet collected."""
        return sum(await self._call("ucbd_kept"))

    async def _collect_many(self, requests: Sequence[str]) -> list[list[float] | None]:
        forget = list(self._forget)
        self._forget.clear()
        from_workers = await self._call("ucbd_collect", list(requests), forget)
        held = next((values for values in from_workers if values is not None), None)
        return held if held is not None else [None] * len(requests)

    async def _call(self, method: str, *args: Any) -> Any:
        """``collective_rpc`` that ends when the engine does.

        vLLM never answers a call that was under way when its process died or was shut down. Its
        output handler ends then, so that is waited for too.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        call = asyncio.ensure_future(self._llm.collective_rpc(method, args=args))
        handler = self._llm.output_handler
        try:
            await asyncio.wait(
                {call} if handler is None else {call, handler}, return_when=asyncio.FIRST_COMPLETED
            )
            if not call.done():
                raise EngineUnavailable("the engine died or was shut down")
            return call.result()
        except EngineDeadError as error:
            raise EngineUnavailable("the engine is dead") from error
        except EngineUnavailable:
            raise
        except Exception as error:
            # vLLM raises a bare Exception here for whatever went wrong in the worker.
            raise EngineFailed(f"{method} failed in the worker: {error}") from error
        finally:
            call.cancel()
