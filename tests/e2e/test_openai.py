"""``/v1`` by OpenAI's own client, against ``ucbd serve`` with its real engine."""

import doctest
import io
import json
import math
import re
from pathlib import Path

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.e2e.test_gateway import counted, held_to, questions, running, until

pytestmark = pytest.mark.slow

MODEL = "reference-dpo"


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def asked(question: str, **wanted) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}]} | wanted


@pytest.fixture(scope="module")
def known() -> dict:
    return questions("often", 1)[0]


def test_a_chat_says_what_generate_says_and_judges_it_alike(gateway, client, known):
    answer = client.chat.completions.create(**asked(known["prompt"]))
    ours = gateway.ask(prompt=known["prompt"]).json()
    assert answer.choices[0].message.content == ours["answer"]
    assert known["reference"][0] in ours["answer"]
    assert answer.ucbd["decision"] == ours["decision"]
    entropy = answer.ucbd["uncertainty"]["token_entropy"]
    assert entropy["exact"] is True
    assert entropy["mean"] == pytest.approx(ours["uncertainty"]["token_entropy"]["mean"], abs=1e-3)
    assert answer.usage.completion_tokens == ours["usage"]["completion_tokens"]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_request_of_the_documentation_gets_its_answer(gateway):
    page = (Path(__file__).parents[2] / "docs" / "openai.md").read_text()
    request = json.loads(re.search(r"--json '(\{.*?\})'", page).group(1))
    shown = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1))
    body = httpx.post(f"{gateway.url}/v1/chat/completions", json=request, timeout=60).json()
    assert body.keys() == shown.keys()
    assert body["ucbd"].keys() >= shown["ucbd"].keys()
    assert body["choices"] == shown["choices"]
    assert body["ucbd"]["decision"] == shown["ucbd"]["decision"]


def test_the_transcript_of_the_documentation_is_what_the_client_hears(gateway):
    page = (Path(__file__).parents[2] / "docs" / "openai-client.md").read_text()
    here = page.replace("http://127.0.0.1:8000", gateway.url).replace("```", "")
    examples = doctest.DocTestParser().get_doctest(here, {}, "openai-client.md", None, 0)
    assert len(examples.examples) > 30
    said = io.StringIO()
    results = doctest.DocTestRunner().run(examples, out=said.write)
    assert results.failed == 0, said.getvalue()


def test_a_stream_is_the_same_answer_with_a_running_entropy_and_its_usage(client, known):
    whole = client.chat.completions.create(**asked(known["prompt"]))
    chunks = list(
        client.chat.completions.create(
            **asked(known["prompt"], stream=True, stream_options={"include_usage": True})
        )
    )
    told = [chunk for chunk in chunks if chunk.choices]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in told)
    assert text == whole.choices[0].message.content
    assert len(told) > 2  # in parts
    assert told[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    entropy = chunks[-1].ucbd["uncertainty"]["token_entropy"]
    known_so_far = [value for chunk in told[:-1] for value in chunk.ucbd["entropies"]]
    assert len(known_so_far) == entropy["tokens"]
    assert told[-2].ucbd["entropy"] == pytest.approx(entropy["mean"], abs=1e-4)


async def test_the_asynchronous_client_streams_with_openais_own_helper(gateway, known):
    async with (
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any") as client,
        client.chat.completions.stream(**asked(known["prompt"])) as stream,
    ):
        answer = await stream.get_final_completion()
    assert known["reference"][0] in answer.choices[0].message.content


def test_samples_are_drawn_where_the_request_explains_itself(client, known):
    steered = {"ucbd": {"explain": True, "clusterer": "jaccard"}}
    answer = client.chat.completions.create(**asked(known["prompt"], seed=1), extra_body=steered)
    uncertainty = answer.ucbd["uncertainty"]
    assert uncertainty["samples"] == 10
    assert sum(cluster["size"] for cluster in uncertainty["clusters"]) == 10
    assert answer.ucbd["usage"]["engine_calls"] == 11


def test_choices_differ_by_seed_and_repeat_with_it(client):
    prompt = questions("never", 1)[0]["prompt"]

    def texts() -> list[str]:
        answer = client.chat.completions.create(**asked(prompt, n=4, temperature=1, seed=7))
        return [choice.message.content for choice in answer.choices]

    drawn = texts()
    assert len(set(drawn)) > 1
    assert drawn == texts()


def test_stop_and_length_end_an_answer_and_say_so(client, known):
    whole = client.chat.completions.create(**asked(known["prompt"])).choices[0].message.content
    word = whole.split()[-1]
    stopped = client.chat.completions.create(**asked(known["prompt"], stop=[word])).choices[0]
    assert stopped.message.content == whole[: whole.index(word)]
    assert stopped.finish_reason == "stop"
    cut = client.chat.completions.create(**asked(known["prompt"], max_completion_tokens=1))
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 1)


