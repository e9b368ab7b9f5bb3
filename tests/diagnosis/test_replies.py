"""Every answer is what it was: refused, empty, thought aloud, measured by its own tokens only."""

import json
import math
from typing import Any

import pytest

from ucbd.models.upstream.replies import Said, replies
from ucbd.models.upstream.wire import NoAnswer


def body(*choices: dict[str, Any], **rest: Any) -> bytes:
    return json.dumps({"choices": list(choices), **rest}).encode()


def choice(content: Any, finish: str | None = "stop", tokens: Any = None, **message: Any) -> Any:
    logprobs = None if tokens is None else {"content": tokens}
    said = {"content": content, **message}
    return {"message": said, "finish_reason": finish, "logprobs": logprobs}


def token(text: str, *values: float | None) -> dict[str, Any]:
    return {"token": text, "top_logprobs": [{"logprob": value} for value in values]}


def one(*arguments: Any, **message: Any) -> Said:
    (said,) = replies(body(choice(*arguments, **message)), 2).said
    return said


def test_an_answer_with_its_tokens_largest_first():
    said = one("It is.", "stop", [token("It", -2.0, -0.5), token(" is.", -0.1, -3.0)])
    assert said == Said("It is.", "stop", False, ((-0.5, -2.0), (-0.1, -3.0)))


def test_no_more_log_probabilities_than_were_asked_for():
    assert one("x", "stop", [token("x", -0.5, -2.0, -9.0)]).top_logprobs == ((-0.5, -2.0),)


def test_an_answer_cut_off_is_said_to_be():
    assert one("It is", "length").ended == "length"


@pytest.mark.parametrize(
    ("finish", "message"),
    [("content_filter", {}), ("stop", {"refusal": "I cannot help with that."})],
)
def test_a_servers_refusal_is_no_text(finish: str, message: dict[str, Any]):
    said = one("half an ans", finish, None, **message)
    assert (said.ended, said.text) == ("refused", "")


def test_an_empty_answer_is_empty():
    assert one(None).text == ""


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_of_its_own_field_is_no_part_of_the_text(field: str):
    """Its tokens come with the answer's; only the answer's are measured."""
    tokens = [token("hm", -1.0), token(" yes", -1.5), token("</think>", 0.0), token("Yes.", -0.2)]
    said = one("Yes.", "stop", tokens, **{field: "hm yes"})
    assert said == Said("Yes.", "stop", True, ((-0.2,),))


def test_reasoning_in_the_text_is_measured_apart_too():
    tokens = [token("<think>", -1.0), token("a</think>", -1.0), token("\n\nA", -0.3)]
    said = one("<think>a</think>\n\nA", "stop", tokens)
    assert said.top_logprobs == ((-0.3,),)


def test_reasoning_in_parts_is_no_part_of_the_text():
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Yes."}]
    said = one(parts)
    assert (said.text, said.reasoned) == ("Yes.", True)


def test_all_reasoning_is_an_empty_answer_that_was_thought_about():
    said = one("", "length", [token("hm", -1.0)], reasoning_content="hm")
    assert (said.text, said.reasoned, said.top_logprobs) == ("", True, None)


@pytest.mark.parametrize("odd", [math.nan, None, 0.5])
def test_log_probabilities_that_are_none_are_not_used(odd: float | None):
    assert one("x", "stop", [token("x", -0.1, odd)]).top_logprobs is None


def test_minus_infinity_and_a_rounding_error_are_brought_within_bounds():
    said = one("x", "stop", [token("x", 1e-7, -math.inf)])
    assert said.top_logprobs == ((0.0, -9999.0),)


def test_tokens_that_the_server_did_not_count_are_none():
    found = replies(body(choice("x")), None)
    assert (found.prompt_tokens, found.completion_tokens) == (None, None)


def test_fewer_tokens_than_none_were_not_counted():
    found = replies(body(choice("x"), usage={"prompt_tokens": 3, "completion_tokens": -1}), None)
    assert (found.prompt_tokens, found.completion_tokens) == (3, None)


@pytest.mark.parametrize(
    "content",
    [body(), body(choice("half", "abort")), b"{", b'{"choices": 3}', b"[NaN]"],
    ids=["no choices", "aborted", "no JSON", "no list", "no object"],
)
def test_what_is_no_answer_is_an_error(content: bytes):
    with pytest.raises(NoAnswer):
        replies(content, None)
