"""The real engine: vLLM in this process, on the CPU or a GPU.

Speaks the ``Engine`` protocol over ``AsyncLLM`` (whose scheduler and model run in a process of
their own). Knows vLLM and nothing of decisions. At start it checks its exact entropies against
vLLM's own full log-probabilities, and serves bounds where they differ or cannot be had.
"""

import asyncio
import itertools
import logging
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ucbd.models.coalesce import Coalescer
from ucbd.models.engine import ModelInfo
from ucbd.models.errors import (
    EngineFailed,
    EngineStartFailed,
    EngineUnavailable,
    InvalidRequest,
    PromptTooLong,
)
from ucbd.models.exact_entropy import ENTROPY_ID, V1_PROCESSOR, V2_PROCESSOR, WORKER_EXTENSION
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Message,
    Missing,
    TokenEntropies,
)
from ucbd.models.top_k import entropy_bounds

log = logging.getLogger(__name__)

TOP_K = 20
CHECK_TOLERANCE_NATS = 1e-3
_CHECK_TOKENS = 8
_LONG_PROMPT = 4096  # characters; tokenising more than this may hold the event loop noticeably
_TOKENS_SEEN_SECONDS = 5.0  # an engine that produced tokens this recently is alive without asking
_PROBE_SECONDS = 5.0
_FORGET_AT_ONCE = 4096  # ids of aborted requests told to the worker in one collection


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


