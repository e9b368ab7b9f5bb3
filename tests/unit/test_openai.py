"""``/v1`` by OpenAI's own client, on a scripted engine."""

import json
import math
from dataclasses import replace

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.streams import Exchanged, events
from tests.unit.test_gate import keyed
from tests.unit.test_generate import CERTAIN, Gateway
from tests.unit.test_keys import KEY
from tests.unit.test_streaming import refusing
from tests.unit.waiting import until
from ucbd.app.errors import EdgeError
from ucbd.app.openai.errors import openai_refusal
from ucbd.app.openai.grammars import bounded
from ucbd.app.openai.schemas import ChatRequest
from ucbd.app.openai.wanted import chat_wanted
from ucbd.app.parse import parse
from ucbd.models.errors import EngineFailed, EngineUnavailable
from ucbd.models.scripted import Script

THREE = Script("Tarn it is", (0.1, 0.2, 0.6), ("one", "two", "three"))
ASKED = [{"role": "user", "content": "where"}]


def client(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url="http://gateway/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
        ),
    )


async def chat(gateway: Gateway, **request):
    wanted = {"model": "scripted", "messages": ASKED} | request
    return await client(gateway).chat.completions.create(**wanted)


async def chunks(gateway: Gateway, **request) -> list:
    return [chunk async for chunk in await chat(gateway, stream=True, **request)]


async def post(gateway: Gateway, path: str = "chat/completions", **request) -> httpx.Response:
    wanted = {"model": "scripted"} | ({"messages": ASKED} if path.startswith("chat") else {})
    return await gateway.client.post(f"/v1/{path}", json=wanted | request)


async def test_a_chat_completion_is_openais_with_our_block():
    async with Gateway(THREE) as gateway:
        answer = await chat(gateway)
        ours = (await gateway.ask()).json()
    assert answer.id.startswith("chatcmpl-")
    assert answer._request_id == answer.id
    assert (answer.object, answer.model) == ("chat.completion", "scripted")
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Tarn it is")
    assert (choice.finish_reason, choice.message.refusal, choice.logprobs) == ("stop", None, None)
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1, 3, 4)
    block = answer.ucbd
    assert block["decision"] == ours["decision"] == "answer"
    assert block["uncertainty"] == ours["uncertainty"]
    assert [stage["outcome"] for stage in block["stages"]] == [
        stage["outcome"] for stage in ours["stages"]
    ]
    assert block.keys() == ours.keys() - {"id", "model", "created", "answer"}


async def test_a_stream_ends_with_why_it_ended_then_our_block_and_done():
    async with Gateway(THREE) as gateway:
        found = await chunks(gateway)
        raw = events((await post(gateway, stream=True)).content)
    assert [chunk.choices[0].delta.content for chunk in found] == ["Tarn", " it", " is", None]
    assert [chunk.choices[0].delta.role for chunk in found] == ["assistant", None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in found] == [None, None, None, "stop"]
    assert {chunk.id for chunk in found} == {found[0].id}
    assert [chunk.ucbd["entropy"] for chunk in found[:-1]] == [None, 0.1, pytest.approx(0.3)]
    assert found[-1].ucbd["decision"] == "answer"
    assert raw[-1][1] == "[DONE]"
    assert "usage" not in raw[0][1]


async def test_the_usage_comes_last_where_it_is_wanted_and_brings_our_block():
    async with Gateway(THREE) as gateway:
        found = await chunks(gateway, stream_options={"include_usage": True})
    assert [chunk.usage for chunk in found[:-1]] == [None] * 4
    assert (found[-1].choices, found[-1].usage.total_tokens) == ([], 4)
    assert found[-1].ucbd["decision"] == "answer"
    assert found[-2].choices[0].finish_reason == "stop"


async def test_the_usage_comes_once_also_where_load_testers_want_it_in_every_chunk():
    both = {"include_usage": True, "continuous_usage_stats": True}
    async with Gateway(THREE) as gateway:
        found = await chunks(gateway, stream_options=both)
    assert [chunk.usage and chunk.usage.total_tokens for chunk in found] == [None] * 4 + [4]