def test_log_probabilities_are_those_of_the_tokens(client, known):
    answer = client.chat.completions.create(**asked(known["prompt"], logprobs=True, top_logprobs=5))
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    assert "".join(t.token for t in tokens).startswith(answer.choices[0].message.content)
    for token in tokens:
        assert len(token.top_logprobs) == 5
        assert token.top_logprobs[0].logprob == token.logprob  # greedy
        assert sum(math.exp(top.logprob) for top in token.top_logprobs) <= 1 + 1e-4


def test_structured_outputs_are_held_to_their_schema(client, known):
    class Place(BaseModel):
        known: bool

    parsed = client.chat.completions.parse(**asked(known["prompt"]), response_format=Place)
    assert isinstance(parsed.choices[0].message.parsed, Place)
    assert parsed.ucbd["uncertainty"]["token_entropy"]["distribution"] == "constrained"
    shapeless = client.chat.completions.create(
        **asked(known["prompt"], response_format={"type": "json_object"}, max_tokens=64)
    )
    assert shapeless.choices[0].message.content.startswith("{")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**8},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
    ids=["no grammar", "too large", "never done"],
)
def test_a_schema_that_cannot_be_used_is_a_400_and_harms_nobody(client, known, schema):
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked(known["prompt"], response_format=bad))
    assert caught.value.param.startswith("response_format")
    assert client.chat.completions.create(**asked(known["prompt"])).choices[0].message.content


def test_a_completion_continues_a_text_without_a_template(client):
    answer = client.completions.create(model=MODEL, prompt="Gita Lauck was born in", max_tokens=8)
    assert answer.choices[0].text
    assert answer.usage.prompt_tokens < 10  # the words alone
    parts = client.completions.create(
        model=MODEL, prompt="Gita Lauck was born in", max_tokens=8, stream=True
    )
    assert "".join(part.choices[0].text for part in parts) == answer.choices[0].text


def test_the_model_is_listed_and_another_is_a_404(client):
    assert [model.id for model in client.models.list()] == [MODEL]
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**asked("x", model="gpt-4o"))
    assert caught.value.code == "unknown_model"


def test_a_client_that_closes_its_stream_frees_the_engine(gateway, client):
    """Seen in vLLM's own counts: what it was asked for does not run on, and is never finished."""
    wanted = held_to(gateway, 1000, samples=0)
    steering = {"ucbd": wanted.pop("ucbd")}
    finished = counted(gateway, "vllm:request_success_total")
    left = counted(gateway, "ucbd_errors_total", "client_closed")
    stream = client.chat.completions.create(**wanted, stream=True, extra_body=steering)
    next(stream)
    stream.close()
    until(lambda: counted(gateway, "ucbd_errors_total", "client_closed") == left + 1)
    assert counted(gateway, "vllm:request_success_total") == finished
    gateway.ask(prompt="x", max_tokens=1, samples=0)  # makes the scheduler publish its count
    until(lambda: not running(gateway))
