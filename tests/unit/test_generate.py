"""``POST /generate`` over HTTP on a scripted engine: the contract's body, errors and counters."""

import asyncio
import json
import re

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.waiting import until
from ucbd.app.main import create_app
from ucbd.app.schemas import GenerateRequest, GenerateResponse
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.models.engine import ModelInfo
from ucbd.models.errors import EngineFailed
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine

CERTAIN, WAVERING = (0.01,), (0.3,)


class Gateway:
    """A gateway on a scripted engine, and a client of it."""

    def __init__(self, script: Script | None = None, **settings) -> None:
        self.engine = ScriptedEngine(script or Script(entropies=CERTAIN))
        self.settings = Settings(
            **{"clusterer": "jaccard", "served_name": "scripted", "max_body_bytes": 4096} | settings
        )

    async def __aenter__(self) -> "Gateway":
        async def start() -> ScriptedEngine:
            return self.engine

        supervised = SupervisedEngine(start)
        self.app = self.make_app(supervised)
        await supervised.start()
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
        return self

    def make_app(self, engine: SupervisedEngine) -> FastAPI:
        return create_app(self.settings, engine)

    async def __aexit__(self, *error: object) -> None:
        await self.client.aclose()

    async def ask(self, **request) -> httpx.Response:
        return await self.client.post("/generate", json={"prompt": "where"} | request)

    async def counters(self, name: str) -> dict[str, float]:
        text = (await self.client.get("/metrics")).text
        lines = re.findall(rf"^{name}(\{{.*\}}) (.+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in lines if float(value)}


@pytest.fixture
async def gateway():
    async with Gateway() as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("answer", "decision", "boundary"), [("Tarn", "answer", None), ("Holm", "abstain", "grounding")]
)
async def test_an_answer_is_held_against_the_evidence_sent_with_it(answer, decision, boundary):
    """By the embedded NLI model, however certain the model was."""
    asked = {"prompt": "Where was Elin Vell born?", "evidence": ["Elin Vell was born in Tarn."]}
    async with Gateway(Script(answer, CERTAIN)) as gateway:
        body = (await gateway.ask(**asked)).json()
    assert body["decision"] == decision
    assert (body["reason"] and body["reason"]["boundary"]) == boundary
    assert body["stages"][1]["score"] == pytest.approx(float(boundary == "grounding"), abs=0.01)


async def test_the_body_of_an_answer_has_every_field_of_the_contract(gateway):
    response = await gateway.ask()
    assert response.status_code == 200
    body = response.json()
    assert re.fullmatch(r"gen-[0-9a-f]{32}", body.pop("id"))
    assert response.headers["x-request-id"].startswith("gen-")
    assert body.pop("created") > 1_700_000_000
    for stage in body["stages"]:
        assert stage.pop("seconds") >= 0
    assert body["uncertainty"]["token_entropy"]["mean"] == pytest.approx(0.01)
    assert 0 < body["stages"][2]["score"] < 0.15
    assert body == {
        "model": "scripted",
        "answer": "yes",
        "withheld": False,
        "decision": "answer",
        "reason": None,
        "suggested_action": None,
        "confidence": None,
        "calibration": None,
        "calibration_missing": "the policy is not calibrated",
        "degraded": None,
        "uncertainty": {
            "token_entropy": {
                "mean": 0.01,
                "max": 0.01,
                "std": 0.0,
                "high_share": 0.0,
                "lower": 0.01,
                "upper": 0.01,
                "exact": True,
                "unit": "nats",
                "tokens": 1,
                "distribution": "raw",
            },
            "token_entropy_missing": None,
            "reasoning_entropy": None,
            "cluster_count": None,
            "answer_support": None,
            "samples": 0,
            "samples_planned": 0,
            "clusterer": "jaccard",
            "homogenized": None,
            "semantic_entropy": None,
            "clusters": [],
        },
        "stages": [
            {
                "name": "freshness",
                "score": 0.0,
                "threshold": body["stages"][0]["threshold"],
                "outcome": "uninformative",
                "reason": "the question asks for no time after 2023-12-31",
                "cost": 0.0,
            },
            {
                "name": "grounding",
                "score": None,
                "threshold": body["stages"][1]["threshold"],
                "outcome": "unavailable",
                "reason": "there is no evidence to hold the answer against",
                "cost": 0.0,
            },
            {
                "name": "pointer",
                "score": body["stages"][2]["score"],
                "threshold": None,
                "outcome": "accepted",
                "reason": None,
                "cost": 0.0,
            },
            {
                "name": "fluency",
                "score": None,
                "threshold": body["stages"][3]["threshold"],
                "outcome": "skipped",
                "reason": "decided",
                "cost": 0.0,
            },
            {
                "name": "sampling",
                "score": None,
                "threshold": body["stages"][4]["threshold"],
                "outcome": "skipped",
                "reason": "decided",
                "cost": 0.0,
            },
        ],
        "escalation": None,
        "usage": {
            "prompt_tokens": 1,
            "cached_prompt_tokens": 0,
            "completion_tokens": 1,
            "larger_tokens": 0,
            "sampled_tokens": 0,
            "engine_calls": 1,
            "relative_cost": 1.0,
        },
    }