async def test_openais_streaming_helper_puts_the_answer_together():
    async with Gateway(THREE) as gateway:
        stream = client(gateway).chat.completions.stream(model="scripted", messages=ASKED)
        async with stream as parts:
            answer = await parts.get_final_completion()
    assert answer.choices[0].message.content == "Tarn it is"


async def test_a_request_steers_the_cascade_by_its_own_block():
    async with Gateway(THREE) as gateway:
        steered = {"explain": True, "samples": 4, "clusterer": "jaccard", "evidence": ["Tarn."]}
        answer = await chat(gateway, extra_body={"ucbd": steered})
    assert answer.ucbd["uncertainty"]["samples"] == 4
    assert answer.ucbd["usage"]["engine_calls"] == 5
    assert answer.usage.completion_tokens == 3


async def test_commit_streams_nothing_before_the_decision():
    script = Script("Tarn it is", (0.3,), ("Dole",), sample_delay=30)
    async with Gateway(script) as gateway:
        steered = {"stream_mode": "commit", "explain": True}
        asked = Exchanged(
            gateway.app,
            "/v1/chat/completions",
            {"model": "scripted", "messages": ASKED, "stream": True, "ucbd": steered},
        )
        await until(lambda: gateway.engine.running == 10)
        assert asked.messages == []
        asked.leave()
        await asked.serving
    async with Gateway(THREE) as gateway:
        found = await chunks(gateway, extra_body={"ucbd": {"stream_mode": "commit"}})
    assert [chunk.choices[0].delta.content for chunk in found] == ["Tarn it is", None]


async def test_further_choices_are_drawn_beside_the_judged_one_and_counted():
    async with Gateway(THREE) as gateway:
        answer = await chat(gateway, n=3, temperature=0.7, seed=5)
        options = gateway.engine.calls
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.choices[0].message.content == "Tarn it is"
    assert {choice.message.content for choice in answer.choices[1:]} <= {"one", "two", "three"}
    assert answer.usage.completion_tokens == 3 + 1 + 1
    assert answer.ucbd["usage"]["engine_calls"] == 3
    assert answer.ucbd["usage"]["relative_cost"] == pytest.approx(5 / 3)
    assert [call.temperature for call in options] == [0.7] * 3
    assert len({call.seed for call in options}) == 3


async def test_choices_of_a_stream_tell_whose_text_it_is():
    async with Gateway(THREE) as gateway:
        found = await chunks(gateway, n=2, temperature=0.7)
    texts = {0: "", 1: ""}
    for chunk in found:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts[0] == "Tarn it is"
    assert texts[1] in ("one", "two", "three")
    assert [choice.finish_reason for choice in found[-1].choices] == ["stop", "stop"]


@pytest.mark.parametrize("wanted", [{"n": 2}, {"n": 2, "temperature": 0}])
async def test_greedy_choices_would_all_be_the_same_and_are_refused(wanted):
    async with Gateway(THREE) as gateway:
        with pytest.raises(openai.BadRequestError, match="greedy choices") as caught:
            await chat(gateway, **wanted)
    assert caught.value.param == "n"


async def test_a_choice_that_fails_fails_the_request_and_ends_the_others():
    script = Script("Tarn", CERTAIN, sample_fault=EngineFailed("aborted"))
    async with Gateway(script) as gateway:
        with pytest.raises(openai.InternalServerError, match="aborted"):
            await chat(gateway, n=3, temperature=0.7)
        assert gateway.engine.running == 0
        assert list((await gateway.counters("ucbd_errors_total")).values()) == [1]
        assert await gateway.counters("ucbd_requests_total") == {}


