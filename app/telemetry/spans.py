"""A request's spans by OpenTelemetry: the request, each stage that ran, each call of an engine.

What they say is in ``span_attributes``. The only file that knows OpenTelemetry.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version

from msgspec import structs
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ucbd.app.errors import status_and_code
from ucbd.app.settings import Settings
from ucbd.app.telemetry.span_attributes import (
    Value,
    of_generation,
    of_options,
    of_outcome,
    of_stage,
    operation,
    present,
)
from ucbd.app.telemetry.tracing import Trace
from ucbd.cascade.case import Ahead, Boundary, Case, Finding, early
from ucbd.cascade.outcome import Action, Outcome
from ucbd.models.engine import Engine, ModelInfo
from ucbd.models.errors import GatewayError
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
)

_W3C = TraceContextTextMapPropagator()
_SERVICE = "ucbd-gateway"


def exported(settings: Settings) -> "Spans":
    """Spans that go where ``settings.tracing`` says, by OpenTelemetry's own variables."""
    spans = Spans(settings)
    if settings.tracing == "console":
        spans.provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    else:
        spans.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return spans


class Spans:
    """Requests as spans of ``provider``; see ``Tracing``."""

    def __init__(self, settings: Settings) -> None:
        self.provider = TracerProvider(resource=_resource())
        self._tracer = self.provider.get_tracer(_SERVICE, version(_SERVICE))
        self._model = settings.served_name or settings.model

    def begin(self, path: str, request_id: str, headers: Mapping[str, str]) -> Trace:
        """See ``Tracing``."""
        span = self._tracer.start_span(
            f"POST {path}",
            _W3C.extract(headers),
            SpanKind.SERVER,
            present(
                {
                    "http.request.method": "POST",
                    "http.route": path,
                    "gen_ai.operation.name": operation(raw=path == "/v1/completions"),
                    "gen_ai.provider.name": _SERVICE,
                    "gen_ai.request.model": self._model,
                    "gen_ai.response.id": request_id,
                }
            ),
        )
        return RequestSpan(span, self._tracer)

    def close(self) -> None:
        """See ``Tracing``."""
        self.provider.shutdown()


class RequestSpan:
    """The span of one request and those below it; see ``Trace``."""

    def __init__(self, span: Span, tracer: Tracer) -> None:
        self._span = span
        self._tracer = tracer
        self._below = set_span_in_context(span, Context())
        self._stages: dict[str, tuple[Span, int]] = {}

    @property
    def id(self) -> str:
        """See ``Trace``."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def engine(self, engine: Engine, *, remote: bool) -> Engine:
        """See ``Trace``."""
        return SpannedEngine(engine, self._tracer, self._below, remote)

    def boundaries(self, boundaries: Mapping[str, Boundary]) -> Mapping[str, Boundary]:
        """See ``Trace``."""
        return {name: _SpannedStage(one, self) for name, one in boundaries.items()}

    def answered(self, outcome: Outcome) -> None:
        """See ``Trace``."""
        for stage in outcome.stages:
            if stage.name in self._stages:
                self._stages[stage.name][0].set_attributes(of_stage(stage))
        self._span.set_attributes(of_outcome(outcome))
        self._end(200)

    def failed(self, status: int, code: str) -> None:
        """See ``Trace``."""
        self._span.set_attribute("error.type", code)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._end(status)

    @contextmanager
    def stage(self, name: str) -> Iterator[Context]:
        """A stage under way; gives the context of what happens in it.

        Its span stays open until the request ends: what came of a stage is known only afterwards.
        """
        span = self._tracer.start_span(f"stage {name}", self._below)
        span.set_attribute("gen_ai.evaluation.name", name)
        try:
            with _faults(span):
                yield set_span_in_context(span, self._below)
        finally:
            self._stages[name] = span, time.time_ns()

    def _end(self, status: int) -> None:
        for span, end in self._stages.values():
            span.end(end)
        self._span.set_attribute("http.response.status_code", status)
        self._span.end()


class _SpannedStage:
    """A boundary whose work is a span of one request; what it does ahead is in none."""

    def __init__(self, boundary: Boundary, request: RequestSpan) -> None:
        self.name: str = boundary.name
        self.action: Action = boundary.action
        self.ahead: Ahead | None = early(boundary)
        self._boundary = boundary
        self._request = request

    async def assess(self, case: Case) -> Finding:
        """See ``Boundary``."""
        with self._request.stage(self.name) as below:
            if isinstance(case.engine, SpannedEngine):
                case = structs.replace(case, engine=replace(case.engine, below=below))
            return await self._boundary.assess(case)


@dataclass(frozen=True)
class SpannedEngine:
    """An engine each of whose calls is a span in the context ``below``; see ``Engine``.

    ``remote`` ones are told of it: their own spans join the trace.
    """

    inner: Engine
    tracer: Tracer
    below: Context
    remote: bool

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``."""
        return self.inner.info

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """See ``Engine``."""
        return await self.inner.encode(prompt, raw=raw)

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """See ``Engine``."""
        with self._call(prompt, of_options(options, stream=listen is not None)) as (span, sent):
            generation = await self.inner.generate(
                sent, options, entropies=entropies, listen=listen
            )
            span.set_attributes(of_generation(generation))
            return generation

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """See ``Engine``."""
        with self._call(prompt, {"gen_ai.request.max_tokens": 1}) as (_, sent):
            return await self.inner.next_token(sent, top)

    async def alive(self) -> bool:
        """See ``Engine``."""
        return await self.inner.alive()

    async def close(self) -> None:
        """See ``Engine``."""
        await self.inner.close()

    @contextmanager
    def _call(
        self, prompt: EncodedPrompt, asked: Mapping[str, Value]
    ) -> Iterator[tuple[Span, EncodedPrompt]]:
        """One call, and the prompt that tells the server about it."""
        name = operation(raw=isinstance(prompt.asked, str))
        model = self.info.id
        attributes = {
            **asked,
            "gen_ai.operation.name": name,
            "gen_ai.provider.name": "openai" if self.remote else "vllm",
            "gen_ai.request.model": model,
        }
        kind = SpanKind.CLIENT if self.remote else SpanKind.INTERNAL
        span = self.tracer.start_span(f"{name} {model}", self.below, kind, present(attributes))
        headers: dict[str, str] = {}
        if self.remote:
            _W3C.inject(headers, set_span_in_context(span, self.below))
        try:
            with _faults(span):
                yield span, structs.replace(prompt, trace=tuple(headers.items()))
        finally:
            span.end()


@contextmanager
def _faults(span: Span) -> Iterator[None]:
    """Mark the span of what fails, by the error's code or class and nothing it says."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, GatewayError)
        span.set_attribute(
            "error.type", status_and_code(error)[1] if known else type(error).__name__
        )
        span.set_status(Status(StatusCode.ERROR))
        raise
    except BaseException:
        span.set_attribute("error.type", "cancelled")  # the client left, or time ran out
        raise


def _resource() -> Resource:
    """What OpenTelemetry's variables say of this process; by default it is named for us."""
    found = Resource.create()
    own = {"service.version": version(_SERVICE), "service.name": _SERVICE}
    said = dict(found.attributes)
    if str(said["service.name"]).startswith("unknown_service"):
        del said["service.name"]
    return Resource(own | said)