async def test_samples_show_as_clusters_largest_first_that_sum_to_the_samples():
    samples = ("no it isn't", *["yes it is"] * 9)
    async with Gateway(Script("yes it is", WAVERING, samples)) as gateway:
        body = (await gateway.ask(explain=True)).json()
    uncertainty = body["uncertainty"]
    assert uncertainty["clusters"] == [
        {"size": 9, "text": "yes it is"},
        {"size": 1, "text": "no it isn't"},
    ]
    assert (uncertainty["cluster_count"], uncertainty["samples"]) == (2, 10)
    assert uncertainty["answer_support"] == 0.9
    assert uncertainty["homogenized"] is False
    assert uncertainty["clusterer"] == "jaccard(threshold=0.4)"
    assert body["usage"]["engine_calls"] == 11
    # 10 samples of 3 words over an answer of 3
    assert body["stages"][-1]["cost"] == 10
    assert body["usage"]["relative_cost"] == 11


async def test_missing_entropy_is_null_with_its_reason():
    async with Gateway(Script(entropies=None)) as gateway:
        uncertainty = (await gateway.ask()).json()["uncertainty"]
    assert uncertainty["token_entropy"] is None
    assert uncertainty["token_entropy_missing"] == "the script has no entropies"


async def test_an_abstention_is_a_200_that_says_why():
    async with Gateway(Script(entropies=(2.5,)), model="another/model") as gateway:
        response = await gateway.ask()
    assert response.status_code == 200
    body = response.json()
    assert body["decision"] == "abstain"
    assert body["reason"]["boundary"] == "fluency"
    pointer = body["stages"][2]
    assert (pointer["outcome"], pointer["score"]) == ("unavailable", None)
    assert pointer["reason"] == "no pointer is fitted to this model"
    assert body["suggested_action"] == "larger_model"
    assert body["answer"] == "yes"


async def test_a_question_about_a_time_after_the_cutoff_is_not_answered_however_certain(gateway):
    """The embedded models' text ends with 2023; the model is certain all the same."""
    body = (await gateway.ask(prompt="Who is the mayor of Holm today?")).json()
    assert (body["decision"], body["suggested_action"]) == ("abstain", "search")
    assert body["reason"]["boundary"] == "freshness"
    assert [stage["outcome"] for stage in body["stages"]] == ["fired", *["skipped"] * 4]
    assert body["usage"]["engine_calls"] == 1


async def test_a_wired_action_makes_an_escalation():
    async with Gateway(Script(entropies=(2.5,)), wired_actions=["larger_model"]) as gateway:
        assert (await gateway.ask()).json()["decision"] == "escalate"


async def test_messages_are_a_conversation(gateway):
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "where"},
    ]
    response = await gateway.client.post("/generate", json={"messages": messages})
    assert response.json()["usage"]["prompt_tokens"] == 3


