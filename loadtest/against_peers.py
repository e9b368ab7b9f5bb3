"""The gateway against its peers, all in front of the same instant upstream, one worker each.

    python3.11 -m venv /tmp/litellm
    /tmp/litellm/bin/pip install --no-deps -r requirements/litellm.txt
    .venv/bin/python -m loadtest.against_peers --litellm /tmp/litellm/bin/litellm --rounds 9

The upstream's answer carries 16 tokens with 20 top log-probabilities each. The gateway computes
bounds from them, decides, and writes its whole response; ``passthrough.py`` hands the bytes on, and
``least_gateway.py`` reads them and computes the bounds, and nothing else.
In each round all take their turn at 16 connections and at one; the last line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.closed_loop import Load, load
from loadtest.pairs import ratio, round_count, spread
from loadtest.servers import Server, gateway_command, started

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
QUESTION = "What is the capital of Norland?"
TURNS = [{"role": "user", "content": QUESTION}]
CHAT = {"model": "instant", "messages": TURNS, "max_tokens": 64, "temperature": 0}
LOGPROBS = {"logprobs": True, "top_logprobs": 20}
ASKED = {
    "gateway": ("/generate", {"prompt": QUESTION, "max_tokens": 64}),
    "gateway /v1": ("/v1/chat/completions", CHAT),
    "httpx": ("/v1/chat/completions", CHAT | LOGPROBS),
    "aiohttp": ("/v1/chat/completions", CHAT | LOGPROBS),
    "least": ("/v1/chat/completions", CHAT),
    "litellm": ("/v1/chat/completions", CHAT | LOGPROBS),
    "upstream": ("/v1/chat/completions", CHAT | LOGPROBS),
}
"""Who is asked what. The gateway asks for log-probabilities itself: nobody wants them of it."""


PROXIES = {"httpx": "passthrough", "aiohttp": "passthrough", "least": "least_gateway"}


@contextmanager
def all_of_them(litellm: str | None) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        python = str(BIN / "python")
        instant = [python, str(HERE / "instant_upstream.py"), "--port", "{port}"]
        upstream = stack.enter_context(started("upstream", instant, "/v1/models"))
        servers = {"upstream": upstream}
        ours = [*gateway_command(), "--upstream", upstream.url]
        vocabulary = {"UCBD_VOCAB_SIZE": "128000"}
        servers["gateway"] = stack.enter_context(started("gateway", ours, "/readyz", vocabulary))
        servers["gateway /v1"] = servers["gateway"]
        for client, module in PROXIES.items():
            proxy = [python, "-m", f"loadtest.{module}", "--client", client]
            words = [*proxy, "--upstream", upstream.url, "--port", "{port}"]
            servers[client] = stack.enter_context(started(client, words, "/readyz"))
        if litellm:
            config = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
            config.write(LITELLM.replace("URL", upstream.url))
            config.flush()
            words = [litellm, "--config", config.name, "--port", "{port}", "--num_workers", "1"]
            alive = "/health/liveliness"
            servers["litellm"] = stack.enter_context(started("litellm", words, alive, LITELLM_SET))
        yield servers


SLOW = {"litellm": 5}
"""How much longer its turns are: in two seconds it may not answer once to 16 connections."""

LITELLM_SET = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # no keys, as the others
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
LITELLM = """
model_list:
  - model_name: instant
    litellm_params: {model: openai/instant, api_base: URL/v1, api_key: none}
"""


def rounds(
    servers: dict[str, Server], turns: int, seconds: int
) -> dict[int, dict[str, list[Load]]]:
    """By connections and server, the loads of all rounds but the first, which warms up."""
    found: dict[int, dict[str, list[Load]]] = {16: {}, 1: {}}
    for turn in range(turns + 1):
        for connections, by_name in found.items():
            for name, server in servers.items():
                path, body = ASKED[name]
                done = load(server, path, [body], connections, SLOW.get(name, 1) * seconds)
                if turn:
                    by_name.setdefault(name, []).append(done)
        print(f"round {turn} of {turns}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--litellm", help="its program; left out without")
    parser.add_argument("--rounds", type=round_count, default=9)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    with all_of_them(given.litellm) as servers:
        found = rounds(servers, given.rounds, given.seconds)
    many, alone = found[16], found[1]
    print(f"{'':<14}{'req/s at 16':>14}{'loop CPU ms':>14}{'p50 ms at 1':>14}")
    for name in servers:
        rates = spread([one.per_second for one in many[name]])["median"]
        cpu = spread([one.cpu_ms for one in many[name]])["median"]
        p50 = spread([one.p50_ms for one in alone[name]])["median"]
        print(f"{name:<14}{rates:>14.1f}{cpu:>14.3f}{p50:>14.3f}")
    result: dict[str, object] = {"rounds": given.rounds, "seconds": given.seconds}
    for ours in ("gateway", "gateway /v1", "least"):
        of = {}
        for peer in ("litellm", "httpx", "aiohttp", "least"):
            if peer in servers and peer != ours:
                of[peer] = {
                    "throughput": ratio(*rates_of(many, ours, peer)),
                    "loop_cpu": ratio(*(cpus_of(many, one) for one in (peer, ours))),
                }
        added = [
            one.p50_ms - bare.p50_ms
            for one, bare in zip(alone[ours], alone["upstream"], strict=True)
        ]
        result[ours] = {"times": of, "added_p50_ms": spread(added)}
    print(json.dumps(result))


def rates_of(found: dict[str, list[Load]], *names: str) -> list[list[float]]:
    return [[one.per_second for one in found[name]] for name in names]


def cpus_of(found: dict[str, list[Load]], name: str) -> list[float]:
    return [one.cpu_ms for one in found[name]]


if __name__ == "__main__":
    main()
