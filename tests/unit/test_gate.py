"""The gate: who gets in, what the others are told, and what everybody is told of limits."""

import pytest

from tests.unit.test_generate import Gateway
from tests.unit.test_keys import KEY, OTHER, entry, written


def keyed(tmp_path, limits=None, **settings) -> Gateway:
    mine = entry("a", KEY, **limits or {})
    return Gateway(keys=written(tmp_path, mine, entry("b", OTHER)), **settings)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def ask(gateway, key=KEY, **request):
    body = {"prompt": "where"} | request
    return await gateway.client.post("/generate", json=body, headers=bearer(key))


async def test_without_keys_nobody_needs_one_and_no_limit_is_told():
    async with Gateway() as gateway:
        response = await gateway.ask()
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        bearer(""),
        bearer(KEY + "x"),
        {"authorization": b"Bearer \xff\xfe"},
        {"x-api-key": KEY},
    ],
    ids=str,
)
async def test_no_key_or_a_wrong_one_is_a_401_that_is_counted_and_reaches_no_engine(
    tmp_path, headers
):
    async with keyed(tmp_path) as gateway:
        response = await gateway.client.post("/generate", json={"prompt": "x"}, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        assert gateway.engine.calls == []
        assert await gateway.counters("ucbd_errors_total") == {
            '{code="unauthorized",model="scripted"}': 1
        }


async def test_a_key_lets_its_owner_in_whatever_the_case_of_the_scheme(tmp_path):
    async with keyed(tmp_path) as gateway:
        assert (await ask(gateway)).status_code == 200
        headers = {"authorization": f"bearer  {OTHER} "}
        response = await gateway.client.post("/generate", json={"prompt": "x"}, headers=headers)
        assert response.status_code == 200


async def test_probes_pages_and_metrics_are_open_and_everything_else_is_not(tmp_path):
    async with keyed(tmp_path) as gateway:
        for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
            assert (await gateway.client.get(path)).status_code == 200, path
        for path in ("/v1/models", "/nowhere", "/metricsx", "/Metrics", "//metrics", "/generate/"):
            assert (await gateway.client.get(path)).status_code == 401, path
    async with keyed(tmp_path, keys_for_metrics=True) as gateway:
        assert (await gateway.client.get("/metrics")).status_code == 401
        assert (await gateway.client.get("/metrics", headers=bearer(KEY))).status_code == 200
        assert (await gateway.client.get("/healthz")).status_code == 200


async def test_the_openapi_says_what_needs_a_key(tmp_path):
    async with keyed(tmp_path) as gateway:
        paths = (await gateway.client.get("/openapi.json")).json()["paths"]
    assert paths["/generate"]["post"]["security"] == [{"key": []}]
    assert "security" not in paths["/readyz"]["get"]
    async with Gateway() as gateway:
        assert "securitySchemes" not in (await gateway.client.get("/openapi.json")).text


async def test_a_v1_path_refuses_in_openais_shape(tmp_path):
    async with keyed(tmp_path) as gateway:
        response = await gateway.client.post("/v1/chat/completions", json={})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "unauthorized"


async def test_a_caller_over_its_requests_is_a_429_and_others_are_not_harmed(tmp_path):
    async with keyed(tmp_path, {"requests_per_minute": 2}) as gateway:
        first = await ask(gateway)
        # What is wrong with a request does not make it free.
        assert (await ask(gateway, max_tokens=0)).status_code == 422
        refused = await ask(gateway)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["detail"] == "2 requests per minute are used up"
        assert int(refused.headers["retry-after"]) == 30
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert float(refused.headers["x-ratelimit-reset-requests"].rstrip("s")) == pytest.approx(
            60, abs=5
        )
        assert (await ask(gateway, OTHER)).status_code == 200
        assert len(gateway.engine.calls) == 2
        assert await gateway.counters("ucbd_errors_total") == {
            '{code="invalid_request",model="scripted"}': 1,
            '{code="rate_limited",model="scripted"}': 1,
        }


async def test_tokens_are_those_of_prompt_answer_and_samples(tmp_path):
    """A prompt of 2 words; an answer and ten samples of 1 word each: 13 of 100."""
    async with keyed(tmp_path, {"tokens_per_minute": 100}) as gateway:
        response = await ask(gateway, prompt="where is", explain=True)
        assert response.headers["x-ratelimit-limit-tokens"] == "100"
        assert 87 <= int(response.headers["x-ratelimit-remaining-tokens"]) <= 90
        for _ in range(60):
            if (response := await ask(gateway, explain=True)).status_code == 429:
                break
        assert response.json()["detail"] == "100 tokens per minute are used up"


async def test_a_key_has_its_policies_and_the_first_is_its_default(tmp_path):
    async with keyed(tmp_path, {"policies": ["paper"]}) as gateway:
        stages = [stage["name"] for stage in (await ask(gateway)).json()["stages"]]
        default = [stage["name"] for stage in (await ask(gateway, OTHER)).json()["stages"]]
        assert stages != default
        refused = await ask(gateway, policy="default")
        assert (refused.status_code, refused.json()["code"]) == (422, "policy_unavailable")
        assert (await ask(gateway, policy="paper")).status_code == 200


async def test_no_log_line_holds_a_key_or_its_hash(tmp_path, caplog):
    caplog.set_level("DEBUG")
    async with keyed(tmp_path, {"requests_per_minute": 1}) as gateway:
        for key in (KEY, KEY, KEY + "x"):
            await ask(gateway, key)
    lines = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "answered" in lines
    assert KEY not in lines
    assert "sha256:" not in lines