BAD = [
    ({"prompt": ""}, 422, "invalid_request", "prompt"),
    ({"prompt": "  \n"}, 422, "invalid_request", "prompt"),
    ({"prompt": None}, 422, "invalid_request", "prompt"),
    ({"messages": [{"role": "user", "content": "x"}]}, 422, "invalid_request", "prompt"),
    ({"prompt": None, "messages": []}, 422, "invalid_request", "messages"),
    (
        {"prompt": None, "messages": [{"role": "tool", "content": "x"}]},
        422,
        "invalid_request",
        "messages.0.role",
    ),
    (
        {"prompt": None, "messages": [{"role": "assistant", "content": "x"}]},
        422,
        "invalid_request",
        "messages",
    ),
    ({"prompt": 7}, 422, "invalid_request", "prompt"),
    ({"prompt": ["a"]}, 422, "invalid_request", "prompt"),
    ({"prompt": "w " * 64}, 422, "prompt_too_long", "prompt"),
    ({"tempurature": 1}, 422, "invalid_request", "tempurature"),
    ({"max_tokens": 0}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": -3}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": 1.5}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": "8"}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": True}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": 10**30}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": 5000}, 422, "invalid_request", "max_tokens"),
    ({"max_tokens": 64}, 422, "prompt_too_long", "max_tokens"),
    ({"temperature": -0.1}, 422, "invalid_request", "temperature"),
    ({"temperature": 2.1}, 422, "invalid_request", "temperature"),
    ({"top_p": 0}, 422, "invalid_request", "top_p"),
    ({"top_p": 1.1}, 422, "invalid_request", "top_p"),
    ({"stop": [""]}, 422, "invalid_request", "stop.0"),
    ({"stop": ["x"] * 17}, 422, "invalid_request", "stop"),
    ({"seed": -1}, 422, "invalid_request", "seed"),
    ({"seed": 2**63}, 422, "invalid_request", "seed"),
    ({"samples": -1}, 422, "invalid_request", "samples"),
    ({"samples": 33}, 422, "invalid_request", "samples"),
    ({"clusterer": "none-such"}, 422, "invalid_request", "clusterer"),
    ({"evidence": "x"}, 422, "invalid_request", "evidence"),
    ({"stream": 1}, 422, "invalid_request", "stream"),
    ({"stream_mode": "all"}, 422, "invalid_request", "stream_mode"),
    ({"policy": "none-such"}, 422, "unknown_policy", "policy"),
    ({"policy": ""}, 422, "unknown_policy", "policy"),
    ({"explain": 1}, 422, "invalid_request", "explain"),
    ({"deadline_ms": 0}, 422, "invalid_request", "deadline_ms"),
]


@pytest.mark.parametrize(("change", "status", "code", "field"), BAD, ids=str)
async def test_bad_input_is_a_problem_that_names_the_field_and_never_reaches_the_engine(
    gateway, change, status, code, field
):
    response = await gateway.ask(**change)
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert field in {error["field"] for error in problem["errors"]}
    assert gateway.engine.calls == []
    assert await gateway.counters("ucbd_errors_total") == {f'{{code="{code}",model="scripted"}}': 1}


