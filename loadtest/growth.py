"""How latency, CPU and memory grow with what there is more of: a table and a JSON file an axis.

    .venv/bin/python -m loadtest.growth concurrency --out docs/growth

Starts its own gateways, in front of an instant upstream (what grows is then the gateway's own) or,
with ``--engine embedded``, on the embedded model. Nothing is shed: the limits are set out of reach.
``plots`` draws what the files say. Times are seconds in the file; the last line is the file.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from scipy import stats

from loadtest.drive import exact_loop
from loadtest.mix import Mix, made_mix, read_mix
from loadtest.phases import Phase, Ran, Test
from loadtest.report import last_line
from loadtest.servers import gateway_command, started

OPEN = {"UCBD_CAPACITY": "100000", "UCBD_MAX_IN_FLIGHT": "1000", "UCBD_SHADOW": "0"}
UPTIME, SETTLED = 50_000, 10_000  # requests
INDEXES = (1_000, 10_000, 100_000, 1_000_000)
POLICIES = {
    "dense": {
        "schema": 1,
        "description": "Density, then the answer's own entropy: for the growth of a search.",
        "threshold": 0.9,
        "stages": [{"stage": "density"}, {"stage": "fluency"}],
    },
    "many": {
        "schema": 1,
        "description": "As many samples as a request allows.",
        "threshold": 0.9,
        "stages": [{"stage": "fluency"}, {"stage": "sampling"}],
        "samples": 32,
    },
}


class Growth:
    """Runs the points of one axis."""

    def __init__(self, engine: str, indexes: Path) -> None:
        self.engine, self.indexes = engine, indexes

    @contextmanager
    def gateway(self, tokens: int = 16, **settings: str) -> Iterator[str]:
        """The URL of a fresh one, which has the policies ``POLICIES`` too."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, policy in POLICIES.items():
                (folder / f"{name}.json").write_text(json.dumps(policy))
            command, own = gateway_command(), OPEN | {"UCBD_POLICIES": str(folder)} | settings
            if self.engine == "upstream":
                instant = [sys.executable, "-m", "loadtest.instant_upstream", "--port", "{port}"]
                instant += ["--tokens", str(tokens)]
                url = stack.enter_context(started("the upstream", instant, "/v1/models")).url
                command, own = [*command, "--upstream", url], own | {"UCBD_VOCAB_SIZE": "128000"}
            yield stack.enter_context(started("the gateway", command, "/readyz", own)).url

    def concurrency(self) -> Iterator[dict[str, Any]]:
        """From 1 to 256 at a time, one answer each and no samples."""
        with self.gateway() as url:
            for at_once in (1, 2, 4, 8, 16, 32, 64, 128, 256):
                phase = Phase("", self._answers(), concurrency=at_once, seconds=6)
                yield _row(at_once, _run(url, phase))

    def samples(self) -> Iterator[dict[str, Any]]:
        """From 0 to 32 samples of a request, all of them drawn, one request at a time."""
        with self.gateway() as url:
            for drawn in (0, 2, 4, 8, 16, 32):
                request = {"samples": drawn, "policy": "many", "explain": True, "max_tokens": 32}
                mix = made_mix("sampled", read_mix("answers").prompts, request)
                yield _row(drawn, _run(url, Phase("", mix, concurrency=1, requests=150)))

    def length(self) -> Iterator[dict[str, Any]]:
        """From 16 to 4,096 tokens of an answer, with 20 log-probabilities each."""
        for tokens in (16, 64, 256, 1024, 4096):
            with self.gateway(tokens) as url:
                requests = 200 if tokens < 1024 else 60
                mix = made_mix(
                    "long", ["Tell me all about Lorne."], {"max_tokens": 4096, "samples": 0}
                )
                yield _row(tokens, _run(url, Phase("", mix, concurrency=1, requests=requests)))

    def index(self) -> Iterator[dict[str, Any]]:
        """From 10³ to 10⁶ entries of a reference index, which every request is looked up in.

        By one thread: two that wait for each other on a busy machine burn more than they compute.
        """
        request = {"policy": "dense", "explain": True, "samples": 0}
        mix = made_mix("dense", read_mix("answers").prompts, request)
        for entries in INDEXES:
            where = self.indexes / f"index-{entries}"
            if not (where / "index.json").is_file():
                make = [sys.executable, "-m", "loadtest.made_index", "--entries", str(entries)]
                subprocess.run([*make, "--out", str(where)], check=True)  # noqa: S603 - ours
            with self.gateway(UCBD_REFERENCE_INDEX=str(where), OMP_NUM_THREADS="1") as url:
                yield _row(
                    entries, _run(url, Phase("", mix, concurrency=1, requests=150)), "density"
                )

    def uptime(self) -> Iterator[dict[str, Any]]:
        """50,000 requests of one gateway, 16 at a time: one answer in four with ten samples."""
        asked, prompts = 0, read_mix("answers").prompts
        plain = made_mix("plain", prompts, {"samples": 0})
        sampled = made_mix("sampled", prompts, {"explain": True})
        mix = Mix("uptime", 1, plain.digest, prompts, (*plain.kinds * 3, *sampled.kinds))
        with self.gateway() as url:
            _run(url, Phase("", mix, concurrency=16, requests=2000))  # every pool has its size
            while asked < UPTIME:
                phase = Phase("", mix, concurrency=16, requests=2500)
                asked += phase.requests or 0
                yield _row(asked, _run(url, phase))

    def _answers(self) -> Mix:
        return read_mix("answers")


