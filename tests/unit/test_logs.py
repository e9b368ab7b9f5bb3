"""One line per request, findable by the id that the caller was told and by its own trace."""

import pytest

from tests.unit.test_generate import Gateway
from ucbd.app.telemetry.tracing import trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("request_body", "message"), [({}, "answered"), ({"seed": "x"}, "refused")]
)
async def test_a_requests_line_has_its_id_and_its_callers_trace(request_body, message, caplog):
    caplog.set_level("INFO", "ucbd.requests")
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with Gateway() as gateway:
        body = {"prompt": "where"} | request_body
        response = await gateway.client.post("/generate", json=body, headers=headers)
    (line,) = [record for record in caplog.records if record.name == "ucbd.requests"]
    assert line.getMessage() == message
    assert line.fields["id"] == response.headers["x-request-id"]
    assert line.fields["trace_id"] == TRACE


@pytest.mark.parametrize("path", ["/nowhere\nforged line", "/v1/chat/completions"])
async def test_a_request_that_reaches_no_route_has_its_line_too(path, tmp_path, caplog):
    """Without its path or its key, which could hold anything."""
    caplog.set_level("INFO", "ucbd.requests")
    keys = tmp_path / "keys.jsonl"
    keys.write_text("")
    async with Gateway(keys=keys) as gateway:
        headers = {"authorization": "Bearer hush"}
        response = await gateway.client.post(path.replace("\n", "%0A"), headers=headers)
    (line,) = [record for record in caplog.records if record.name == "ucbd.requests"]
    assert line.fields == {
        "id": response.headers["x-request-id"],
        "status": 401,
        "code": "unauthorized",
    }


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"00-{TRACE}",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\nforged line",
    ],
)
def test_a_header_that_names_no_trace_adds_nothing(header):
    assert trace_id(header) is None