async def test_a_wrong_value_is_repeated_in_its_error_but_not_at_length(gateway):
    problem = (await gateway.ask(max_tokens="8" * 500)).json()
    message = problem["errors"][0]["message"]
    assert "valid integer" in message
    assert "got '888" in message
    assert len(message) < 160


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b'"prompt"', 400, "malformed"),
        (b'{"prompt": "\xff\xfe"}', 400, "malformed"),
        (b'{"prompt": "\\ud800"}', 400, "malformed"),
        (b"[" * 4000, 400, "malformed"),
        (b'{"prompt": "x", "temperature": NaN}', 422, "invalid_request"),
        (b'{"prompt": "x", "temperature": Infinity}', 422, "invalid_request"),
        (b'{"prompt": "x"' + b" " * 5000 + b"}", 413, "body_too_large"),
    ],
)
async def test_bytes_that_are_no_request_are_refused(gateway, body, status, code):
    response = await gateway.client.post("/generate", content=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert gateway.engine.calls == []


async def test_a_body_over_the_limit_is_refused_before_it_is_all_read(gateway):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1024
            yield b" " * 1024

    response = await gateway.client.post("/generate", content=endless())
    assert response.status_code == 413
    assert sent <= 6 * 1024


async def test_a_form_is_refused_and_a_missing_content_type_is_not(gateway):
    form = {"content-type": "text/plain"}
    response = await gateway.client.post("/generate", content=b'{"prompt": "x"}', headers=form)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert "content-type" in response.json()["detail"]
    response = await gateway.client.post("/generate", content=b'{"prompt": "x"}')
    assert response.status_code == 200


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(gateway):
    assert (await gateway.client.get("/nowhere")).json()["code"] == "not_found"
    assert (await gateway.client.get("/generate")).json()["code"] == "method_not_allowed"


async def test_a_failing_engine_is_an_internal_error_with_its_reason():
    async with Gateway(Script(fault=EngineFailed("aborted by the engine"))) as gateway:
        response = await gateway.ask()
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert response.json()["detail"] == "aborted by the engine"


async def test_a_bug_says_nothing_of_the_inside():
    async with Gateway(Script(fault=ZeroDivisionError("secret path"))) as gateway:
        response = await gateway.ask()
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "secret" not in response.text


async def test_a_dead_engine_is_a_503_at_once_and_not_ready(gateway):
    """Whether balancers ask by GET or by HEAD."""
    assert (await gateway.client.head("/readyz")).status_code == 200
    gateway.engine.dead = True
    assert (await gateway.client.head("/readyz")).status_code == 503
    assert (await gateway.client.head("/healthz")).status_code == 200
    response = await gateway.ask()
    assert (response.status_code, response.json()["code"]) == (503, "engine_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert (await gateway.client.get("/readyz")).status_code == 503
    assert (await gateway.client.get("/healthz")).status_code == 200


async def test_a_starting_engine_is_a_503_that_says_so():
    async def never():
        await asyncio.Event().wait()

    engine = SupervisedEngine(never)
    app = create_app(Settings(clusterer="jaccard"), engine)
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        ready = await client.get("/readyz")
        asked = await client.post("/generate", json={"prompt": "x"})
    starting.cancel()
    assert (ready.status_code, asked.status_code) == (503, 503)
    assert asked.json()["detail"] == "the engine is starting"


async def test_a_ready_engine_says_how_entropy_is_measured(gateway):
    assert (await gateway.client.get("/readyz")).json() == {
        "status": "ready",
        "model": "scripted",
        "entropy": "exact",
        "entropy_note": None,
    }


async def test_no_answer_in_time_is_a_504():
    async with Gateway(Script(delay=30)) as gateway:
        response = await gateway.ask(deadline_ms=1000)
        assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
        assert (gateway.engine.running, gateway.engine.aborted) == (0, 1)


async def test_one_request_more_than_the_limit_is_refused_at_once():
    async with Gateway(Script(delay=30), max_in_flight=2) as gateway:
        held = [asyncio.create_task(gateway.ask()) for _ in range(2)]
        await until(lambda: gateway.engine.running == 2)
        response = await gateway.ask()
        in_flight = await gateway.counters("ucbd_in_flight")
        for task in held:
            task.cancel()
        await asyncio.wait(held)
    assert (response.status_code, response.json()["code"]) == (503, "overloaded")
    assert int(response.headers["retry-after"]) > 0
    assert list(in_flight.values()) == [2]


async def test_a_client_that_leaves_aborts_its_generation_and_is_counted_once():
    async with Gateway(Script(delay=30)) as gateway:
        received = [{"type": "http.request", "body": b'{"prompt": "x"}', "more_body": False}]
        left = asyncio.Event()

        async def receive():
            if received:
                return received.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/generate",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
        }
        serving = asyncio.create_task(gateway.app(scope, receive, send))
        await until(lambda: gateway.engine.running == 1)
        left.set()
        await serving
        assert (gateway.engine.running, gateway.engine.aborted) == (0, 1)
        assert await gateway.counters("ucbd_errors_total") == {
            '{code="client_closed",model="scripted"}': 1
        }
        assert await gateway.counters("ucbd_requests_total") == {}


async def test_every_request_adds_one_to_exactly_one_counter(gateway):
    await gateway.ask()
    await gateway.ask()
    await gateway.ask(max_tokens=0)
    assert await gateway.counters("ucbd_requests_total") == {
        '{boundary="none",decision="answer",model="scripted"}': 2
    }
    assert await gateway.counters("ucbd_errors_total") == {
        '{code="invalid_request",model="scripted"}': 1
    }


async def test_the_metrics_of_an_explained_request(gateway):
    await gateway.ask(explain=True)
    outcomes = await gateway.counters("ucbd_stage_outcomes_total")
    assert sum(outcomes.values()) == 5
    assert await gateway.counters("ucbd_token_entropy_nats_sum") == {'{model="scripted"}': 0.01}
    assert await gateway.counters("ucbd_cluster_count_sum") == {
        '{clusterer="jaccard",model="scripted"}': 1
    }
    assert await gateway.counters("ucbd_relative_cost_sum") == {'{model="scripted"}': 11}
    seconds = await gateway.counters("ucbd_stage_seconds_count")
    assert {label.split('stage="')[1].rstrip('"}') for label in seconds} == {
        "freshness",
        "grounding",
        "pointer",
        "fluency",
        "sampling",
    }
    assert (await gateway.counters("ucbd_overhead_seconds_count")) == {'{model="scripted"}': 1}


async def test_clusters_of_samples_that_were_not_all_drawn_are_not_in_the_histogram():
    """Three samples fall into fewer clusters than ten: their counts are another measure."""
    samples = tuple(f"word{i} other{i}" for i in range(10))
    script = Script(entropies=(0.2,), samples=samples)  # u = .18, below the threshold by little
    async with Gateway(script, model="another/model") as gateway:
        body = (await gateway.ask()).json()
        assert 3 <= body["uncertainty"]["samples"] < body["uncertainty"]["samples_planned"] == 10
        assert not await gateway.counters("ucbd_cluster_count_count")


async def test_no_log_line_holds_prompt_or_answer(gateway, caplog):
    caplog.set_level("DEBUG")
    await gateway.ask(prompt="my secret question")
    await gateway.ask(prompt="my secret question", max_tokens=-1)
    lines = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "answered" in lines
    assert "secret question" not in lines


async def test_openapi_describes_the_request_with_an_example(gateway):
    schema = (await gateway.client.get("/openapi.json")).json()
    body = schema["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/GenerateRequest"}
    components = schema["components"]["schemas"]
    for model in (GenerateRequest, GenerateResponse):
        for example in components[model.__name__]["examples"]:
            model.model_validate(example)
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(schema)))
    assert referred <= set(components)


