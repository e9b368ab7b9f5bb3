"""Whatever is read from outside is understood or refused in our own words, and never falls over."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ucbd.app.errors import EdgeError, problem, status_and_code
from ucbd.app.generate import wanted
from ucbd.app.keys import Key, KeyRing, KeysUnreadable, hashed, read_keys
from ucbd.app.parse import parse
from ucbd.app.schemas import GenerateRequest
from ucbd.app.settings import Settings, SettingsInvalid, read_settings
from ucbd.cascade.policy import PolicyUnreadable, read_policy

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def objects_like(names) -> st.SearchStrategy[dict]:
    """Objects with some of those fields, of any value at all, and others."""
    known = st.dictionaries(st.sampled_from(sorted(names)), VALUES, max_size=6)
    return st.builds(dict.__or__, st.dictionaries(st.text(max_size=8), VALUES, max_size=2), known)


def written(value: object) -> bytes:
    return json.dumps(value).encode()


REQUESTS = st.binary(max_size=200) | objects_like(GenerateRequest.model_fields).map(written)
MESSAGES = st.fixed_dictionaries(
    {"messages": st.lists(objects_like({"role", "content"}), max_size=4)}
).map(written)


@given(body=REQUESTS | MESSAGES, content_type=st.none() | st.just("application/json") | st.text())
@settings(max_examples=1500, deadline=None)
def test_any_body_is_a_request_or_one_of_the_stated_refusals(body, content_type):
    refused = None
    try:
        wanted(parse(GenerateRequest, content_type, body))
    except EdgeError as error:
        refused = error
    if refused is not None:
        assert status_and_code(refused) in {(400, "malformed"), (422, "invalid_request")}
        assert problem(refused).errors
        assert len(problem(refused).model_dump_json().encode()) < 20_000


def test_the_refusal_of_a_huge_request_is_small():
    """Many wrong fields of long names."""
    body = written({f"{n}" + "x" * 1000: 1 for n in range(500)})
    with pytest.raises(EdgeError) as refused:
        parse(GenerateRequest, None, body)
    assert len(problem(refused.value).model_dump_json()) < 20_000


@given(content=st.binary(max_size=300) | objects_like(Key.model_fields).map(written))
@settings(max_examples=500, deadline=None)
def test_any_keys_file_is_keys_or_one_stated_error(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any-keys.jsonl"
    path.write_bytes(content)
    with contextlib.suppress(KeysUnreadable):
        read_keys(path)


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> KeyRing:
    path = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    path.write_text(json.dumps({"name": "a", "hash": hashed("the key")}))
    return KeyRing(path)


@given(presented=st.text(st.characters(), max_size=60))
@settings(max_examples=500, deadline=None)
def test_no_text_is_a_key_but_the_key(ring, presented):
    assert (ring.find(presented) is not None) == (presented == "the key")


@given(
    content=st.binary(max_size=300) | objects_like({"schema", "stages", "threshold"}).map(written)
)
@settings(max_examples=500, deadline=None)
def test_any_policy_file_is_a_policy_or_one_stated_error(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any-policy.json"
    path.write_bytes(content)
    with contextlib.suppress(PolicyUnreadable):
        read_policy(path)


@given(flags=objects_like(Settings.model_fields), content=st.binary(max_size=100))
@settings(max_examples=500, deadline=None)
def test_any_settings_are_settings_or_one_stated_error(flags, content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any-settings.toml"
    path.write_bytes(content)
    for sources in ((None, flags), (path, {})):
        with contextlib.suppress(SettingsInvalid):
            read_settings(*sources, environment={})
