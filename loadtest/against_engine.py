"""The gateway with exact token entropy against vLLM itself: its server, and its engine without one.

    .venv/bin/python -m loadtest.against_engine --rounds 7

All on the embedded model, asked the same questions greedily, in interleaved turns: the gateway's
chat completions without samples, vLLM's own API server without log-probabilities and with 20, and
``AsyncLLM`` in a bare loop. Then bursts of ten samples beside one answer. The last line is one
JSON object; ratios are of throughput, ours ÷ theirs.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtest.closed_loop import Load, load
from loadtest.pairs import ratio, round_count, spread
from loadtest.servers import Server, gateway_command, started

HERE = Path(__file__).parent
MODEL = HERE.parent / "models/reference/weights/reference/dpo"
QUESTIONS = HERE.parent / "models/reference/questions/facts.jsonl"
NAME = "reference-dpo"
CHAT = "/v1/chat/completions"
QUIET = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
VLLM = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(MODEL), "--port", "{port}"]
VLLM += ["--served-model-name", NAME, "--enforce-eager", "--block-size", "32"]
VLLM += ["--max-num-seqs", "128", "--enable-prefix-caching", "--disable-uvicorn-access-log"]


class RawEngine:
    """``raw_engine.py`` under way."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ours
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | QUIET,
        )
        self._in, self._out = self._process.stdin, self._process.stdout
        self._said()

    def load(self, concurrency: int, seconds: int) -> Load:
        self._in.write(f"{concurrency} {seconds}\n")
        self._in.flush()
        found = self._said()
        return Load(found["per_second"], found["p50_ms"], 0.0)

    def close(self) -> None:
        self._in.close()
        self._process.wait(60)

    def _said(self) -> dict[str, Any]:
        while line := self._out.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("the raw engine ended")


@contextmanager
def raw_engine(questions: list[str]) -> Iterator[RawEngine]:
    words = [sys.executable, str(HERE / "raw_engine.py"), "--model", str(MODEL)]
    engine = RawEngine([*words, "--questions", json.dumps(questions)])
    try:
        yield engine
    finally:
        engine.close()


def bodies(questions: list[str], **more: Any) -> list[dict[str, Any]]:
    asked = {"model": NAME, "max_tokens": 64, "temperature": 0, **more}
    return [asked | {"messages": [{"role": "user", "content": q}]} for q in questions]


def rounds(
    gateway: Server, vllm: Server, raw: RawEngine, questions: list[str], turns: int, seconds: int
) -> dict[int, dict[str, list[Load]]]:
    """By concurrency and what was asked, the loads of all rounds but the first."""
    ours = bodies(questions, ucbd={"samples": 0})
    plain, top = bodies(questions), bodies(questions, logprobs=True, top_logprobs=20)
    found: dict[int, dict[str, list[Load]]] = {1: {}, 32: {}}
    for turn in range(turns + 1):
        for many, by_name in found.items():
            done = {
                "gateway": load(gateway, CHAT, ours, many, seconds),
                "vllm": load(vllm, CHAT, plain, many, seconds),
                "vllm logprobs": load(vllm, CHAT, top, many, seconds),
                "raw": raw.load(many, seconds),
            }
            for name, one in done.items():
                if turn:
                    by_name.setdefault(name, []).append(one)
        print(f"round {turn} of {turns}", file=sys.stderr)
    return found


def bursts(gateway: Server, questions: list[str], count: int) -> dict[str, float]:
    """Time of ten samples drawn together ÷ time of one answer to the same question."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    found = []
    for question in (questions * count)[: count + 3]:
        start = time.perf_counter()
        ask(connection, {"prompt": question, "samples": 0})
        alone = time.perf_counter() - start
        stages = ask(connection, {"prompt": question, "explain": True})["stages"]
        sampled = next(stage for stage in stages if stage["name"] == "sampling")
        found.append(sampled["seconds"] / alone)
    return spread(found[3:])


def ask(connection: http.client.HTTPConnection, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    connection.request("POST", "/generate", json.dumps(body), headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != http.client.OK:
        raise SystemExit(said.decode())
    return json.loads(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=round_count, default=7)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--bursts", type=int, default=60)
    given = parser.parse_args()
    lines = QUESTIONS.read_text().splitlines()[:400:10]
    questions = [q for q in (json.loads(line)["prompt"] for line in lines) if q.isascii()]
    with (
        started("gateway", gateway_command(), "/readyz", {"UCBD_SHADOW": "0"}) as gateway,
        started("vllm", [sys.executable, *VLLM], "/v1/models", QUIET) as vllm,
        raw_engine(questions) as raw,
    ):
        found = rounds(gateway, vllm, raw, questions, given.rounds, given.seconds)
        sampled = bursts(gateway, questions, given.bursts)
    result: dict[str, Any] = {"rounds": given.rounds, "seconds": given.seconds}
    for many, by_name in found.items():
        print(f"{f'at {many}':<16}{'answers/s':>12}{'p50 ms':>10}")
        for name, loads in by_name.items():
            rate = spread([one.per_second for one in loads])["median"]
            p50 = spread([one.p50_ms for one in loads])["median"]
            print(f"{name:<16}{rate:>12.1f}{p50:>10.2f}")
        rates = {name: [one.per_second for one in loads] for name, loads in by_name.items()}
        result[f"at {many}"] = {
            name: ratio(rates["gateway"], theirs)
            for name, theirs in rates.items()
            if name != "gateway"
        }
    pairs = zip(found[1]["gateway"], found[1]["raw"], strict=True)
    result["added_p50_ms"] = spread([ours.p50_ms - raw.p50_ms for ours, raw in pairs])
    result["ten_samples_over_one_answer"] = sampled
    print(json.dumps(result))


if __name__ == "__main__":
    main()
