"""The command line: forms of a test and what they take. Runs nothing."""

import argparse
from pathlib import Path
from typing import Any

from loadtest.forms import LIMIT

ABOUT = "Presses a running gateway over HTTP, and tells what came of it."


def command_line() -> argparse.ArgumentParser:
    """``python -m loadtest FORM …``."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=ABOUT)
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")

    def form(name: str, text: str) -> Any:
        one = forms.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        _common(one)
        return one.add_argument

    form("short", "all forms in little, about 70 s")
    form("ratios", "what a baseline is held against, about 15 s")
    add = form("open", "requests at a rate, whatever becomes of them")
    _rate(add)
    add("--seconds", type=_positive, default=30.0)
    add = form("closed", "so many at a time: what can be done")
    add("--concurrency", type=_count, default=16)
    add("--seconds", type=_positive, default=30.0)
    add("--requests", type=_count, help="end after so many instead")
    add = form("ramp", "rising rates until one is not held")
    _rate(add)
    add("--factor", type=_positive, default=1.3)
    add("--steps", type=_count, default=12)
    add("--seconds", type=_positive, default=10.0, help="of a step (%(default)s)")
    held = "p99 of latency that is held, in seconds (%(default)s)"
    add("--limit", type=_positive, default=LIMIT, help=held)
    add = form("burst", "a rate, and peaks of another")
    _rate(add)
    add("--peak", type=_positive, required=True, help="requests a second in a burst")
    add("--every", type=_positive, default=10.0, help="seconds from burst to burst (%(default)s)")
    add("--length", type=_positive, default=1.0, help="seconds of a burst (%(default)s)")
    add("--seconds", type=_positive, default=60.0)
    add = form("soak", "one rate for long, watching the gateway's memory")
    _rate(add)
    add("--seconds", type=_positive, default=3600.0)
    add("--watch", type=_positive, default=5.0, help="seconds between looks (%(default)s)")
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:8000", help="the gateway (%(default)s)")
    add("--start", action="store_true", help="start one, on the embedded model")
    where = "where /metrics is, again for each gateway behind a balancer; default: the URL"
    add("--metrics", action="append", metavar="URL", help=where)
    add("--no-metrics", action="store_true", help="check nothing with /metrics")
    add("--mix", default="traffic", help="a shipped mix, or a file (%(default)s)")
    add("--seed", type=int, default=1, help="of arrivals and requests (%(default)s)")
    first = "requests before, not counted (%(default)s)"
    add("--warm-up", type=_count, default=20, metavar="N", help=first)
    add("--timeout", type=_positive, default=60.0, help="of a request, in seconds (%(default)s)")
    rule = "a rule that may not be broken: 'latency.p99 <= 0.5', 'steady: error_share <= 0'"
    add("--budget", action="append", default=[], metavar="RULE", help=rule)
    add("--baseline", type=Path, metavar="FILE", help="ratios to the engine that are held to")
    add("--out", type=Path, metavar="DIR", help="write report.html and report.json")


def _rate(add: Any) -> None:
    add("--rate", type=_positive, required=True, help="requests a second")
    add("--arrivals", choices=["poisson", "constant"], default="poisson")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0 and finite, is {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, is {text}")
    return value
