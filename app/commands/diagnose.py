"""``ucbd diagnose``: a served model is asked, without labels, how often its samples agree.

Says what it will cost and asks before it begins, and holds two models, or a model and its own past,
against each other. Needs no torch. Computes no number.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ucbd.app.boundaries import made_boundaries
from ucbd.app.cli import EXIT_FAILED, EXIT_SHIFTED, EXIT_USAGE
from ucbd.app.clusterers import EVALUATED, NEEDS, evaluation_clusterers
from ucbd.app.commands.interview import (
    ASKED,
    Interview,
    Server,
    Terms,
    interview,
    served_name,
    write,
)
from ucbd.app.files import check_file, check_folder, replace_file
from ucbd.app.settings import Settings, SettingsInvalid, read_settings
from ucbd.cascade.diagnosis.asking import Asking
from ucbd.cascade.diagnosis.comparison import (
    Baseline,
    baseline,
    check_asked_alike,
    compare,
    read_baseline,
)
from ucbd.cascade.diagnosis.plan import cost
from ucbd.cascade.diagnosis.questions import read_questions, shipped
from ucbd.cascade.diagnosis.starter import starter
from ucbd.cascade.diagnosis.terminal import text
from ucbd.models.errors import GatewayError, InvalidRequest
from ucbd.models.upstream.http import address

AGAINST = "against"
"""The folder, within the report's, of the other model's report."""


def diagnose(options: argparse.Namespace) -> int:
    """Ask, report and compare; returns the exit code."""
    try:
        check_folder(options.out)
        if options.starter_policy:
            check_file(options.starter_policy, "--starter-policy")
        settings = read_settings(None, {})
        terms = _terms(options, settings)
        server = Server(_url(options.url), options.model, _key(options.key_file))
        before = _before(options)
        if isinstance(before, Baseline):
            check_asked_alike(before, samples=options.samples, max_tokens=options.max_tokens)
        if options.max_shift is not None and before is None:
            raise SettingsInvalid("--max-shift: there is nothing to compare with: give --against")
    except (GatewayError, OSError) as error:
        return _told(error, EXIT_USAGE)
    try:
        return _diagnosed(options, settings, terms, server, before)
    except (InvalidRequest, SettingsInvalid) as error:
        return _told(error, EXIT_USAGE)
    except (GatewayError, OSError) as error:
        return _told(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return _told(
            "interrupted; what was answered is kept, the same command goes on", EXIT_FAILED
        )


def _diagnosed(
    options: argparse.Namespace,
    settings: Settings,
    terms: Terms,
    server: Server,
    before: "Server | Baseline | None",
) -> int:
    servers = {options.out: server}
    if isinstance(before, Server):
        servers[options.out / AGAINST] = before
    names = {out: asyncio.run(served_name(one)) for out, one in servers.items()}
    if refused := _refused(options, servers, names, terms):
        return refused
    found: dict[Path, Interview] = {}
    for out, one in servers.items():
        found[out] = interview(one, names[out], terms, out)
        if found[out].stopped:
            break
    first = found[options.out]
    report = first.report
    earlier = before if isinstance(before, Baseline) else None
    if other := found.get(options.out / AGAINST):
        earlier = baseline(other.report)
    if earlier is not None:
        report["comparison"] = compare(baseline(report), earlier, options.max_shift)
        write(options.out, report)
    print(text(report))
    print(f"\n{options.out / 'report.html'}")
    if options.starter_policy:
        _write_starter(options, settings, terms, first)
    return _exit_code(report, found)


def _exit_code(report: Mapping[str, Any], found: Mapping[Path, Interview]) -> int:
    stopped = next((one.stopped for one in found.values() if one.stopped), None)
    if stopped:
        return _told(
            f"{stopped}; the report is of what there is, the same command goes on", EXIT_FAILED
        )
    comparison = report.get("comparison")
    return EXIT_SHIFTED if comparison and comparison["exceeded"] else 0


def _refused(
    options: argparse.Namespace,
    servers: Mapping[Path, Server],
    names: Mapping[Path, str],
    terms: Terms,
) -> int:
    """0 to begin, after saying what it will cost; else the exit code of not beginning."""
    for out, one in servers.items():
        planned = cost(terms.questions, terms.asking, terms.also_at)
        print(f"{names[out]} at {one.url}: {planned.told()}.")
        if (out / ASKED).is_file():
            print(f"{out} holds answers already: less, by as much.")
    if options.yes:
        return 0
    if not sys.stdin.isatty():
        return _told("give --yes to begin without being asked", EXIT_USAGE)
    return 0 if _agreed() else _told("not begun", EXIT_FAILED)


def _agreed() -> bool:
    try:
        return input("Begin? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def _terms(options: argparse.Namespace, settings: Settings) -> Terms:
    path = options.questions or shipped()
    clusterers = evaluation_clusterers(options.clusterers, settings)
    default = settings.clusterer if settings.clusterer in clusterers else next(iter(clusterers))
    absent = {name: NEEDS[name] for name in EVALUATED if name not in clusterers and name in NEEDS}
    asking = Asking(options.samples, options.max_tokens, options.temperatures)
    return Terms(
        questions=read_questions(path),
        source=path.name if options.questions else "the 200 that ship",
        asking=asking,
        at_once=options.concurrency,
        clusterers=clusterers,
        default=default,
        absent={} if options.clusterers else absent,
        vocab_size=options.vocab_size,
    )


def _before(options: argparse.Namespace) -> "Server | Baseline | None":
    """What ``--against`` means: a URL, or the report of an earlier diagnosis."""
    if options.against is None:
        return None
    if "://" in options.against:
        key = _key(options.against_key_file or options.key_file)
        return Server(_url(options.against), options.against_model, key)
    return read_baseline(Path(options.against))


def _url(url: str) -> str:
    """A URL that may be shown: what is secret does not belong in it."""
    if any(sign in url for sign in "@?#"):
        raise SettingsInvalid(
            "URL: must have no user, no password and nothing after a ?: a key goes into --key-file"
        )
    try:
        address(url)
    except ValueError as error:
        raise SettingsInvalid(f"URL: {error}, got {url!r}") from error
    return url.rstrip("/")


def _key(path: Path | None) -> str | None:
    if path is None:
        return None
    key = path.read_text("utf-8").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsInvalid(f"{path}: must hold one key, in one line of ASCII")
    return key


def _write_starter(
    options: argparse.Namespace, settings: Settings, terms: Terms, found: Interview
) -> None:
    model = found.report["model"]
    boundaries = made_boundaries(settings, terms.clusterers, model)
    made = asyncio.run(
        starter(found.records, boundaries, terms.default, options.flag_rate, model, options.samples)
    )
    replace_file(options.starter_policy, json.dumps(made.policy, indent=1) + "\n")
    print(f"{options.starter_policy}: uncalibrated; flags {made.flagged:.1%} of these questions")


def _told(error: object, code: int) -> int:
    print(f"ucbd diagnose: {error}", file=sys.stderr)
    return code
