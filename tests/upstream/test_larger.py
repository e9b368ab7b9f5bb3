"""The larger tier over HTTP: when it is asked, what comes back, what its faults cost."""

import math

import pytest

from tests.unit.streams import events
from tests.unit.waiting import until
from tests.upstream.faulty import FaultyUpstream, Says
from tests.upstream.gateway import Gateway

# Midpoint of the bounds 1.43 nats: the default policy's fluency fires above 0.8.
LOST = Says(("perhaps",), top=(math.log(0.6), math.log(0.2), math.log(0.1)))
BIG = Says(("In the north of Lorne",), models=("big",))


async def test_an_escalation_is_answered_by_the_larger_model_with_trace_and_summed_usage():
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        big.calls.clear()
        body = (await gateway.ask(max_tokens=9, seed=4)).json()
        metrics = (await gateway.client.get("/metrics")).text
    assert (body["decision"], body["reason"]["boundary"]) == ("escalate", "fluency")
    assert body["answer"] == "In the north of Lorne"
    assert body["escalation"].pop("seconds") > 0
    assert body["escalation"] == {"outcome": "answered", "model": "big", "reason": None}
    # one token of the first model, five of the larger one; five prompt tokens each
    assert body["usage"]["completion_tokens"] == 6
    assert body["usage"]["larger_tokens"] == 5
    assert body["usage"]["prompt_tokens"] == 10
    assert body["usage"]["relative_cost"] == 6
    assert body["uncertainty"]["token_entropy"]["tokens"] == 1  # of the first model's answer
    assert [stage["outcome"] for stage in body["stages"]].count("fired") == 1
    asked = big.calls[0].body
    assert (asked["model"], asked["max_tokens"], asked["seed"]) == ("big", 9, 4)
    assert asked["messages"] == [{"role": "user", "content": "Where is it?"}]
    assert 'ucbd_escalations_total{model="scripted",outcome="answered"} 1.0' in metrics


async def test_a_certain_answer_is_not_escalated():
    async with (
        FaultyUpstream() as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        big.calls.clear()
        body = (await gateway.ask()).json()
    assert (body["decision"], body["escalation"]) == ("answer", None)
    assert big.calls == []


async def test_without_a_larger_tier_it_is_only_suggested():
    async with FaultyUpstream(LOST) as server, Gateway(server) as gateway:
        body = (await gateway.ask()).json()
    assert (body["decision"], body["suggested_action"]) == ("abstain", "larger_model")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("abort", "finish_reason 'abort'"), ("bad_request", "temperature is wrong")],
)
async def test_a_larger_model_that_fails_costs_its_answer_and_nothing_else(fault, reason):
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        big.always = fault
        body = (await gateway.ask()).json()
    assert (body["decision"], body["answer"]) == ("escalate", "perhaps")
    assert body["escalation"]["outcome"] == "failed"
    assert reason in body["escalation"]["reason"]
    assert body["usage"]["larger_tokens"] == 0


async def test_the_larger_model_answers_within_the_same_deadline():
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        big.calls.clear()
        big.always = "hang"
        response = await gateway.ask(deadline_ms=3000)
        await until(lambda: big.calls[0].closed)
    assert response.status_code == 200
    assert response.json()["escalation"]["reason"] == "deadline"


async def test_a_stream_tells_nothing_that_a_larger_model_may_replace():
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        text = (await gateway.ask(stream=True)).text
    assert "perhaps" not in text
    assert "In the north of Lorne" in text


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_usage_is_of_both_models_and_a_raw_text_stays_one(stream):
    async with (
        FaultyUpstream(LOST) as server,
        FaultyUpstream(BIG) as big,
        Gateway(server, larger=big) as gateway,
    ):
        big.calls.clear()
        wanted = {"model": "scripted", "prompt": "Where it is:", "stream": stream}
        options = {"stream_options": {"include_usage": True}} if stream else {}
        response = await gateway.client.post("/v1/completions", json=wanted | options)
        asked = big.calls[0]
    if stream:
        *_, told, _, last, _ = events(response.content)
        assert told[1]["choices"][0]["text"] == "In the north of Lorne"
        usage = last[1]["usage"]
    else:
        assert response.json()["choices"][0]["text"] == "In the north of Lorne"
        usage = response.json()["usage"]
    assert (usage["completion_tokens"], usage["prompt_tokens"]) == (1 + 5, 5 + 5)
    assert asked.body["prompt"] == "Where it is:"