async def test_options_reach_the_engine_and_the_samples_inherit_what_they_must():
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    async with Gateway(THREE) as gateway:
        answer = await chat(
            gateway,
            max_completion_tokens=7,
            stop=["\n", "END"],
            seed=3,
            temperature=0.5,
            top_p=0.9,
            logprobs=True,
            top_logprobs=2,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
            user="somebody",
            metadata={"for": "a test"},
            extra_body={"ucbd": {"explain": True, "samples": 2}},
        )
        main, sample, _ = gateway.engine.calls
    assert (main.max_tokens, main.stop, main.seed) == (7, ("\n", "END"), 3)
    assert (main.temperature, main.top_p, main.logprobs) == (0.5, 0.9, 2)
    assert json.loads(main.json_schema) == schema
    assert (sample.max_tokens, sample.stop) == (7, ("\n", "END"))
    assert (sample.temperature, sample.top_p, sample.logprobs) == (1.0, 1.0, None)
    assert json.loads(sample.json_schema) == schema
    entropy = answer.ucbd["uncertainty"]["token_entropy"]
    assert entropy["distribution"] == "constrained"
    pointer = next(stage for stage in answer.ucbd["stages"] if stage["name"] == "pointer")
    assert pointer["outcome"] == "unavailable"


async def test_logprobs_are_asked_for_only_where_they_are_wanted():
    async with Gateway(THREE) as gateway:
        answer = await chat(gateway, logprobs=True, top_logprobs=1)
        await chat(gateway, logprobs=True)
        await chat(gateway)
        found = await chunks(gateway, logprobs=True)
        committed = await chunks(
            gateway, logprobs=True, extra_body={"ucbd": {"stream_mode": "commit"}}
        )
        assert [call.logprobs for call in gateway.engine.calls] == [1, 0, None, 0, 0]
    tokens = answer.choices[0].logprobs.content
    assert [token.token for token in tokens] == ["Tarn", " it", " is"]
    assert tokens[1].logprob == -0.5
    assert bytes(tokens[1].bytes) == b" it"
    assert [top.token for top in tokens[1].top_logprobs] == [" it"]
    streamed = [chunk.choices[0].logprobs.content[0].token for chunk in found[:-1]]
    assert streamed == ["Tarn", " it", " is"]
    assert len(committed[0].choices[0].logprobs.content) == 3


@pytest.mark.parametrize(
    ("value", "shown"), [(-math.inf, -9999.0), (math.nan, None), (-0.25, -0.25)]
)
async def test_a_log_probability_that_json_cannot_hold(value, shown):
    async with Gateway(Script("Tarn", CERTAIN, logprob=value)) as gateway:
        body = (await post(gateway, logprobs=True)).json()
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] == shown


async def test_a_completion_continues_a_text():
    async with Gateway(THREE) as gateway:
        ours = client(gateway).completions
        answer = await ours.create(model="scripted", prompt="Once upon", logprobs=1)
        stream = await ours.create(model="scripted", prompt=["Once upon"], stream=True, logprobs=1)
        found = [chunk async for chunk in stream]
        early = await post(gateway, "completions", prompt="x", stream_options={})
    assert early.json()["error"]["param"] == "stream_options"
    (choice,) = answer.choices
    assert (answer.object, choice.text) == ("text_completion", "Tarn it is")
    assert choice.logprobs.tokens == ["Tarn", " it", " is"]
    assert choice.logprobs.text_offset == [0, 4, 7]
    assert choice.logprobs.top_logprobs[0] == {"Tarn": -0.5}
    assert answer.usage.prompt_tokens == 2
    assert [chunk.choices[0].text for chunk in found] == ["Tarn", " it", " is", ""]
    assert [chunk.choices[0].logprobs.text_offset for chunk in found[:-1]] == [[0], [4], [7]]
    assert found[-1].choices[0].finish_reason == "stop"
    assert found[-1].ucbd["decision"] == answer.ucbd["decision"] == "abstain"


