"""`x-request-id`: the caller's own goes in and out, ours is made where there is none to take."""

import re

import pytest

from tests.unit.test_generate import Gateway

OURS = {"/generate": "gen-", "/v1/chat/completions": "chatcmpl-", "/v1/completions": "cmpl-"}
BODIES = {
    "/generate": {"prompt": "where"},
    "/v1/chat/completions": {
        "model": "scripted",
        "messages": [{"role": "user", "content": "where"}],
    },
    "/v1/completions": {"model": "scripted", "prompt": "where"},
}
THEIRS = "1f0c:req/A_7.b-" + "x" * 113  # 128 characters, one of each kind that is taken


@pytest.fixture
async def gateway():
    async with Gateway() as gateway:
        yield gateway


def lines(caplog):
    return [record.fields for record in caplog.records if record.name == "ucbd.requests"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_the_callers_id_comes_back_and_is_logged_beside_ours(gateway, caplog, path, stream):
    """The body's id, which feedback names, stays ours."""
    caplog.set_level("INFO", "ucbd.requests")
    body = BODIES[path] | {"stream": stream}
    response = await gateway.client.post(path, json=body, headers={"x-request-id": THEIRS})
    assert response.status_code == 200
    assert response.headers.get_list("x-request-id") == [THEIRS]
    (ours,) = set(re.findall(r'"id":"([^"]+)"', response.text))
    assert ours.startswith(OURS[path])
    (line,) = lines(caplog)
    assert (line["id"], line["caller_request_id"]) == (ours, THEIRS)


async def test_what_is_no_short_plain_id_is_neither_told_nor_logged(gateway, caplog):
    caplog.set_level("INFO", "ucbd.requests")
    for theirs in (None, "", "x" * 129, "two words", "a=b", "naïve".encode(), 'id"', "a,b", "\x01"):
        caplog.clear()
        headers = {} if theirs is None else {"x-request-id": theirs}
        response = await gateway.client.post("/generate", json={"prompt": "x"}, headers=headers)
        assert response.headers["x-request-id"] == response.json()["id"]
        (line,) = lines(caplog)
        assert line["id"] == response.json()["id"]
        assert "caller_request_id" not in line


async def test_every_response_has_one(gateway):
    for method, path, status in (
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/scripted", 200),
        ("GET", "/v1/models/other", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/generate", 405),
        ("POST", "/generate", 400),
        ("POST", "/v1/completions", 400),
        ("POST", "/feedback", 501),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/policies", 200),
        ("GET", "/playground", 200),
        ("GET", "/docs", 200),
    ):
        body = {"id": "gen-1", "correct": True} if path == "/feedback" else None
        for theirs in (THEIRS, None):
            headers = {"x-request-id": theirs} if theirs else {}
            response = await gateway.client.request(method, path, json=body, headers=headers)
            assert response.status_code == status, path
            (told,) = response.headers.get_list("x-request-id")
            assert told == theirs if theirs else re.fullmatch(r"[a-z]+-[0-9a-f]{32}", told), path


async def test_a_model_that_is_not_served_is_counted_and_logged_once(gateway, caplog):
    caplog.set_level("INFO", "ucbd.requests")
    headers = {"x-request-id": THEIRS}
    response = await gateway.client.get("/v1/models/other", headers=headers)
    assert response.json()["error"]["code"] == "unknown_model"
    (line,) = lines(caplog)
    assert re.fullmatch(r"req-[0-9a-f]{32}", line.pop("id"))
    assert line == {"caller_request_id": THEIRS, "status": 404, "code": "unknown_model"}
    assert await gateway.counters("ucbd_errors_total") == {
        '{code="unknown_model",model="scripted"}': 1
    }


async def test_who_is_turned_away_hears_their_id(tmp_path):
    keys = tmp_path / "keys.jsonl"
    keys.write_text("")
    async with Gateway(keys=keys) as gateway:
        for path in ("/generate", "/v1/models"):
            response = await gateway.client.get(path, headers={"x-request-id": THEIRS})
            assert response.status_code == 401
            assert response.headers["x-request-id"] == THEIRS


async def test_a_refused_feedback_is_logged_with_its_ids(gateway, caplog):
    caplog.set_level("INFO", "ucbd.feedback")
    said = {"id": "gen-1", "correct": True}
    headers = {"x-request-id": THEIRS}
    await gateway.client.post("/feedback", json=said, headers=headers)
    (line,) = [record.fields for record in caplog.records if record.name == "ucbd.feedback"]
    assert line["caller_request_id"] == THEIRS
    assert line["id"].startswith("req-")
