"""What upstreams are told of a trace: each call its own span, and off or unasked nothing."""

import json
import math
import re

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tests.upstream.faulty import FaultyUpstream, Says
from tests.upstream.gateway import Gateway
from ucbd.app.settings import Settings
from ucbd.app.telemetry.spans import Spans

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = {
    "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    "tracestate": "vendor=7",
    "baggage": "user=hush",
}
# Midpoint of the bounds 1.43 nats: the default policy's fluency fires above 0.8.
LOST = Says(("perhaps",), top=(math.log(0.6), math.log(0.2), math.log(0.1)))
JUDGED = {
    "description": "asks the model too",
    "schema": 1,
    "stages": [
        {"stage": "self_assessment"},
        {"stage": "fluency", "fire": 0.8},
        {"stage": "sampling"},
    ],
    "threshold": 0.2,
    "samples": 10,
}
BIG = Says(("In the north of Lorne",), models=("big",))


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(kept: InMemorySpanExporter) -> Spans:
    spans = Spans(Settings(model="scripted"))
    spans.provider.add_span_processor(SimpleSpanProcessor(kept))
    return spans


def parents(*servers: FaultyUpstream) -> list[str]:
    """The spans that calls said they come from, in our caller's trace."""
    told = [call.headers.get("traceparent", "none") for server in servers for call in server.calls]
    found = [re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", header) for header in told]
    assert all(found), told
    return [match[1] for match in found if match]


async def test_every_call_of_a_request_names_its_own_span(tracing, kept, tmp_path):
    """The answer, streamed; the model's judgement of it; samples; the larger tier's answer."""
    policy = tmp_path / "judged.json"
    policy.write_text(json.dumps(JUDGED))
    settings = {"upstream": ("http://scripted",), "policy": str(policy)}
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big, tracing=tracing, **settings) as gateway,
    ):
        server.calls.clear()
        big.calls.clear()
        asked = {"prompt": "Where is it?", "explain": True, "stream": True}
        await gateway.client.post("/generate", json=asked, headers=CALLER)
        calls = len(server.calls) + len(big.calls)
        spans = {f"{one.context.span_id:016x}": one for one in kept.get_finished_spans()}
        told = parents(server, big)
        states = {call.headers.get("tracestate") for call in server.calls}
        baggage = [call.headers.get("baggage") for call in server.calls]
    assert calls == 13  # the answer, whether it is true, ten samples, the larger answer
    assert len(set(told)) == calls
    assert {spans[id_].kind for id_ in told} == {SpanKind.CLIENT}
    assert {spans[id_].attributes["gen_ai.provider.name"] for id_ in told} == {"openai"}
    assert {spans[id_].name for id_ in told} == {"chat scripted", "chat big"}
    assert states == {"vendor=7"}
    assert set(baggage) == {None}


async def test_probes_belong_to_no_trace(tracing):
    async with FaultyUpstream() as server, Gateway(server, tracing=tracing) as gateway:
        await gateway.client.get("/readyz", headers=CALLER)
        assert server.calls
        assert not [call for call in server.calls if "traceparent" in call.headers]


async def test_off_nothing_is_sent():
    async with FaultyUpstream() as server, Gateway(server) as gateway:
        server.calls.clear()
        await gateway.client.post("/generate", json={"prompt": "where"}, headers=CALLER)
        assert server.calls
        assert not [call for call in server.calls if "traceparent" in call.headers]
