"""Reasoning and answer apart: where one ends, and whose entropies are whose."""

import pytest
from transformers import AutoTokenizer

from tests.unit.test_generate import Gateway
from ucbd.models.generation import Missing, TokenEntropies
from ucbd.models.reference import embedded_model
from ucbd.models.scripted import Script
from ucbd.models.thinking import apart, reasoning_tokens


def by_character(text: str) -> int:
    return reasoning_tokens(text, range(len(text)), lambda ids: text[: len(ids)])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Tarn.", "Tarn."),
        ("<think>a</think>Tarn.", "Tarn."),
        ("a</think> Tarn.", " Tarn."),
        ("<think>a</think>b<THINK>c</THINK>Tarn.", "Tarn."),
        ("<think>never ends", ""),
        ("<think>a</think>b<think>never ends", ""),
        ("", ""),
    ],
)
def test_reasoning_goes_through_the_last_closing_mark(text, answer):
    assert text[by_character(text) :] == answer


def test_a_mark_of_several_tokens_of_a_real_tokenizer_is_found():
    tokenizer = AutoTokenizer.from_pretrained(embedded_model("reference-dpo"))
    thought = tokenizer.encode("<think>Where was she born?</think>", add_special_tokens=False)
    said = tokenizer.encode("In Rilla.", add_special_tokens=False)
    ids = [*thought, *said]
    assert len(thought) > len("<think></think>") / 2  # no mark is one token here

    def decode(some):
        return tokenizer.decode(some, skip_special_tokens=True)

    assert reasoning_tokens(decode(ids), ids, decode) == len(thought)


def test_entropies_are_divided_where_the_reasoning_ends():
    bounds = TokenEntropies(lower=(1, 2, 3), upper=(2, 3, 4), exact=False, top_k=5)
    thought, said = apart(bounds, 2)
    assert thought == TokenEntropies((1, 2), (2, 3), exact=False, top_k=5)
    assert said == TokenEntropies((3,), (4,), exact=False, top_k=5)
    assert apart(bounds, 0) == (None, bounds)
    without_upper = TokenEntropies(lower=(1, 2), upper=None, exact=False, top_k=5)
    assert apart(without_upper, 1)[1] == TokenEntropies((2,), None, exact=False, top_k=5)


def test_nothing_but_reasoning_has_no_entropy_of_an_answer():
    _, said = apart(TokenEntropies((1, 2), (1, 2), exact=True), 2)
    assert isinstance(said, Missing)
    assert "reasoning" in said.reason


async def test_a_response_tells_them_apart():
    # one token a word: three of reasoning at 2, 3 and 4 nats, two of the answer at .1
    script = Script("<think>where? hm</think> Tarn is", (2.0, 4.0, 0.1, 0.1))
    async with Gateway(script, model="another/model") as gateway:
        body = (await gateway.ask()).json()
    uncertainty = body["uncertainty"]
    assert uncertainty["token_entropy"]["mean"] == pytest.approx(0.1)
    assert uncertainty["token_entropy"]["tokens"] == 2
    assert uncertainty["reasoning_entropy"]["mean"] == pytest.approx(3)
    assert uncertainty["reasoning_entropy"]["tokens"] == 2
    assert body["usage"]["completion_tokens"] == 4
    assert body["decision"] == "answer"  # by the answer's entropy, not by the reasoning's


async def test_an_answer_that_is_all_reasoning_is_none():
    async with Gateway(Script("<think>where? hm", (2.0, 4.0)), model="another/model") as gateway:
        body = (await gateway.ask()).json()
    assert body["decision"] == "abstain"
    assert body["uncertainty"]["token_entropy"] is None
    assert body["uncertainty"]["reasoning_entropy"]["tokens"] == 2