AXES: dict[str, Callable[[Growth], Iterator[dict[str, Any]]]] = {
    "concurrency": Growth.concurrency,
    "samples": Growth.samples,
    "length": Growth.length,
    "index": Growth.index,
    "uptime": Growth.uptime,
}


def slope(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Least squares: per unit of x, with half the width of its 95 % interval, and at 0."""
    fit = stats.linregress(x, y)
    half = float(fit.stderr * stats.t.ppf(0.975, len(x) - 2))
    return {"slope": float(fit.slope), "half": half, "at_zero": float(fit.intercept)}


def _run(url: str, phase: Phase) -> Ran:
    async def run() -> Ran:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            test = Test(session, url, metrics=[url], seed=1, timeout=120)
            await test.warm_up(phase.mix, 20)
            return await test.run(phase)

    with asyncio.Runner(loop_factory=exact_loop) as runner:
        return runner.run(run())


def _row(x: float, ran: Ran, stage: str | None = None) -> dict[str, Any]:
    """One point: seconds, CPU seconds of the gateway's process a request, its bytes afterwards."""
    figures = ran.figures
    checked, latency = figures["crosscheck"], figures["service"]
    if figures["error_share"] or not checked["agrees"]:
        raise SystemExit(f"at {x:g}: {figures['errors']}, agrees: {checked['agrees']}")
    row = {"x": x, "n": latency["n"], "throughput": figures["throughput"]}
    row |= {rank: latency[rank] for rank in ("mean", "p50", "p95", "p99")}
    row |= {"cpu": figures["cpu"], "memory": figures["memory"][1]}
    if stage is not None:
        row |= {"stage": figures["stages"][stage]["p50"]}
    return row


def _slopes(axis: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of uptime, from where the process has its size."""
    rows = [row for row in rows if axis != "uptime" or row["x"] >= SETTLED]
    x = [row["x"] for row in rows]
    return {name: slope(x, [row[name] for row in rows]) for name in ("p50", "cpu", "memory")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("axis", choices=[*AXES, "plots"])
    parser.add_argument("--engine", choices=["upstream", "embedded"], default="upstream")
    parser.add_argument("--out", type=Path, required=True)
    where, kept = Path(tempfile.gettempdir()), "where reference indexes are made, and found again"
    parser.add_argument("--indexes", type=Path, default=where, help=kept)
    options = parser.parse_args()
    if options.axis == "plots":
        from loadtest.growth_plots import draw

        draw(options.out)
        return
    rows = []
    for row in AXES[options.axis](Growth(options.engine, options.indexes)):
        rows.append(row)
        print("  ".join(f"{key} {value:.5g}" for key, value in row.items()), flush=True)
    told = {
        "axis": options.axis,
        "engine": options.engine,
        "rows": rows,
        "slopes": _slopes(options.axis, rows),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"{options.axis}-{options.engine}.json"
    (options.out / name).write_text(last_line(told) + "\n", "utf-8")
    print(last_line(told))


if __name__ == "__main__":
    main()
