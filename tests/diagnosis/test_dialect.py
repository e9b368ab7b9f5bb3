"""What a server refuses is found out and left out, and nothing else is."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.diagnosis.served import Answer, Refusal, greedy, served
from ucbd.models.errors import InvalidRequest, UpstreamFailed
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.replies import Replies
from ucbd.models.upstream.respondent import Respondent

OFF = {"top_k", "min_p", "repetition_penalty"}


async def at_once(call: Callable[[], Awaitable[Replies]]) -> Replies:
    return await call()


def refusing(*names: str, words: str = "Unrecognized request argument: {}", param: bool = False):
    """A server that takes everything but these."""

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        for name in names:
            if name in body:
                return Refusal(400, words.format(name), name if param else None)
        return Answer()

    return script


async def learned(script) -> tuple[Respondent, list[dict[str, Any]]]:
    """A respondent that has found the dialect, and what it sends for an answer and for samples."""
    with served(script) as server:
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        await respondent.learn(3, 8)
        server.calls.clear()
        await respondent.answer("?", 8)
        await respondent.samples("?", 3, 1.0, 8)
        await respondent.close()
        return respondent, server.calls


async def test_everything_that_shapes_the_distribution_is_stated():
    _, (main, samples) = await learned(refusing())
    stated = {
        "top_p": 1,
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
    }
    common = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 8}
    assert main == common | stated | {"temperature": 0, "logprobs": True, "top_logprobs": 20}
    assert samples == common | stated | {"temperature": 1, "n": 3}


@pytest.mark.parametrize("by_field", [True, False])
async def test_what_is_named_is_left_out_and_nothing_else(by_field: bool):
    respondent, (main, samples) = await learned(refusing(*OFF, param=by_field))
    assert not OFF & {*main, *samples}
    assert {"top_p", "presence_penalty", "logprobs"} <= set(main)
    assert set(respondent.dialect.refused) == OFF


async def test_a_refusal_that_names_nothing_costs_the_least_missed_first():
    """FastAPI's 422 and the like: extensions go before log-probabilities and temperature."""
    respondent, (main, _) = await learned(refusing("min_p", words="Unprocessable"))
    assert set(respondent.dialect.refused) == OFF
    assert main["logprobs"]
    assert main["temperature"] == 0


async def test_one_answer_a_request_where_several_are_refused():
    respondent, calls = await learned(refusing("n", words="`n` must be 1"))
    assert respondent.dialect.most == 1
    assert len(calls) == 1 + 3
    assert not any("n" in call for call in calls)


async def test_one_answer_a_request_where_several_are_silently_not_given():
    """As a server does that has never heard of ``n``."""
    with served() as server:
        server.one_choice = True
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        assert len(await respondent.samples("?", 3, 1.0, 8)) == 3
        await respondent.close()
    assert respondent.dialect.most == 1
    assert ["n" in call for call in server.calls] == [True, False, False]


async def test_half_as_many_answers_a_request_where_so_many_are_refused():
    """Ours takes 8, others take 5: ten samples are two requests, not ten."""

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if body.get("n", 1) > 8:
            return Refusal(400, "Input should be less than or equal to 8", "n")
        return Answer()

    with served(script) as server:
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        assert len(await respondent.samples("?", 10, 1.0, 8)) == 10
        await respondent.close()
    assert [call["n"] for call in server.calls] == [10, 5, 5]


async def test_fewer_log_probabilities_before_none():
    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if body.get("top_logprobs", 0) > 5:
            return Refusal(400, "top_logprobs must be at most 5", "top_logprobs")
        return Answer()

    respondent, (main, _) = await learned(script)
    assert main["top_logprobs"] == 5
    assert respondent.dialect.refused == {}


async def test_without_log_probabilities_answers_come_all_the_same():
    respondent, (main, _) = await learned(refusing("logprobs", words="logprobs is not supported"))
    assert respondent.dialect.top_logprobs is None
    assert not {"logprobs", "top_logprobs"} & set(main)


async def test_a_temperature_is_refused_by_its_value():
    """OpenAI's reasoning models take 1 and nothing else: samples are as they should be."""

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if greedy(body):
            return Refusal(400, "'temperature' does not support 0 with this model.", "temperature")
        return Answer()

    respondent, (main, samples) = await learned(script)
    assert "temperature" not in main
    assert samples["temperature"] == 1
    assert set(respondent.dialect.refused) == {"temperature=0"}


async def test_the_newer_name_of_the_length_is_used_where_the_older_is_refused():
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    _, (main, _) = await learned(refusing("max_tokens", words=words))
    assert main["max_completion_tokens"] == 8


async def test_our_own_gateway_is_told_not_to_sample_by_itself():
    with served() as server:
        server.extra = {"ucbd": {"decision": "answer"}}
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        await respondent.learn(2, 8)
        server.calls.clear()
        await respondent.answer("?", 8)
        await respondent.close()
    assert server.calls[0]["ucbd"] == {"samples": 0}


async def test_a_refused_prompt_is_not_taken_for_a_refused_parameter():
    """After the dialect is found, a refusal that names nothing is about the prompt."""

    def script(body: dict[str, Any], turn: int) -> Answer | Refusal:
        if "bad" in body["messages"][0]["content"]:
            return Refusal(400, "content management policy")
        return Answer()

    with served(script) as server:
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        await respondent.learn(2, 8)
        with pytest.raises(InvalidRequest, match="content management"):
            await respondent.answer("a bad one", 8)
        await respondent.close()
    assert respondent.dialect.refused == {}


async def test_what_refuses_everything_is_an_error_in_the_end():
    with served(lambda body, turn: Refusal(400, "no")) as server:
        respondent = Respondent(UpstreamClient(server.url), "m", at_once)
        with pytest.raises(InvalidRequest, match="no"):
            await respondent.learn(2, 8)
        await respondent.close()


async def test_a_server_that_wants_a_key_says_so_without_showing_one():
    with served(lambda body, turn: Refusal(401, "Incorrect API key provided: sk-se…")) as server:
        respondent = Respondent(UpstreamClient(server.url, key="sk-secret"), "m", at_once)
        with pytest.raises(UpstreamFailed, match="key") as failed:
            await respondent.learn(2, 8)
        await respondent.close()
    assert "sk-" not in str(failed.value)