class VllmEngine:
    """An ``AsyncLLM`` that also tells the entropy of each token. Made by ``start``."""

    def __init__(self, llm: Any, settings: EngineSettings, exact: bool, note: str | None) -> None:
        self._llm = llm
        self._config = llm.model_config
        self._settings = settings
        self._tokenizer = llm.get_tokenizer()
        self._ids = itertools.count()
        self._collect = Coalescer(self._collect_many)
        self._forget: list[str] = []
        self._exact = exact
        self._note = note
        self._tokens_seen = -math.inf
        self._closed = False

    @classmethod
    async def start(cls, settings: EngineSettings) -> "VllmEngine":
        """Load the model and check its entropies. Raises ``EngineStartFailed`` with the reason.

        Takes tens of seconds, in a thread: the caller's event loop stays free.
        """
        _set_environment(settings)
        try:
            llm, exact, note = await asyncio.to_thread(_build, settings)
        except Exception as error:
            # Whatever vLLM raises here, from a missing file to a failed child, means one thing.
            raise EngineStartFailed(f"{settings.model}: {_reason(error)}") from error
        engine = cls(llm, settings, exact, note)
        try:
            await engine._check_itself()
        except BaseException:
            await engine.close()
            raise
        return engine

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        config = self._config
        return ModelInfo(
            id=self._settings.served_name,
            revision=config.revision or "local",
            context_length=config.max_model_len,
            vocab_size=config.get_vocab_size(),
            entropy="exact" if self._exact else "bounds",
            entropy_note=self._note,
        )

    async def encode(self, prompt: str | Sequence[Message]) -> EncodedPrompt:
        """See ``Engine``."""
        length = len(prompt) if isinstance(prompt, str) else sum(len(m.content) for m in prompt)
        if length <= _LONG_PROMPT:
            token_ids = self._tokenise(prompt)
        else:
            token_ids = await asyncio.to_thread(self._tokenise, prompt)
        limit = self._config.max_model_len
        field = "prompt" if isinstance(prompt, str) else "messages"
        if len(token_ids) >= limit:
            message = f"{len(token_ids)} tokens; the model's context holds {limit}, answer included"
            raise PromptTooLong(field, message)
        if not token_ids:
            raise InvalidRequest(field, "holds no token")
        return EncodedPrompt(tuple(token_ids))

    async def generate(
        self, prompt: EncodedPrompt, options: GenerationOptions, *, entropies: bool
    ) -> Generation:
        """See ``Engine``."""
        request = f"ucbd-{next(self._ids)}"
        exact = entropies and self._exact
        params = _sampling_params(
            options,
            logprobs=TOP_K if entropies and not self._exact else None,
            entropy_id=request if exact else None,
        )
        try:
            final = await self._final(request, prompt, params)
            tokens = len(final.outputs[0].token_ids)
            measured: TokenEntropies | Missing = Missing("not asked for")
            if exact:
                measured = _exact_entropies(await self._collect(request), tokens)
            elif entropies:
                measured = self._bounds(final.outputs[0].logprobs)
        except BaseException:
            if exact:
                self._forget.append(request)
            raise
        return _generation(final, measured)

    async def alive(self) -> bool:
        """A token within the last seconds, or one produced now within a deadline."""
        if self._closed or self._llm.errored:
            return False
        if time.monotonic() - self._tokens_seen < _TOKENS_SEEN_SECONDS:
            return True
        params = _sampling_params(GenerationOptions(max_tokens=1), logprobs=None, entropy_id=None)
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._final(f"ucbd-{next(self._ids)}", EncodedPrompt((0,)), params)
        except (TimeoutError, EngineUnavailable, EngineFailed):
            return False
        return True

    async def kept_entropies(self) -> int:
        """How many entropies the worker holds for requests not yet collected."""
        kept: list[int] = await self._llm.collective_rpc("ucbd_kept")
        return sum(kept)

    async def close(self) -> None:
        """See ``Engine``."""
        if not self._closed:
            self._closed = True
            llm, self._llm = self._llm, None
            await asyncio.to_thread(llm.shutdown)

    def _tokenise(self, prompt: str | Sequence[Message]) -> list[int]:
        tokenizer = self._tokenizer
        if getattr(tokenizer, "chat_template", None) is None:
            text = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
            return list(tokenizer.encode(text))
        messages = [Message("user", prompt)] if isinstance(prompt, str) else prompt
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            ids = tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=False
            )
        except Exception as error:
            # Templates are programs of the model's authors: any refusal of theirs is about the
            # messages (Jinja raises its own TemplateError for those it states).
            raise InvalidRequest("messages", f"refused by the chat template: {error}") from error
        return list(ids)

    async def _final(self, request: str, prompt: EncodedPrompt, params: Any) -> Any:
        """The finished output of one request; vLLM's errors as ours."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        if self._closed:
            raise EngineUnavailable("the engine is shutting down")
        final = None
        try:
            tokens = tokens_input(list(prompt.token_ids))
            async for output in self._llm.generate(tokens, params, request):
                final = output
        except EngineDeadError as error:
            raise EngineUnavailable("the engine is dead") from error
        except (EngineGenerateError, VLLMClientError, ValueError) as error:
            raise EngineFailed(f"the engine failed the request: {_reason(error)}") from error
        if final is None or final.outputs[0].finish_reason not in ("stop", "length"):
            ended = final.outputs[0].finish_reason if final else "without output"
            raise EngineFailed(f"the engine ended the request: {ended}")
        self._tokens_seen = time.monotonic()
        return final

    async def _collect_many(self, requests: Sequence[str]) -> list[list[float] | None]:
        """The worker's values for many requests in one call; drops those of aborted ones."""
        forget, self._forget = self._forget[:_FORGET_AT_ONCE], self._forget[_FORGET_AT_ONCE:]
        from_workers = await self._llm.collective_rpc("ucbd_collect", args=(list(requests), forget))
        held = next((values for values in from_workers if values is not None), None)
        return held if held is not None else [None] * len(requests)

    def _bounds(self, logprobs: Any) -> TokenEntropies | Missing:
        tops = [[entry.logprob for entry in token.values()] for token in logprobs or ()]
        return entropy_bounds(tops, TOP_K, self._config.get_vocab_size())

    async def _check_itself(self) -> None:
        """Claim exact entropies only where they equal those of vLLM's full log-probabilities."""
        if not self._exact:
            log.warning("token entropy will be bounds from top-%d: %s", TOP_K, self._note)
            return
        try:
            worst = await self._worst_difference()
        except (EngineFailed, EngineUnavailable) as error:
            raise EngineStartFailed(f"{self._settings.model}: {_reason(error)}") from error
        if worst <= CHECK_TOLERANCE_NATS:
            log.info("exact token entropy checked: at most %.1e nats off", worst)
            return
        self._exact = False
        self._note = f"the self-check at start was {worst:g} nats off"
        log.warning("token entropy will be bounds from top-%d: %s", TOP_K, self._note)

    async def _worst_difference(self) -> float:
        """The largest difference over a few concurrent requests, greedy and not."""
        vocabulary = self._config.get_vocab_size()
        found = await asyncio.gather(
            *(
                self.differences(
                    EncodedPrompt((1 % vocabulary, n % vocabulary)),
                    GenerationOptions(_CHECK_TOKENS, temperature=float(n % 2)),
                )
                for n in range(2, 8)
            )
        )
        return max(difference for differences in found for difference in differences)

    async def differences(self, prompt: EncodedPrompt, options: GenerationOptions) -> list[float]:
        """|processor − full log-probabilities| of each token of one request, in nats.

        Both are asked for in the same request, because batching changes logits. Infinite for a
        token the processor has no value for. Dear: the whole vocabulary of every step is sent over.
        """
        request = f"ucbd-{next(self._ids)}"
        params = _sampling_params(options, logprobs=-1, entropy_id=request)
        try:
            final = await self._final(request, prompt, params)
            kept = (await self._collect(request)) or []
        except BaseException:
            self._forget.append(request)
            raise
        full = [entropy_of(token) for token in final.outputs[0].logprobs]
        missing = [math.nan] * (len(full) - len(kept))
        pairs = zip([*kept, *missing], full, strict=False)
        return [abs(a - b) if math.isfinite(a) else math.inf for a, b in pairs]