@pytest.mark.parametrize(
    ("change", "content", "refusal"),
    [
        ({"refusal": "Ask a librarian."}, "Ask a librarian.", "Ask a librarian."),
        ({"withhold": True}, None, "mean_token_entropy(exact) is 2.000, above 1"),
    ],
)
async def test_an_abstention_is_a_refusal_where_the_policy_says_so(
    tmp_path, change, content, refusal
):
    refusing(tmp_path, **change)
    script = Script("a secret guess", (2.0,))
    steered = {"extra_body": {"ucbd": {"policy": "careful"}}, "logprobs": True}
    async with Gateway(script, policies=tmp_path) as gateway:
        answer = await chat(gateway, **steered)
        found = await chunks(gateway, **steered)
    message = answer.choices[0].message
    assert (message.content, message.refusal) == (content, refusal)
    assert answer.choices[0].logprobs is None
    told = "".join(chunk.choices[0].delta.content or "" for chunk in found)
    assert told == (content or "")
    assert found[-1].choices[0].delta.refusal == refusal
    assert answer.ucbd["decision"] == found[-1].ucbd["decision"] == "abstain"
    assert "secret" not in answer.model_dump_json() + str(found)


async def test_an_earlier_refusal_may_come_back_as_a_turn():
    """As ``messages.append(response.choices[0].message)`` sends it."""
    turns = [
        *ASKED,
        {"role": "assistant", "content": None, "refusal": "I do not know."},
        {"role": "user", "content": [{"type": "text", "text": "why"}]},
    ]
    async with Gateway(THREE) as gateway:
        answer = await chat(gateway, messages=turns)
        again = await chat(gateway, messages=[*ASKED, answer.choices[0].message, *ASKED])
    assert answer.usage.prompt_tokens == 1 + 4 + 1
    assert again.usage.prompt_tokens == 1 + 3 + 1


BAD = [
    ({"tempurature": 1}, 400, "invalid_request", "tempurature"),
    ({"n": 9, "temperature": 1}, 400, "invalid_request", "n"),
    ({"n": 0}, 400, "invalid_request", "n"),
    ({"tools": [{"type": "function"}]}, 400, "invalid_request", "tools"),
    ({"tool_choice": "required"}, 400, "invalid_request", "tool_choice"),
    ({"logit_bias": {"50": 100}}, 400, "invalid_request", "logit_bias"),
    ({"presence_penalty": 0.5}, 400, "invalid_request", "presence_penalty"),
    ({"prompt_logprobs": 1}, 400, "invalid_request", "prompt_logprobs"),
    ({"stop_token_ids": [1]}, 400, "invalid_request", "stop_token_ids"),
    ({"guided_grammar": "root ::= x"}, 400, "invalid_request", "guided_grammar"),
    ({"top_logprobs": 3}, 400, "invalid_request", "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, 400, "invalid_request", "top_logprobs"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, 400, "invalid_request", "max_tokens"),
    ({"max_tokens": 64}, 400, "prompt_too_long", "max_tokens"),
    ({"response_format": {"type": "xml"}}, 400, "invalid_request", "response_format.type"),
    (
        {"response_format": {"type": "json_schema"}},
        400,
        "invalid_request",
        "response_format.json_schema",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"x": "y" * 20000}}}},
        400,
        "invalid_request",
        "response_format.json_schema",
    ),
    *(
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
            400,
            "invalid_request",
            "response_format.json_schema",
        )
        for schema in (
            {"type": "array", "items": {"type": "integer"}, "minItems": 10**8},
            {"anyOf": [{"type": "array", "maxItems": 4000.0}] * 3},
            {"properties": {"x": {"type": "string", "maxLength": 100_001}}},
        )
    ),
    ({"messages": []}, 400, "invalid_request", "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_request", "messages.0.role"),
    ({"stop": ""}, 400, "invalid_request", "stop"),
    ({"service_tier": "flex"}, 400, "invalid_request", "service_tier"),
    ({"top_k": 40}, 400, "invalid_request", "top_k"),
    ({"min_p": 0.1}, 400, "invalid_request", "min_p"),
    ({"repetition_penalty": 1.1}, 400, "invalid_request", "repetition_penalty"),
    ({"messages": [{"role": "user"}]}, 400, "invalid_request", "messages.0.content"),
    ({"messages": [*ASKED, {"role": "assistant"}]}, 400, "invalid_request", "messages"),
    ({"model": "gpt-4o"}, 404, "unknown_model", "model"),
    ({"model": None}, 400, "invalid_request", "model"),
    ({"ucbd": {"samples": 1000}}, 400, "invalid_request", "ucbd.samples"),
    ({"ucbd": {"sample": 1}}, 400, "invalid_request", "ucbd.sample"),
    ({"ucbd": {"policy": "none-such"}}, 400, "unknown_policy", "ucbd.policy"),
    ({"ucbd": {"deadline_ms": 0}}, 400, "invalid_request", "ucbd.deadline_ms"),
]


