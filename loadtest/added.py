"""How much later than its engine the gateway is: with the first token, or with the whole answer.

    .venv/bin/python loadtest/added.py --url http://127.0.0.1:8000 --of answer --at-once 1

Each round sends requests at once, over connections that are open already, and takes two times of
the same ones: from the request's last byte to the first token event (of a stream) or to the
response's end, and vLLM's own for the same from the gateway's /metrics (its sum over its count,
before and after the round, so of the main answers and of what samples were drawn: questions are
sent with samples forbidden). The last line printed is one JSON object. Knows HTTP only.
"""

import argparse
import asyncio
import json
import re
import statistics
import time
from urllib.parse import urlsplit

OWN = {
    "first token": "vllm:time_to_first_token_seconds",
    "answer": "vllm:e2e_request_latency_seconds",
}
QUESTION = "Where does Gita Lauck come from?"
WARM_UP = 20  # rounds that are not counted


class Connection:
    """One open connection that is asked again and again."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    async def open(self) -> "Connection":
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def get(self, path: str) -> bytes:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
        return await self.reader.readexactly(length)

    async def seconds(self, path: str, body: bytes) -> float:
        """From the request to the first token of its stream, read to its end, or to its answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        start = time.perf_counter()
        headers = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in headers.split(b"\r\n", 1)[0]:
            raise SystemExit(f"{path}: {headers.decode()}")
        if whole := re.search(rb"content-length: (\d+)", headers):
            await self.reader.readexactly(int(whole.group(1)))
            return time.perf_counter() - start
        first = 0.0
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            chunk = await self.reader.readexactly(size + 2)
            if not first and b"data: " in chunk:
                first = time.perf_counter() - start
        await self.reader.readexactly(2)
        return first


async def engines_own(connection: Connection, metric: str) -> tuple[float, float]:
    """What vLLM has measured so far: its sum in seconds, and its count."""
    metrics = (await connection.get("/metrics")).decode()
    found = [
        re.search(rf"^{metric}_{part}\{{.*\}} (\S+)$", metrics, re.MULTILINE)
        for part in ("sum", "count")
    ]
    if not all(found):
        raise SystemExit(f"the gateway's /metrics have no {metric}: is its engine its own vLLM?")
    total, count = (float(one.group(1)) for one in found if one)
    return total, count


async def rounds(arguments: argparse.Namespace) -> list[tuple[float, float]]:
    """(the engine's own, as seen here) of each round: mean seconds."""
    url = urlsplit(arguments.url)
    host, port = url.hostname or "127.0.0.1", url.port or 80
    path, body = request(arguments)
    metric = OWN[arguments.of]
    scraper = await Connection(host, port).open()
    clients = [await Connection(host, port).open() for _ in range(arguments.at_once)]
    found = []
    for turn in range(WARM_UP + arguments.rounds):
        total, count = await engines_own(scraper, metric)
        seen = await asyncio.gather(*(client.seconds(path, body) for client in clients))
        after, counted = await engines_own(scraper, metric)
        if counted - count != arguments.at_once:
            raise SystemExit(f"{counted - count:g} answers counted: something else asks it too")
        if turn >= WARM_UP:
            found.append(((after - total) / (counted - count), statistics.fmean(seen)))
    return found


def request(arguments: argparse.Namespace) -> tuple[str, bytes]:
    stream = arguments.of == "first token"
    if arguments.api == "generate":
        wanted = {"prompt": QUESTION, "samples": 0, "stream": stream}
        return "/generate", json.dumps(wanted).encode()
    wanted = {
        "model": arguments.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": stream,
        "ucbd": {"samples": 0},
    }
    return "/v1/chat/completions", json.dumps(wanted).encode()


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds at the middle and the end of the distribution."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"p{p}": round(1000 * cuts[p - 1], 2) for p in (50, 95, 99)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--of", choices=[*OWN], default="first token")
    parser.add_argument("--api", choices=["generate", "openai"], default="generate")
    parser.add_argument("--model", default="reference-dpo", help="served model, for openai")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=1, help="requests in each round")
    arguments = parser.parse_args()
    found = asyncio.run(rounds(arguments))
    table = {
        "engine_ms": spread([own for own, _ in found]),
        "gateway_ms": spread([seen for _, seen in found]),
        "added_ms": spread([seen - own for own, seen in found]),
        "ratio": round(statistics.median(seen / own for own, seen in found), 2),
    }
    print(f"{f'ms to {arguments.of}':<20}{'p50':>9}{'p95':>9}{'p99':>9}")
    for name in ("engine_ms", "gateway_ms", "added_ms"):
        print(f"{name[:-3]:<20}" + "".join(f"{value:>9.2f}" for value in table[name].values()))
    print(
        json.dumps(
            {"of": arguments.of, "api": arguments.api, "at_once": arguments.at_once, **table}
        )
    )


if __name__ == "__main__":
    main()