def entropy_of(full_logprobs: Any) -> float:
    """Entropy of one token from vLLM's full log-probabilities ({token: Logprob}), in nats."""
    return -math.fsum(
        math.exp(entry.logprob) * entry.logprob
        for entry in full_logprobs.values()
        if entry.logprob > -math.inf
    )


def _build(settings: EngineSettings) -> tuple[Any, bool, str | None]:
    """The engine, whether it carries the exact-entropy processor, and why it does not."""
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    on_cpu = current_platform.is_cpu()
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
        "max_logprobs": -1,  # for the self-check; the gateway offers none
        "enable_prefix_caching": True,
        "enable_log_requests": False,
        "disable_log_stats": False,
    }
    if on_cpu:
        # 128 is the default there, and a shared prompt shorter than a block is never reused.
        arguments |= {"block_size": 32, "enforce_eager": True}
    config = AsyncEngineArgs(**arguments).create_engine_config(UsageContext.ENGINE_CONTEXT)
    note = None
    if config.speculative_config is not None:
        note = "speculative decoding refuses custom logits processors"
    else:
        processor = V2_PROCESSOR if config.use_v2_model_runner else V1_PROCESSOR
        arguments |= {"logits_processors": [processor], "worker_extension_cls": WORKER_EXTENSION}
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), note is None, note


def _sampling_params(
    options: GenerationOptions, *, logprobs: int | None, entropy_id: str | None
) -> Any:
    """vLLM's parameters, all stated: no filter or penalty may come from a model's own defaults."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        stop=list(options.stop),
        seed=options.seed,
        logprobs=logprobs,
        extra_args=None if entropy_id is None else {ENTROPY_ID: entropy_id},
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _exact_entropies(kept: list[float] | None, tokens: int) -> TokenEntropies | Missing:
    """The first ``tokens`` values; a step may have run past the end."""
    if kept is None or len(kept) < tokens:
        return Missing(f"{len(kept or ())} of {tokens} token entropies were still held")
    values = tuple(kept[:tokens])
    if not all(map(math.isfinite, values)):
        return Missing("the engine computed token entropies that are not finite")
    return TokenEntropies(lower=values, upper=values, exact=True)


def _generation(final: Any, entropies: TokenEntropies | Missing) -> Generation:
    output = final.outputs[0]
    return Generation(
        text=output.text,
        tokens=len(output.token_ids),
        finish_reason=output.finish_reason,
        entropies=entropies,
        prompt_tokens=len(final.prompt_token_ids),
        cached_prompt_tokens=final.num_cached_tokens or 0,
    )


def _set_environment(settings: EngineSettings) -> None:
    """What vLLM reads from the environment and takes no argument for; the user's own wins."""
    defaults = {
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if not settings.allow_hub:
        defaults |= {"HF_HUB_OFFLINE": "1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _reason(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
