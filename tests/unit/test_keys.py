"""Keys and limits: whose key it is, what the file may say, and how much a caller may ask."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucbd.app.errors import PolicyUnavailable
from ucbd.app.keys import KeyRing, KeysUnreadable, anybody, hashed, new_key, read_keys
from ucbd.app.limits import Allowance, Bucket

KEY, OTHER = new_key(), new_key()


def entry(name: str, key: str = KEY, **limits: object) -> str:
    return json.dumps({"name": name, "hash": hashed(key)} | limits) + "\n"


def written(tmp_path, *entries: str):
    path = tmp_path / "keys.jsonl"
    path.write_text("".join(entries))
    return path


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_hash_is_sha256_of_the_key_and_a_new_key_is_256_random_bits():
    assert hashed("abc").endswith(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert re.fullmatch(r"ucbd-[A-Za-z0-9_-]{43}", KEY)  # 43 · 6 bits hold 256
    assert len({new_key() for _ in range(100)}) == 100


def test_a_key_is_found_by_its_value_and_nothing_else_is(tmp_path):
    ring = KeyRing(written(tmp_path, entry("a", KEY, requests_per_minute=60), entry("b", OTHER)))
    assert (ring.find(KEY).name, ring.find(KEY).allowance.limits) == ("a", (60, None))
    assert (ring.find(OTHER).name, ring.find(OTHER).allowance.limits) == ("b", (None, None))
    for wrong in ("", KEY[:-1], KEY + "x", KEY.upper(), hashed(KEY), "\udce4", "ключ"):
        assert ring.find(wrong) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[keys]]", "1: the line: Invalid JSON"),
        ("3", "1: the line: Input should be an object"),
        ('\n{"name": "a"}', "2: hash: Field required"),
        (entry("a").replace("sha256:", ""), "1: hash: String should match"),
        (entry("a b"), "1: name: String should match"),
        (entry("a", tokens_per_minute=0), "1: tokens_per_minute: .*greater than 0"),
        (entry("a", policies=[]), "1: policies"),
        (entry("a", color=1), "1: color: Extra inputs"),
        (entry("a") + entry("a", OTHER), "2: name: 'a' stands there twice"),
        (entry("a") + entry("b"), "2: hash: 'b' has that of another"),
    ],
)
def test_a_keys_file_that_cannot_be_used_says_what_and_shows_no_hash(tmp_path, text, complaint):
    with pytest.raises(KeysUnreadable, match=rf"keys\.jsonl:{complaint}") as caught:
        read_keys(written(tmp_path, text))
    assert hashed(KEY)[7:] not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KeysUnreadable, match=r"keys\.jsonl: No such file"):
        KeyRing(tmp_path / "keys.jsonl")


def test_a_changed_file_counts_after_a_second_and_a_broken_one_never(tmp_path):
    clock = Clock()
    path = written(tmp_path, entry("a"))
    ring = KeyRing(path, clock)
    path.write_text(entry("b", OTHER) + "\n")
    assert ring.find(KEY).name == "a"  # not looked at yet
    clock.now = 1
    assert (ring.find(KEY), ring.find(OTHER).name) == (None, "b")
    for broken in ("{", None):
        path.write_text(broken) if broken else path.unlink()
        clock.now += 1
        assert ring.find(OTHER).name == "b"
    path.write_text(entry("a"))
    ring.reload()  # as on SIGHUP: at once
    assert ring.find(KEY).name == "a"


def test_what_is_left_of_a_limit_survives_a_reload_and_a_changed_limit_begins_anew(tmp_path):
    path = written(tmp_path, entry("a", KEY, requests_per_minute=2))
    ring = KeyRing(path, Clock())
    ring.find(KEY).allowance.ask()
    ring.reload()
    assert ring.find(KEY).allowance.headers()["x-ratelimit-remaining-requests"] == "1"
    written(tmp_path, entry("a", KEY, requests_per_minute=3))
    ring.reload()
    assert ring.find(KEY).allowance.headers()["x-ratelimit-remaining-requests"] == "3"


def test_a_caller_gets_the_first_of_its_policies_and_no_other_than_these(tmp_path):
    ring = KeyRing(written(tmp_path, entry("a", KEY, policies=["paper", "mine"])))
    caller = ring.find(KEY)
    assert (caller.policy(None), caller.policy("mine")) == ("paper", "mine")
    with pytest.raises(PolicyUnavailable, match="this key may use paper, mine, got 'default'"):
        caller.policy("default")
    assert (anybody().policy(None), anybody().policy("x")) == (None, "x")


def test_a_bucket_fills_steadily_up_to_its_limit_and_pays_its_debt_first():
    clock = Clock()
    bucket = Bucket(60, clock)
    bucket.take(90)
    assert (bucket.level(), bucket.wait(1)) == (-30, 31)
    clock.now = 40
    assert (bucket.level(), bucket.wait(1)) == (10, 0)
    clock.now = 4000
    assert bucket.level() == 60


def test_requests_over_the_limit_are_told_when_to_come_again():
    clock = Clock()
    allowance = Allowance(2, None, clock)
    assert [allowance.ask(), allowance.ask()] == [None, None]
    refused = allowance.ask()
    assert (refused.what, refused.limit, refused.retry_after) == ("requests", 2, 30)
    clock.now = 30
    assert allowance.ask() is None
    assert allowance.ask().what == "requests"


def test_tokens_may_be_overdrawn_once_and_are_paid_back_before_the_next_request():
    clock = Clock()
    allowance = Allowance(None, 600, clock)  # ten a second
    assert allowance.ask() is None
    allowance.spend(1000)
    refused = allowance.ask()
    assert (refused.what, refused.retry_after) == ("tokens", pytest.approx(40.1))
    clock.now = 40.2
    assert allowance.ask() is None


def test_the_limit_that_takes_longest_is_the_one_that_is_told():
    allowance = Allowance(60, 60, Clock())
    for _ in range(60):
        allowance.ask()
    allowance.spend(70)
    assert allowance.ask().what == "tokens"  # 11 s, and 1 s for a request


def test_the_headers_say_limit_remaining_and_when_it_is_whole_again():
    clock = Clock()
    allowance = Allowance(60, 600, clock)
    allowance.ask()
    allowance.spend(601)
    assert allowance.headers() == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1.000s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "60.100s",
    }
    assert Allowance(None, None).headers() == {}


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), max_size=40))
def test_however_a_caller_asks_no_minute_gives_more_than_twice_the_limit(steps):
    """A full bucket and what flows in during the minute."""
    clock = Clock()
    allowance, granted = Allowance(30, None, clock), []
    for pause, wanted in steps:
        clock.now += pause
        granted += [clock.now for _ in range(wanted) if allowance.ask() is None]
    for start in granted:
        assert sum(start <= at < start + 60 for at in granted) <= 60
