"""Bringing vLLM up: its arguments, its environment, and the processor it loads.

Knows vLLM's configuration and its processes while they start; what the engine then does stands in
``vllm_engine``.
"""

import asyncio
import multiprocessing
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ucbd.models.errors import EngineStartFailed
from ucbd.models.exact_entropy import PROCESSOR, WORKER_EXTENSION
from ucbd.models.model_files import CONFIGS, check_model_folder

_ON = {"1", "ON", "YES", "TRUE"}  # as the hub's library reads it
_LOOK_SECONDS = 0.05  # between two looks for a process to end


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine is told: the model and the size of things; see vLLM's own for the meaning."""

    model: str
    served_name: str
    revision: str | None = None
    dtype: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int = 128
    kv_cache_gib: int = 1
    kv_cache_blocks: int | None = None
    gpu_memory_utilization: float = 0.9
    allow_hub: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """A running ``AsyncLLM``, whether it carries the exact-entropy processor, and why not."""

    llm: Any
    exact: bool
    note: str | None


class Launch:
    """One attempt to bring vLLM up, which can be given up. One at a time in a process."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._children = {child.pid for child in multiprocessing.active_children()}
        self._given_up = threading.Event()
        self._launching = threading.Event()
        # Handed over here, not as the thread's result: vLLM freezes the garbage collector's heap
        # while it starts, the frames of this thread included, and what they name lives for ever.
        self._built: Built | None = None

    async def run(self) -> Built:
        """Load the model, tens of seconds, in a thread. Cancelled, it leaves no process behind."""
        building = asyncio.ensure_future(asyncio.to_thread(self._build))
        try:
            await asyncio.shield(building)
        except asyncio.CancelledError:
            await self._give_up(building)
            raise
        built, self._built = self._built, None
        assert built is not None  # noqa: S101 - the thread ended without an error
        return built

    def _build(self) -> None:
        settings = self._settings
        if Path(settings.model).is_dir():
            check_model_folder(Path(settings.model))
        from vllm import AsyncEngineArgs
        from vllm.tokenizers import cached_tokenizer_from_config
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments = _arguments(settings)
        config = AsyncEngineArgs(**arguments).create_engine_config(UsageContext.ENGINE_CONTEXT)
        cached_tokenizer_from_config(config.model_config)  # a missing one is seen before the start
        note = None
        if config.speculative_config is not None:
            note = "speculative decoding refuses custom logits processors"
        else:
            arguments |= {
                "logits_processors": [PROCESSOR],
                "worker_extension_cls": WORKER_EXTENSION,
            }
        # In this order: whoever gives up sets the one and then reads the other.
        self._launching.set()
        if self._given_up.is_set():
            raise EngineStartFailed("given up")
        self._built = Built(
            AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), exact=note is None, note=note
        )

    async def _give_up(self, building: "asyncio.Future[None]") -> None:
        """End the processes that vLLM's constructor, still running in its thread, has started."""
        self._given_up.set()
        while self._launching.is_set() and not building.done():
            for child in multiprocessing.active_children():
                if child.pid is not None and child.pid not in self._children:
                    _kill_with_children(child.pid)
            await asyncio.sleep(_LOOK_SECONDS)
        if not building.done():
            # Not yet launching: the thread ends by itself before it starts a process.
            building.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        elif building.exception() is None and self._built is not None:
            await asyncio.to_thread(self._built.llm.shutdown)


def _kill_with_children(pid: int) -> None:
    """Nothing in a process that is still starting is worth an orderly end."""
    import psutil  # type: ignore[import-untyped]  # no stubs; a dependency of vLLM

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue


def _arguments(settings: EngineSettings) -> dict[str, Any]:
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "model": settings.model,
        "served_model_name": settings.served_name,
        "revision": settings.revision,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "num_gpu_blocks_override": settings.kv_cache_blocks,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        # Only safetensors: nothing in a weight file is ever executed.
        "load_format": "safetensors",
        "trust_remote_code": False,
        "max_logprobs": -1,  # for the self-check; a request gets few
        # It sees what is wrong with a schema before the engine does; and a model that may put white
        # space wherever it likes can fill an answer with it.
        "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",  # work in the background waits for all other work
        "enable_log_requests": False,
        "disable_log_stats": False,
    }
    if current_platform.is_cpu():
        # 128 is the default there, and a shared prompt shorter than a block is never reused.
        arguments |= {"block_size": 32, "enforce_eager": True}
    return arguments


def fetched(name: str, revision: str | None) -> bool:
    """Whether the Hub's library has, or may have, a model of that name.

    True where it cannot be told: the environment lets the library fetch, or names another hub, or
    the name is an address, or of one file in a model.
    """
    offline = os.environ.get("HF_HUB_OFFLINE", "1").upper() in _ON
    if (
        not offline
        or ":" in name
        or name.endswith(".gguf")
        or os.environ.get("VLLM_USE_MODELSCOPE")
    ):
        return True
    try:
        from huggingface_hub import try_to_load_from_cache  # with the engine's packages
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return True
    try:
        found = [try_to_load_from_cache(name, file, revision=revision) for file in CONFIGS]
    except HFValidationError:
        return False
    return any(isinstance(path, str) for path in found)


def set_environment(settings: EngineSettings) -> None:
    """What vLLM reads from the environment and takes no argument for; the user's own wins."""
    defaults = {
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        # On a CPU a dozen warnings of no use to anybody come before the first answer.
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if not settings.allow_hub:
        defaults |= {"HF_HUB_OFFLINE": "1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    # The hub's library reads its variable once, when it is imported, which the embedder may have
    # done already; vLLM looks the answer up there.
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None and "HF_HUB_OFFLINE" in defaults:
        offline = os.environ["HF_HUB_OFFLINE"].upper() in _ON
        constants.HF_HUB_OFFLINE = offline  # type: ignore[attr-defined]  # a module, as mypy sees it