async def test_what_is_off_here_may_be_said_to_be_off():
    """As `ucbd diagnose` says it, of whatever server it asks."""
    async with Gateway(THREE) as gateway:
        for off in ({"top_k": -1, "min_p": 0, "repetition_penalty": 1}, {"top_k": 0, "min_p": 0.0}):
            assert (await post(gateway, **off)).status_code == 200


@pytest.mark.parametrize(("change", "status", "code", "field"), BAD, ids=str)
@pytest.mark.parametrize("stream", [False, True])
async def test_bad_input_is_openais_error_that_names_the_field(change, status, code, field, stream):
    async with Gateway(THREE, max_body_bytes=65536) as gateway:
        response = await post(gateway, stream=stream, **change)
        counted = await gateway.counters("ucbd_errors_total")
        assert gateway.engine.calls == []
    assert response.status_code == status
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert error["param"] == field
    assert counted == {f'{{code="{code}",model="scripted"}}': 1}


TEXT = st.text("ab\n\u00e9\ud800", max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "role", "content", "schema", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*ChatRequest.model_fields, "x"]), JSON, max_size=4))
def test_whatever_a_field_holds_it_is_understood_or_refused(changes):
    body = json.dumps({"model": "scripted", "messages": ASKED} | changes).encode()
    refused: EdgeError | None = None
    try:
        wanted = chat_wanted(parse(ChatRequest, None, body), "scripted")
    except EdgeError as error:
        refused = error
    if refused is None:
        assert wanted.conversation
        assert 1 <= wanted.choices <= 8
    else:
        assert refused.errors
        assert openai_refusal(refused).status_code in (400, 404)


async def test_an_engine_without_grammars_says_so_and_does_not_answer_freely():
    async with Gateway(THREE) as gateway:
        gateway.engine.model = replace(gateway.engine.model, grammars=False)
        with pytest.raises(openai.BadRequestError, match="no schema") as caught:
            await chat(gateway, response_format={"type": "json_object"})
        assert gateway.engine.calls == []
    assert caught.value.param == "response_format"


def test_a_schema_is_bounded_by_the_items_of_all_its_arrays_and_each_of_its_strings():
    """A property may be called maxItems, and then it is no count."""
    array = {"type": "array", "maxItems": 5000}
    schema = {
        "properties": {"maxItems": {"type": "string", "maxLength": 100_000}, "a": array, "b": array}
    }
    assert json.loads(bounded(schema)) == schema
    with pytest.raises(EdgeError, match="at most 10000 in all, got 10001"):
        bounded(schema | {"minItems": 1})


async def test_a_key_that_is_wrong_or_used_up_is_openais_error(tmp_path):
    async with keyed(tmp_path, {"requests_per_minute": 1}) as gateway:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await chat(gateway)
        mine = client(gateway).with_options(api_key=KEY)
        assert [model.id async for model in mine.models.list()] == ["scripted"]
        wanted = {"model": "scripted", "messages": ASKED}
        await mine.chat.completions.create(**wanted)
        with pytest.raises(openai.RateLimitError) as used_up:
            await mine.chat.completions.create(**wanted)
    assert (unknown.value.code, unknown.value.type) == ("unauthorized", "authentication_error")
    assert (used_up.value.code, used_up.value.type) == ("rate_limited", "rate_limit_error")
    assert int(used_up.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function"}]},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
    ],
    ids=str,
)
async def test_why_tools_are_not_served_is_said(change):
    async with Gateway(THREE) as gateway:
        body = (await post(gateway, **change)).json()
    assert "tool calls are not served" in body["error"]["message"]


