"""Thousands of requests of every kind at once, and what the client saw of each.

Knows HTTP only. The mix is drawn from a seed: what is asked, what is wrong with it, and whether the
client stays to hear the answer.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

LEFT = "left"  # what a client saw that went away


@dataclass(frozen=True)
class Ask:
    """One request. ``leaves`` is after how many seconds its client goes, None for never."""

    body: bytes
    key: str
    stream: bool = False
    leaves: float | None = None


@dataclass
class Seen:
    """What came of all requests, and how much memory the gateway held after how many of them."""

    outcomes: Counter = field(default_factory=Counter)
    degraded: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return self.outcomes.total()


def mix(seed: int, count: int, *, key: str, limited: str) -> list[Ask]:
    """``count`` requests; the engine dies of one in every five thousand."""
    chance = random.Random(seed)
    made = [_one(chance, key, limited) for _ in range(count)]
    for at in range(2500, count, 5000):
        made[at] = Ask(_body(prompt="fault=death where"), key)
    return made


def _one(chance: random.Random, key: str, limited: str) -> Ask:
    kind = chance.choices(
        ("plain", "sampled", "streamed", "wrong", "fault", "late", "leaves", "caller"),
        (38, 18, 10, 8, 8, 5, 9, 4),
    )[0]
    pause = round(chance.uniform(0, 0.04), 4)
    plain = f"delay={pause} entropy=0.01 where"
    sampled = f"delay={pause} sample_delay={pause} entropy=0.2 where"
    match kind:
        case "plain":
            return Ask(_body(prompt=plain), key)
        case "sampled":
            return Ask(_body(prompt=sampled, explain=chance.random() < 0.3, seed=1), key)
        case "streamed":
            return Ask(_body(prompt=chance.choice((plain, sampled)), stream=True), key, stream=True)
        case "wrong":
            wrong = (
                b"{",
                b"\xff\xfe",
                _body(prompt=""),
                _body(prompt=plain, max_tokens=-1),
                _body(prompt=plain, nonsense=chance.random()),
                _body(prompt=plain, policy="none-such"),
                _body(prompt="word " * 100),
                _body(prompt="x" * 5000),
            )
            return Ask(chance.choice(wrong), key)
        case "fault":
            fault = chance.choice(
                ("fault=failed", "fault=bug", "fault=unavailable", "sample_fault=bug")
            )
            stream = chance.random() < 0.3
            return Ask(_body(prompt=f"{fault} {sampled}", stream=stream), key, stream=stream)
        case "late":
            return Ask(_body(prompt="delay=5 where", deadline_ms=chance.randint(1, 40)), key)
        case "leaves":
            stream = chance.random() < 0.5
            slow = f"delay={chance.choice((0, 2))} sample_delay=2 entropy=0.2 where"
            return Ask(_body(prompt=slow, stream=stream), key, leaves=chance.uniform(0, 0.1))
        case _:
            return Ask(_body(prompt=plain), chance.choice((limited, "ucbd-nobody", "")))


def _body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


async def soak(url: str, asks: list[Ask], *, memory, every: int = 500) -> Seen:
    """Ask them all, in waves of few and of far too many at a time."""
    seen = Seen()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        for start in range(0, len(asks), every):
            wave = asks[start : start + every]
            at_once = asyncio.Semaphore((8, 24, 96)[start // every % 3])
            await asyncio.gather(*(_ask(session, url, ask, at_once, seen) for ask in wave))
            seen.memory.append((seen.asked, memory()))
    return seen


async def _ask(session, url: str, ask: Ask, at_once: asyncio.Semaphore, seen: Seen) -> None:
    async with at_once:
        if ask.leaves is not None:
            await _leave(url, ask)
            seen.outcomes[LEFT] += 1
            return
        headers = {"content-type": "application/json", "authorization": f"Bearer {ask.key}"}
        async with session.post(f"{url}/generate", data=ask.body, headers=headers) as response:
            content = await response.read()
        result = _last_event(content) if response.content_type == "text/event-stream" else content
        body = json.loads(result)
        if response.status in (429, 503):
            assert int(response.headers["retry-after"]) >= 1
        seen.outcomes[body.get("code") or "answered"] += 1
        seen.degraded += body.get("degraded") is not None


def _last_event(stream: bytes) -> bytes:
    name, data = stream.strip().split(b"\n\n")[-1].split(b"\n")
    assert name in (b"event: result", b"event: error"), name
    return data.removeprefix(b"data: ")


async def _leave(url: str, ask: Ask) -> None:
    """Send all of a request, and be gone before its answer can be read."""
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {ask.key}\r\nContent-Length: {len(ask.body)}\r\n\r\n"
    )
    writer.write(head.encode() + ask.body)
    await writer.drain()
    await asyncio.sleep(ask.leaves or 0)
    writer.close()
    await writer.wait_closed()
