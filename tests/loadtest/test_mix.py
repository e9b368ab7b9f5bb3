"""Mixes: seeded, versioned by a digest, and named when they are broken."""

import json
from collections import Counter
from itertools import islice

import pytest

from loadtest.mix import FOLDER, MixUnusable, read_mix


def written(folder, **changes):
    told = {
        "name": "made",
        "version": 3,
        "prompts": ["one", "two"],
        "kinds": {
            "plain": {"share": 3, "request": {"max_tokens": 4}},
            "streamed": {"share": 1, "request": {"stream": True}},
        },
    } | changes
    path = folder / "made.json"
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return str(path)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_every_shipped_mix_can_be_asked(name):
    mix = read_mix(name)
    assert (mix.name, len(mix.prompts)) == (name, 2000)
    for ask in islice(mix.asks(1), 50):
        assert json.loads(ask.body)["prompt"] in mix.prompts


def test_requests_are_the_same_for_a_seed_and_follow_the_shares(tmp_path):
    mix = read_mix(written(tmp_path))
    first, again, other = (list(islice(mix.asks(seed), 4000)) for seed in (1, 1, 2))
    assert first == again != other
    kinds = Counter(ask.kind for ask in first)
    assert abs(kinds["plain"] - 3000) < 3 * (4000 * 0.75 * 0.25) ** 0.5
    assert {ask.stream for ask in first if ask.kind == "streamed"} == {True}
    assert {ask.stream for ask in first if ask.kind == "plain"} == {False}


def test_each_request_has_a_seed_of_its_own_unless_the_mix_names_one(tmp_path):
    asks = list(islice(read_mix(written(tmp_path)).asks(1), 100))
    assert len({json.loads(ask.body)["seed"] for ask in asks}) == 100
    fixed = {"plain": {"share": 1, "request": {"seed": 7}}}
    asks = list(islice(read_mix(written(tmp_path, kinds=fixed)).asks(1), 10))
    assert {json.loads(ask.body)["seed"] for ask in asks} == {7}


def test_the_digest_changes_with_what_is_asked_and_not_with_its_name(tmp_path):
    plain = read_mix(written(tmp_path)).digest
    assert read_mix(written(tmp_path, name="other")).digest == plain
    assert read_mix(written(tmp_path, prompts=["one", "three"])).digest != plain
    more = {"plain": {"share": 4, "request": {"max_tokens": 4}}}
    assert read_mix(written(tmp_path, kinds=more)).digest != plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": None}, "made.json: kinds: is missing"),
        ({"kinds": {"plain": {"request": {}}}}, "made.json: share: is missing"),
        ({"prompts": []}, "made.json: needs a prompt"),
        ({"kinds": {"plain": {"share": 0, "request": {}}}}, "made.json: needs a prompt, and a"),
        ({"prompts": "none.jsonl"}, "none.jsonl: No such file or directory; shipped: answers"),
        ({"version": "first"}, "made.json: invalid literal"),
    ],
)
def test_a_file_that_is_no_mix_is_named_with_what_is_wrong(tmp_path, changes, message):
    with pytest.raises(MixUnusable, match=message):
        read_mix(written(tmp_path, **changes))