async def test_what_clients_send_empty_is_accepted():
    empty = {
        "tools": None,
        "functions": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "logit_bias": {},
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "stop": None,
        "n": 1,
        "store": False,
        "stream": False,
        "response_format": {"type": "text"},
        "modalities": ["text"],
        "user": "u",
        "safety_identifier": "u",
        "prompt_cache_key": "k",
        "service_tier": "auto",
        "messages": [{"role": "user", "name": "bob", "content": "where"}],
    }
    async with Gateway(THREE) as gateway:
        assert (await post(gateway, **empty)).status_code == 200
        more = {"prompt": "x", "echo": False, "best_of": 1, "suffix": None}
        assert (await post(gateway, "completions", **more)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x", "echo": True}, "echo"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "logprobs": 21}, "logprobs"),
    ],
)
async def test_bad_completions_name_their_field(change, field):
    async with Gateway(THREE) as gateway:
        response = await post(gateway, "completions", **change)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field


async def test_a_failure_in_a_stream_is_an_error_to_the_client_and_never_done():
    script = Script("Tarn it is", words=2, fault=EngineFailed("aborted by the engine"))
    async with Gateway(script) as gateway:
        told = await chat(gateway, stream=True)
        first, second = await anext(told), await anext(told)
        with pytest.raises(openai.APIError, match="aborted by the engine"):
            await anext(told)
        raw = (await post(gateway, stream=True)).content
        counted = await gateway.counters("ucbd_errors_total")
    assert (first.choices[0].delta.content, second.choices[0].delta.content) == ("Tarn", " it")
    assert b"[DONE]" not in raw
    assert events(raw)[-1][1]["error"]["code"] == "internal"
    assert list(counted.values()) == [2]


async def test_a_failure_before_the_first_byte_is_a_status_with_retry_after():
    async with Gateway(Script(fault=EngineUnavailable("restarting"))) as gateway:
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(gateway, stream=True)
    assert caught.value.status_code == 503
    assert caught.value.code == "engine_unavailable"
    assert int(caught.value.response.headers["retry-after"]) > 0


async def test_a_client_that_leaves_a_stream_of_several_choices_frees_the_engine():
    script = Script("Tarn it is", (0.3,), ("Dole it is",), pace=30)
    async with Gateway(script) as gateway:
        request = {"model": "scripted", "messages": ASKED, "stream": True, "n": 3, "temperature": 1}
        asked = Exchanged(gateway.app, "/v1/chat/completions", request)
        await until(lambda: b"Tarn" in asked.body and gateway.engine.running == 3)
        asked.leave()
        await asked.serving
        assert (gateway.engine.running, gateway.engine.aborted) == (0, 3)
        errors = await gateway.counters("ucbd_errors_total")
        assert errors == {'{code="client_closed",model="scripted"}': 1}


async def test_the_served_model_is_listed_and_no_other():
    async with Gateway(THREE, served_name="org/scripted") as gateway:
        ours = client(gateway)
        assert [model.id async for model in ours.models.list()] == ["org/scripted"]
        assert (await ours.models.retrieve("org/scripted")).id == "org/scripted"
        with pytest.raises(openai.NotFoundError) as caught:
            await ours.models.retrieve("gpt-4o")
    assert caught.value.code == "unknown_model"


async def test_an_unknown_path_below_v1_is_openais_error_too():
    async with Gateway(THREE) as gateway:
        with pytest.raises(openai.NotFoundError) as caught:
            await client(gateway).embeddings.create(model="scripted", input="x")
    assert caught.value.code == "not_found"
