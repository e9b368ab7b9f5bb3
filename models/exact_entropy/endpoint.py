"""The HTTP route of a `vllm serve` that hands out what the processor kept.

A plugin of vLLM's API server (``vllm.endpoint_plugins``), loaded where ``VLLM_PLUGINS`` names
``ucbd``. Knows the worker's calls and no gateway.
"""

from argparse import Namespace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from . import ROUTE

_Id = Annotated[str, Field(max_length=128)]
_Ids = Annotated[list[_Id], Field(max_length=8192)]

_Running = Annotated[list[tuple[_Id, Annotated[int, Field(ge=0)]]], Field(max_length=8192)]


class Told(BaseModel):
    """What this server is: its vocabulary, and why it keeps no entropies, null when it does."""

    vocab_size: int
    missing: str | None


class Wanted(BaseModel):
    """Ids of finished requests to collect, of given-up ones to forget; of running ones with the
    position from which on their values are wanted, which stay."""

    model_config = ConfigDict(extra="forbid")

    collect: _Ids
    forget: _Ids = []
    running: _Running = []


class Kept(BaseModel):
    """Per collected id, then per running one, its entropies in nats by output position, null for a
    lost one; null for an id that nothing is kept of."""

    entropies: list[list[float | None] | None]


class EntropyEndpoint:
    """The plugin; see vLLM's ``EndpointPlugin``."""

    name = "ucbd"
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self._engine: Any = None

    def attach_router(self, app: Any) -> None:
        """Add the two routes."""
        app.add_api_route(ROUTE, self.told, methods=["GET"], response_model=Told)
        app.add_api_route(ROUTE, self.collect, methods=["POST"], response_model=Kept)

    async def init_state(self, engine_client: Any, state: Any, args: Namespace) -> None:
        """Take hold of the engine."""
        self._engine = engine_client

    async def told(self) -> Told:
        """``GET``: is this server started in the way that keeps entropies?"""
        config = self._engine.vllm_config
        return Told(
            vocab_size=config.model_config.get_vocab_size(), missing=await self._missing(config)
        )

    async def collect(self, wanted: Wanted) -> Kept:
        """``POST``: the entropies of finished requests, once."""
        return Kept(entropies=[_finite(one) for one in await self._held(wanted)])

    async def _missing(self, config: Any) -> str | None:
        if config.parallel_config.data_parallel_size > 1:
            return "with data parallelism the server reads one replica's values only"
        try:
            from_workers = await self._engine.collective_rpc("ucbd_collect", args=([], []))
        except Exception as error:
            # vLLM raises a bare Exception for whatever went wrong in the worker; a method that is
            # not there is the expected one.
            return f"started without --worker-extension-cls: {error}"
        if all(values is None for values in from_workers):
            return "started without --logits-processors"
        return None

    async def _held(self, wanted: Wanted) -> list[list[float] | None]:
        asked = (wanted.collect, wanted.forget, wanted.running)
        from_workers = await self._engine.collective_rpc("ucbd_collect", args=asked)
        held = next((values for values in from_workers if values is not None), None)
        return held if held is not None else [None] * (len(wanted.collect) + len(wanted.running))


def _finite(values: list[float] | None) -> list[float | None] | None:
    """NaN, which JSON does not have, as null."""
    return None if values is None else [None if v != v else v for v in values]
