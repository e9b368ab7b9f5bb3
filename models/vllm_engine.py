"""The real engine: vLLM in this process, on the CPU or a GPU.

Speaks the ``Engine`` protocol over ``AsyncLLM`` (whose scheduler and model run in a process of
their own). Knows vLLM and nothing of decisions. At start it checks its exact entropies against
vLLM's own full log-probabilities, and serves bounds where they differ or cannot be had.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ucbd.models.engine import ModelInfo
from ucbd.models.errors import (
    EngineFailed,
    EngineStartFailed,
    EngineUnavailable,
    InvalidRequest,
    PromptTooLong,
)
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
    Missing,
    TokenEntropies,
    TokenLogprob,
)
from ucbd.models.live import Live
from ucbd.models.model_files import local_revision, text_digest
from ucbd.models.next_tokens import by_text
from ucbd.models.thinking import apart, reasoning_tokens
from ucbd.models.top_k import entropy_bounds
from ucbd.models.vllm_collect import EntropyCollector
from ucbd.models.vllm_request import (
    Said,
    check_schema,
    entropy_of,
    in_one_line,
    sampling_params,
    token_logprobs,
)
from ucbd.models.vllm_start import Built, EngineSettings, Launch, set_environment

log = logging.getLogger(__name__)

TOP_K = 20
FOREGROUND, BACKGROUND = 0, 1  # vLLM's priorities: the lower goes first
CHECK_TOLERANCE_NATS = 1e-3
_CHECK_TOKENS = 8
_LONG_PROMPT = 4096  # characters; tokenising more than this may hold the event loop noticeably
_TOKENS_SEEN_SECONDS = 5.0  # an engine that produced tokens this recently is alive without asking
_PROBE_SECONDS = 5.0
_CLOSE_SECONDS = 15.0  # vLLM kills its engine after 5 by default, just before it is done


class VllmEngine:
    """An ``AsyncLLM`` that also tells the entropy of each token. Made by ``start``."""

    def __init__(self, built: Built, settings: EngineSettings) -> None:
        self._llm = built.llm
        self._config = built.llm.model_config
        self._settings = settings
        self._tokenizer = built.llm.get_tokenizer()
        self._ids = itertools.count()
        self._entropies = EntropyCollector(built.llm)
        self._probing: asyncio.Task[bool] | None = None
        self._exact = built.exact
        self._note = built.note
        self._revision = self._config.revision or local_revision(Path(settings.model))
        template = getattr(self._tokenizer, "chat_template", None)
        self._template = text_digest(template) if isinstance(template, str) else None
        self._tokens_seen = -math.inf
        self._closed = False

    @classmethod
    async def start(cls, settings: EngineSettings) -> "VllmEngine":
        """Load the model and check its entropies. Raises ``EngineStartFailed`` with the reason.

        Takes tens of seconds, in a thread: the caller's event loop stays free. Cancelled, it
        leaves no process behind.
        """
        set_environment(settings)
        try:
            built = await Launch(settings).run()
        except EngineStartFailed:
            raise
        except Exception as error:
            # Whatever vLLM raises here, from a missing file to a failed child, means one thing.
            raise EngineStartFailed(f"{settings.model}: {in_one_line(error)}") from error
        engine = cls(built, settings)
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
            revision=self._revision,
            context_length=config.max_model_len,
            vocab_size=config.get_vocab_size(),
            entropy="exact" if self._exact else "bounds",
            entropy_note=self._note,
            prompt_template=self._template,
            grammars=True,
        )

    @property
    def dead(self) -> bool:
        """Whether vLLM's process has ended; see ``Mortal``."""
        return not self._closed and bool(self._llm.errored)

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """See ``Engine``."""
        length = len(prompt) if isinstance(prompt, str) else sum(len(m.content) for m in prompt)
        if length <= _LONG_PROMPT:
            token_ids = self._tokenise(prompt, raw)
        else:
            token_ids = await asyncio.to_thread(self._tokenise, prompt, raw)
        limit = self._config.max_model_len
        field = "prompt" if isinstance(prompt, str) else "messages"
        if len(token_ids) >= limit:
            message = f"{len(token_ids)} tokens; the model's context holds {limit}, answer included"
            raise PromptTooLong(field, message)
        if not token_ids:
            raise InvalidRequest(field, "holds no token")
        return EncodedPrompt(tuple(token_ids))

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """See ``Engine``."""
        if options.json_schema is not None:
            await asyncio.to_thread(check_schema, options.json_schema)
        request = str(next(self._ids))
        exact = entropies and self._exact
        params = sampling_params(
            options,
            logprobs=TOP_K if entropies and not self._exact else options.logprobs,
            entropy_id=request if exact else None,
            stream=listen is not None,
        )
        asks = exact and not self._entropies.sent
        live = Live(listen, partial(self._entropies.so_far, request) if asks else None)
        tell = partial(self._tell, live, request, options.logprobs, entropies)
        if exact:
            self._entropies.expect(request)
        try:
            priority = BACKGROUND if options.background else FOREGROUND
            said = await self._said(request, prompt, params, tell if listen else None, priority)
            measured: TokenEntropies | Missing = Missing("not asked for")
            if exact:
                measured = await self._measured(request, len(said.token_ids))
            elif entropies:
                measured = self._bounds(said.logprobs)
            if isinstance(measured, TokenEntropies) and options.json_schema is not None:
                measured = replace(measured, constrained=True)
        except BaseException:
            if exact:
                self._entropies.forget(request)
            raise
        finally:
            live.close()
        logprobs = token_logprobs(said.token_ids, said.logprobs, options.logprobs)
        live.finish(said.text, len(said.token_ids), measured, logprobs)
        return self._generation(said, measured, logprobs)

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """See ``Engine``."""
        params = sampling_params(GenerationOptions(max_tokens=1), logprobs=top, entropy_id=None)
        said = await self._said(str(next(self._ids)), prompt, params)
        entries = sorted(said.logprobs[0].values(), key=lambda entry: entry.rank)[:top]
        return by_text((entry.decoded_token, entry.logprob) for entry in entries)

    async def alive(self) -> bool:
        """A token within the last seconds, or one produced now within a deadline."""
        if self._closed or self._llm.errored:
            return False
        if time.monotonic() - self._tokens_seen < _TOKENS_SEEN_SECONDS:
            return True
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())
        # However many ask, one probe at a time; one who stops asking does not end it.
        return await asyncio.shield(self._probing)

    async def _probe(self) -> bool:
        params = sampling_params(GenerationOptions(max_tokens=1), logprobs=None, entropy_id=None)
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._said(str(next(self._ids)), EncodedPrompt((0,)), params)
        except (TimeoutError, EngineUnavailable, EngineFailed):
            return False
        return True

    async def kept_entropies(self) -> int:
        """How many entropies are held of requests not yet collected."""
        return await self._entropies.kept()

    async def close(self) -> None:
        """See ``Engine``. Calls still under way raise ``EngineUnavailable`` at once."""
        if self._closed:
            return
        self._closed = True
        self._entropies.close()
        if self._llm.output_handler is not None:
            from vllm.v1.engine.exceptions import EngineDeadError

            # vLLM's shutdown would end its handler too, and leave unanswered who still waits.
            self._llm.output_handler.cancel()
            self._llm.output_processor.propagate_error(EngineDeadError())
        await asyncio.to_thread(self._llm.shutdown, _CLOSE_SECONDS)

    def _tokenise(self, prompt: str | Sequence[Message], raw: bool) -> list[int]:
        tokenizer = self._tokenizer
        if raw or getattr(tokenizer, "chat_template", None) is None:
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
            field = "prompt" if isinstance(prompt, str) else "messages"
            raise InvalidRequest(field, f"refused by the chat template: {error}") from error
        return list(ids)

    async def _said(
        self,
        request: str,
        prompt: EncodedPrompt,
        params: Any,
        tell: Callable[[Any], None] | None = None,
        priority: int = FOREGROUND,
    ) -> Said:
        """All that the engine says to one request; vLLM's errors as ours.

        ``tell`` is told each completion of a stream but the last, which waits for the entropies.
        """
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        if self._closed:
            raise EngineUnavailable("the engine is shutting down")
        said = Said()
        try:
            tokens = tokens_input(list(prompt.token_ids))
            async for output in self._llm.generate(tokens, params, request, priority=priority):
                said.add(output)
                if tell is not None and not output.finished:
                    tell(output.outputs[0])
        except EngineDeadError as error:
            ended = "is shutting down" if self._closed else "is dead"
            raise EngineUnavailable(f"the engine {ended}") from error
        except (EngineGenerateError, VLLMClientError, ValueError) as error:
            if params.structured_outputs is not None and not said.token_ids:
                raise InvalidRequest("response_format", f"refused: {in_one_line(error)}") from error
            raise EngineFailed(f"the engine failed the request: {in_one_line(error)}") from error
        if said.finish_reason not in ("stop", "length"):
            ended = said.finish_reason or "without output"
            if params.structured_outputs is not None and ended == "error":
                message = "the engine could not go on holding the answer to it"
                raise InvalidRequest("response_format", message)
            raise EngineFailed(f"the engine ended the request: {ended}")
        self._tokens_seen = time.monotonic()
        return said

    def _tell(
        self, live: Live, request: str, top: int | None, entropies: bool, output: Any
    ) -> None:
        points: Sequence[float] = ()
        if entropies and self._exact:
            told, tokens = live.places
            points = self._entropies.arrived(request, told, tokens + len(output.token_ids))
        elif entropies:
            bounds = self._bounds(output.logprobs)
            points = () if isinstance(bounds, Missing) else bounds.points
        logprobs = token_logprobs(output.token_ids, output.logprobs, top) or ()
        live.say(output.text, len(output.token_ids), points, logprobs)

    async def _measured(self, request: str, tokens: int) -> TokenEntropies | Missing:
        """The values of a request's tokens."""
        try:
            values = tuple(await self._entropies.collect(request, tokens))
        except (EngineUnavailable, EngineFailed) as error:
            self._entropies.forget(request)
            return Missing(f"token entropies were not collected: {error}")
        if len(values) < tokens:
            return Missing(f"{len(values)} of {tokens} token entropies were still held")
        if not all(map(math.isfinite, values)):
            return Missing("the engine computed token entropies that are not finite")
        return TokenEntropies(lower=values, upper=values, exact=True)

    def _generation(
        self,
        said: Said,
        entropies: TokenEntropies | Missing,
        logprobs: tuple[TokenLogprob, ...] | None,
    ) -> Generation:
        reasoning = None
        if not isinstance(entropies, Missing):
            thought = reasoning_tokens(said.text, said.token_ids, self._decoded)
            reasoning, entropies = apart(entropies, thought)
        return Generation(
            text=said.text,
            tokens=len(said.token_ids),
            finish_reason=said.finish_reason,
            entropies=entropies,
            prompt_tokens=said.prompt_tokens,
            cached_prompt_tokens=said.cached_prompt_tokens,
            reasoning=reasoning,
            logprobs=logprobs,
        )

    def _decoded(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True))

    def _bounds(self, logprobs: Any) -> TokenEntropies | Missing:
        tops = [[entry.logprob for entry in token.values()] for token in logprobs or ()]
        return entropy_bounds(tops, TOP_K, self._config.get_vocab_size())

    async def _check_itself(self) -> None:
        """Claim exact entropies only where they equal those of vLLM's full log-probabilities."""
        if not self._exact:
            log.warning("token entropy will be bounds from top-%d: %s", TOP_K, self._note)
            return
        try:
            await self._entropies.connect()
            worst = await self._worst_difference()
        except (EngineFailed, EngineUnavailable) as error:
            raise EngineStartFailed(f"{self._settings.model}: {in_one_line(error)}") from error
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
        request = str(next(self._ids))
        params = sampling_params(options, logprobs=-1, entropy_id=request)
        self._entropies.expect(request)
        try:
            said = await self._said(request, prompt, params)
            kept = await self._entropies.collect(request, len(said.token_ids))
        except BaseException:
            self._entropies.forget(request)
            raise
        full = [entropy_of(token) for token in said.logprobs]
        missing = [math.nan] * (len(full) - len(kept))
        pairs = zip([*kept, *missing], full, strict=False)
        return [abs(a - b) if math.isfinite(a) else math.inf for a, b in pairs]