async def test_docs_need_no_other_host(gateway):
    page = (await gateway.client.get("/docs")).text
    assert "https://" not in page
    script = re.search(r'src="([^"]+)"', page).group(1)
    assert (await gateway.client.get(script)).status_code == 200


def test_a_default_policy_that_cannot_be_used_here_stops_the_start(tmp_path):
    policy = tmp_path / "mine.json"
    policy.write_text(
        '{"schema": 1, "description": "", "stages": [{"stage": "fluency"}], "threshold": 0.5,'
        ' "clusterer": "none-such"}'
    )
    settings = Settings(clusterer="jaccard", policy=str(policy))
    with pytest.raises(SettingsInvalid, match="'mine' needs the clusterer 'none-such'"):
        create_app(settings, SupervisedEngine(None))


async def test_another_policy_that_cannot_be_used_here_is_a_422_when_it_is_asked_for(tmp_path):
    (tmp_path / "mine.json").write_text(
        '{"schema": 1, "description": "", "stages": [{"stage": "fluency"}], "threshold": 0.5,'
        ' "clusterer": "none-such"}'
    )
    async with Gateway(policies=tmp_path) as gateway:
        response = await gateway.ask(policy="mine")
        assert (response.status_code, response.json()["code"]) == (422, "policy_unavailable")
        assert (await gateway.ask()).status_code == 200


def test_the_model_information_is_frozen():
    with pytest.raises(AttributeError):
        ModelInfo("a", "b", 1, 1, "exact").id = "c"
