"""Spans over the wire: a real process told by OpenTelemetry's own variables, a real collector."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from loadtest.servers import free_port
from tests.process.conftest import scripted

pytestmark = pytest.mark.slow


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exported: list[ExportTraceServiceRequest] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.exported.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_collectors_address_is_enough_and_sigterm_sends_the_last_spans(
    collector, tmp_path, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")  # only the end sends them
    with scripted(tmp_path / "log") as gateway:
        httpx.post(f"{gateway.url}/generate", json={"prompt": "where"}, timeout=180)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=300) == 0
    (resource,) = [one for batch in collector.exported for one in batch.resource_spans]
    said = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert said["service.name"] == "ucbd-gateway"
    assert said["deployment.environment.name"] == "test"
    names = {span.name for scope in resource.scope_spans for span in scope.spans}
    assert {"POST /generate", "stage pointer"} <= names


def test_a_collector_that_is_not_there_costs_no_answer_and_no_orderly_end(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with scripted(tmp_path / "log") as gateway:
        answer = httpx.post(f"{gateway.url}/generate", json={"prompt": "where"}, timeout=180)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=300) == 0
    assert answer.status_code == 200
