"""``python -m loadtest FORM --url URL``: presses a running gateway, and tells what came of it.

Ends with 0, with 1 when a budget was broken, a request or a check with the gateway failed, or
nothing could be measured, and with 2 for arguments that cannot be used. The last line printed is
one JSON object, in seconds.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from loadtest.arguments import command_line
from loadtest.arrivals import bursts, steady
from loadtest.baseline import BaselineUnusable, compared, read_baseline
from loadtest.budget import Rule, judged, read_rule
from loadtest.drive import MOST_OPEN, exact_loop
from loadtest.forms import LIMIT, capacity, ramped, ratios, short
from loadtest.mix import read_mix
from loadtest.phases import NothingAnswered, Phase, Ran, Test
from loadtest.report import last_line, table
from loadtest.scrape import ScrapeFailed
from loadtest.servers import NotReady, gateway_command, started

KEY = "LOADTEST_KEY"
"""Environment variable of the gateway's API key: a command line is seen by everybody."""


def main(argv: list[str] | None = None) -> int:
    """Run the form that the arguments name; returns the exit code."""
    options = command_line().parse_args(argv)
    try:
        rules = [read_rule(text) for text in options.budget]
        baseline = read_baseline(options.baseline) if options.baseline else None
        options.mix = read_mix(options.mix)
        _check(options)
    except (ValueError, BaselineUnusable) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    try:
        with ExitStack() as stack:
            if options.start:
                _tell("starting a gateway …")
                gateway = started("the gateway", gateway_command(), "/readyz")
                options.url = stack.enter_context(gateway).url
            with asyncio.Runner(loop_factory=exact_loop) as runner:
                ran = runner.run(_run(options))
    except (NotReady, NothingAnswered, ScrapeFailed) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    run = _told(options, ran, rules, baseline)
    if options.out:
        _write(options.out, run, ran)
    print(table(run["phases"]))
    _print_verdicts(run)
    print(last_line(run))
    return 0 if run["ok"] else 1


async def _run(options: argparse.Namespace) -> list[Ran]:
    key = os.environ.get(KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        test = Test(
            session,
            options.url,
            metrics=[] if options.no_metrics else options.metrics or [options.url],
            seed=options.seed,
            timeout=options.timeout,
            tell=_tell,
        )
        await test.warm_up(options.mix, options.warm_up)
        return [ran async for ran in _phases(test, options)]


async def _phases(test: Test, options: argparse.Namespace) -> AsyncIterator[Ran]:
    mix, process = options.mix, getattr(options, "arrivals", "poisson")
    match options.form:
        case "open":
            pieces = tuple(steady(options.rate, options.seconds))
            yield await test.run(Phase("open", mix, pieces, process))
        case "closed":
            seconds = 0.0 if options.requests else options.seconds
            wanted = {"seconds": seconds, "requests": options.requests}
            yield await test.run(Phase("closed", mix, concurrency=options.concurrency, **wanted))
        case "ramp":
            rising = {"first": options.rate, "factor": options.factor, "steps": options.steps}
            how = {"seconds": options.seconds, "process": process, "limit": options.limit}
            async for ran in ramped(test, mix, **rising, **how):
                yield ran
        case "burst":
            shape = (options.rate, options.peak, options.every, options.length, options.seconds)
            yield await test.run(Phase("burst", mix, tuple(bursts(*shape)), process))
        case "soak":
            pieces = tuple(steady(options.rate, options.seconds))
            yield await test.run(Phase("soak", mix, pieces, process), watch=options.watch)
        case "ratios" | "short" as name:
            async for ran in (ratios if name == "ratios" else short)(test):
                yield ran


def _check(options: argparse.Namespace) -> None:
    """What no single argument can tell. Raises ``ValueError``."""
    match options.form:
        case "burst":
            bursts(options.rate, options.peak, options.every, options.length, options.seconds)
        case "ramp" if options.factor <= 1:
            raise ValueError(f"factor: must be above 1, is {options.factor:g}")
        case "closed" if options.concurrency > MOST_OPEN:
            raise ValueError(f"concurrency: at most {MOST_OPEN}, is {options.concurrency}")


def _told(
    options: argparse.Namespace, ran: list[Ran], rules: list[Rule], baseline: Any
) -> dict[str, Any]:
    """The run, for the last line."""
    phases = [one.figures for one in ran]
    verdicts = judged(rules, phases)
    held = compared(phases, baseline)
    steps = [figures for figures in phases if figures["name"].startswith("ramp ")]
    answered = all(figures["answered"] for figures in phases)
    agrees = all(figures.get("crosscheck", {"agrees": True})["agrees"] for figures in phases)
    kept = all(verdict["kept"] for verdict in (*verdicts, *held["checks"]))
    return {
        "tool": "loadtest",
        "version": 1,
        "url": options.url,
        "form": options.form,
        "seed": options.seed,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "phases": phases,
        "capacity": capacity(steps, getattr(options, "limit", LIMIT)),
        "ratios": held,
        "budget": verdicts,
        "agrees": agrees,
        "ok": answered and agrees and kept,
    }


def _print_verdicts(run: dict[str, Any]) -> None:
    if run["capacity"]:
        print(f"\nRamp: {run['capacity']['told']}.")
    for verdict in (*run["budget"], *run["ratios"]["checks"]):
        said = "kept" if verdict["kept"] else "BROKEN"
        value = "missing" if verdict["value"] is None else f"{verdict['value']:.4g}"
        print(f"{said}: {verdict['phase']}: {verdict['rule']} ({value})")
    print()


def _write(folder: Path, run: dict[str, Any], ran: list[Ran]) -> None:
    """The page, and the JSON beside it; each whole or not at all."""
    from loadtest.page import page  # matplotlib, which only a page needs

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("report.html", page(run, ran)), ("report.json", last_line(run) + "\n")):
        part = folder / f".{name}.part"
        part.write_text(text, "utf-8")
        part.replace(folder / name)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"loadtest: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
