"""Spans of real requests, by OpenTelemetry's exporter in memory: what they say, and never say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.unit.test_generate import CERTAIN, WAVERING, Gateway
from tests.unit.waiting import until
from ucbd.app.main import create_app
from ucbd.app.telemetry.spans import Spans
from ucbd.app.telemetry.tracing import NoTracing
from ucbd.models.errors import EngineFailed
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine

ROOT = Path(__file__).parents[2]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Traced(Gateway):
    """A gateway whose spans are kept here."""

    def __init__(self, script: Script | None = None, **settings) -> None:
        super().__init__(script, **settings)
        self.kept = InMemorySpanExporter()
        self.tracing = Spans(self.settings)
        self.tracing.provider.add_span_processor(SimpleSpanProcessor(self.kept))

    def make_app(self, engine: SupervisedEngine):
        return create_app(self.settings, engine, tracing=self.tracing)

    @property
    def spans(self) -> dict[str, list]:
        """Ended spans by name, in the order they ended."""
        found: dict[str, list] = {}
        for span in self.kept.get_finished_spans():
            found.setdefault(span.name, []).append(span)
        return found


async def test_a_request_is_a_span_in_its_callers_trace_with_the_decision():
    async with Traced(Script("yes", CERTAIN)) as gateway:
        response = await gateway.client.post("/generate", json={"prompt": "where"}, headers=CALLER)
    (span,) = gateway.spans["POST /generate"]
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.kind == SpanKind.SERVER
    assert span.status.status_code == StatusCode.UNSET
    said = dict(span.attributes)
    assert said.pop("ucbd.uncertainty") >= 0
    assert said == {
        "http.request.method": "POST",
        "http.route": "/generate",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ucbd-gateway",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.id": response.json()["id"],
        "gen_ai.response.finish_reasons": ("stop",),
        "ucbd.decision": "answer",
        "ucbd.boundary": "none",
        "ucbd.token_entropy": 0.01,
        "ucbd.samples": 0,
        "ucbd.relative_cost": 1.0,
        "ucbd.rung": "all",
    }


async def test_each_stage_that_ran_is_a_span_and_its_calls_are_below_it():
    """The stages are those of the body; those that were skipped did nothing that took time."""
    async with Traced(Script("yes", WAVERING, ("yes", "no", "no"))) as gateway:
        body = (await gateway.ask(seed=7, explain=True, max_tokens=9)).json()
    (request,) = gateway.spans["POST /generate"]
    ran = {stage["name"]: stage for stage in body["stages"] if stage["outcome"] != "skipped"}
    assert {"fluency", "sampling"} <= set(ran)
    for name, stage in ran.items():
        (span,) = gateway.spans[f"stage {name}"]
        assert span.parent.span_id == request.context.span_id
        assert request.start_time <= span.start_time <= span.end_time <= request.end_time
        assert span.attributes["gen_ai.evaluation.name"] == name
        assert span.attributes["gen_ai.evaluation.score.label"] == stage["outcome"]
        assert span.attributes.get("gen_ai.evaluation.score.value") == stage["score"]
    main, *samples = gateway.spans["chat scripted"]
    (sampling,) = gateway.spans["stage sampling"]
    assert main.parent.span_id == request.context.span_id
    assert main.kind == SpanKind.INTERNAL  # this engine is in the gateway's own process
    assert dict(main.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stream": False,
        "gen_ai.output.type": "text",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.output_tokens": 1,
    }
    assert len(samples) == body["usage"]["engine_calls"] - 1 == 10
    assert {span.parent.span_id for span in samples} == {sampling.context.span_id}
    assert {span.attributes["gen_ai.request.temperature"] for span in samples} == {1.0}


@pytest.mark.parametrize("stream", [False, True])
async def test_no_span_holds_a_word_of_anybodys(stream):
    """Of the question, its evidence and stops, of answers, or of what an error says."""
    script = Script("hushanswer", WAVERING, ("hushsample", "hushother"))
    secret = {
        "prompt": "Where was Hushname Hushland born before hushyear 1901?",
        "evidence": ["hushevidence"],
        "stop": ["hushstop"],
    }
    async with Traced(script) as gateway:
        await gateway.ask(**secret, explain=True, stream=stream)
        fault = EngineFailed("hushfault")  # which a stage's reason repeats
        gateway.engine.script = Script("hushanswer", WAVERING, sample_fault=fault)
        await gateway.ask(**secret, explain=True, stream=stream)
        gateway.engine.script = Script(fault=fault)
        await gateway.ask(**secret, stream=stream)
        await gateway.ask(prompt="where", hushfield="hushvalue")
    told = json.dumps([json.loads(span.to_json()) for span in gateway.kept.get_finished_spans()])
    assert "stage grounding" in told
    assert "hush" not in told.lower()


@pytest.mark.parametrize(
    ("request_body", "status", "code", "kind"),
    [
        ({"seed": "x"}, 422, "invalid_request", StatusCode.UNSET),
        ({}, 500, "internal", StatusCode.ERROR),
    ],
)
async def test_a_request_that_fails_ends_its_span_with_the_code(request_body, status, code, kind):
    async with Traced(Script(fault=EngineFailed("broken"))) as gateway:
        assert (await gateway.ask(**request_body)).status_code == status
    (span,) = gateway.spans["POST /generate"]
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == code
    assert span.status.status_code == kind
    for call in gateway.spans.get("chat scripted", []):
        assert call.attributes["error.type"] == code
        assert call.status.status_code == StatusCode.ERROR


async def test_a_stage_that_fails_is_an_error_and_the_request_is_none():
    async with Traced(Script("yes", WAVERING, sample_fault=EngineFailed("lost"))) as gateway:
        assert (await gateway.ask(explain=True)).status_code == 200
    (request,), (sampling,) = gateway.spans["POST /generate"], gateway.spans["stage sampling"]
    assert sampling.attributes["gen_ai.evaluation.score.label"] == "unavailable"
    assert request.status.status_code == StatusCode.UNSET


async def test_a_request_out_of_time_in_a_stage_ends_every_span():
    async with Traced(Script("yes", WAVERING, sample_delay=600)) as gateway:
        assert (await gateway.ask(explain=True, deadline_ms=2000)).status_code == 200
        await until(lambda: gateway.engine.running == 0)
    (sampling,) = gateway.spans["stage sampling"]
    assert sampling.attributes["error.type"] == "cancelled"
    calls = gateway.spans["chat scripted"]
    assert [call.attributes.get("error.type") for call in calls].count("cancelled") == 10


async def test_further_choices_and_openais_calls_are_in_the_trace_too():
    async with Traced(Script("yes", CERTAIN)) as gateway:
        asked = {"model": "scripted", "prompt": "who", "n": 3, "temperature": 1}
        await gateway.client.post("/v1/completions", json=asked, headers=CALLER)
    (request,) = gateway.spans["POST /v1/completions"]
    assert request.attributes["gen_ai.operation.name"] == "text_completion"
    assert {f"{span.context.trace_id:032x}" for span in gateway.kept.get_finished_spans()} == {
        TRACE
    }
    assert len(gateway.spans["chat scripted"]) == 3


async def test_the_log_names_the_trace_of_the_span_when_the_caller_names_none(caplog):
    caplog.set_level("INFO", "ucbd.requests")
    async with Traced() as gateway:
        await gateway.ask()
    (span,) = gateway.spans["POST /generate"]
    (line,) = [record for record in caplog.records if record.name == "ucbd.requests"]
    assert line.fields["trace_id"] == f"{span.context.trace_id:032x}"


async def test_without_it_the_very_engine_and_boundaries_are_used():
    """Off costs nothing: there is nothing between the cascade and what it asks."""
    trace = NoTracing().begin("/generate", "gen-1", CALLER)
    engine, boundaries = ScriptedEngine(), {}
    assert trace.engine(engine, remote=True) is engine
    assert trace.boundaries(boundaries) is boundaries
    assert trace.id == TRACE


def test_off_opentelemetry_is_not_even_imported():
    code = (
        "import ucbd.app.main, ucbd.app.commands.serve, sys; print('opentelemetry' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "False", done.stderr
