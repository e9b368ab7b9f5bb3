"""``ucbd evaluate``, ``ucbd replay`` and ``ucbd questions``: from question files to a report.

Finds everything that is wrong with the input before an engine starts. ``evaluate`` asks a real
engine and keeps every answer as it comes, so that the same command goes on after an interruption;
``replay`` takes what was recorded. From there on they are one: decide, score, report. Computes no
score itself.
"""

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.commands.judge import Judge
from ucbd.app.engines import check_model, model_location, start_engine
from ucbd.app.files import check_folder, replace_file, sha256
from ucbd.app.settings import Settings, read_settings
from ucbd.cascade.evaluation.ask import Asking, ask_all
from ucbd.cascade.evaluation.decisions import policy_of
from ucbd.cascade.evaluation.html import page
from ucbd.cascade.evaluation.progress import Plan, add, begin, so_far
from ucbd.cascade.evaluation.records import (
    Record,
    RecordsUnreadable,
    read_all,
    write_records,
)
from ucbd.cascade.evaluation.report import report_on
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.tally import Tally
from ucbd.models.datasets import write_dataset
from ucbd.models.errors import GatewayError, InvalidRequest
from ucbd.models.model_files import local_revision
from ucbd.models.reference.question_files import write_questions

ASKED = "asked.jsonl"
"""The answers of an evaluation as they came: what an interrupted one goes on from."""

_SCORED_AT_ONCE = 256  # records; their texts share the forward passes of the clusterers' models


def evaluate(options: argparse.Namespace) -> int:
    """Ask a real engine every question, and report; returns the exit code."""
    try:
        check_folder(options.out)
        settings = _settings(options)
        records = list(read_all(options.questions))[: options.limit]
        judge = Judge(options.clusterers, settings, settings.model, keep_reasoning=False)
        location = model_location(settings.model)
        check_model(settings, location)
        asking = Asking(options.samples, options.sample_temperature, options.max_tokens)
        plan = _plan(records, settings, location, asking)
        asked = so_far(options.out / ASKED, plan)
    except (GatewayError, OSError) as error:
        return _refused("evaluate", error)
    left = [record for record in records if record.id not in asked]
    if asked:
        print(f"{options.out}: {len(asked)} of {len(records)} were answered before; going on")
    try:
        if left:
            asyncio.run(_ask(left, settings, location, asking, plan, options))
            asked = so_far(options.out / ASKED, plan)
        _write(options.out, [asked[record.id] for record in records], len(records), judge)
    except KeyboardInterrupt:
        done = len(so_far(options.out / ASKED, plan))
        print(
            f"ucbd evaluate: interrupted; {done} of {len(records)} answers are kept in "
            f"{options.out}, and the same command goes on from there",
            file=sys.stderr,
        )
        return EXIT_FAILED
    except InvalidRequest as error:
        return _refused("evaluate", error)
    except (GatewayError, OSError) as error:
        print(f"ucbd evaluate: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def replay(options: argparse.Namespace) -> int:
    """Report on what was recorded, without an engine; returns the exit code.

    Reads the records twice, first to find whatever is wrong with them, and keeps none.
    """
    try:
        check_folder(options.out)
        settings = _settings(options)
        survey = _surveyed(options.records)
        judge = Judge(
            options.clusterers, settings, survey.model, keep_reasoning=options.keep_reasoning
        )
    except (GatewayError, OSError) as error:
        return _refused("replay", error)
    try:
        files = [sha256(path) for path in options.records]
        _write(options.out, read_all(options.records), survey.n, judge, files)
    except (GatewayError, OSError) as error:
        print(f"ucbd replay: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def questions(options: argparse.Namespace) -> int:
    """Write question sets: those of the embedded models' world, or of a dataset's own file."""
    try:
        check_folder(options.out)
        if options.dataset:
            name, file = options.dataset
            written = [write_dataset(name, Path(file), options.out)]
        else:
            written = write_questions(options.out)
    except (GatewayError, OSError) as error:
        return _refused("questions", error)
    print(*written, sep="\n")
    return 0


async def _ask(
    records: Sequence[Record],
    settings: Settings,
    location: str,
    asking: Asking,
    plan: Plan,
    options: argparse.Namespace,
) -> None:
    """Have the engine answer every record, each written down at once; begun once it is up."""
    engine = await start_engine(settings, location)
    try:
        begin(options.out / ASKED, plan)
        with (
            (options.out / ASKED).open("a", encoding="utf-8") as file,
            _progress("asked", len(records)) as bar,
        ):

            def answered(record: Record) -> None:
                add(file, record)
                bar.update()

            await ask_all(
                records, engine, asking, concurrency=options.concurrency, answered=answered
            )
    finally:
        await engine.close()


def _write(
    out: Path, records: Iterable[Record], n: int, judge: Judge, files: Sequence[str] = ()
) -> None:
    """``records.jsonl``, ``report.json`` and ``report.html``, each whole or not at all.

    Of ``n`` records no more than some are in memory at once. ``files`` are the SHA-256 of those
    that they come from.
    """
    tally = Tally()

    def scored() -> Iterator[ScoredRecord]:
        waiting = iter(records)
        with asyncio.Runner() as runner, _progress("scored", n) as bar:
            while some := list(islice(waiting, _SCORED_AT_ONCE)):
                for record in runner.run(judge.scored(some)):
                    tally.add(record)
                    yield record
                bar.update(len(some))

    write_records(out / "records.jsonl", scored())
    policy = policy_of(judge.policy_name, judge.policy, tally.models, files)
    found = report_on(tally, judge.default, policy)
    replace_file(out / "report.html", page(found))
    replace_file(out / "report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    told = f"{found['accuracy']:.1%} right of {found['n']}" if found["n"] else "none labelled"
    print(f"{out / 'report.html'}: {tally.n} records, {told}")


def _settings(options: argparse.Namespace) -> Settings:
    flags = {
        name: value
        for name in ("model", "policy")
        if (value := getattr(options, name, None)) is not None
    }
    return read_settings(None, flags)


@dataclass(frozen=True, slots=True)
class _Survey:
    """How many records there are, and whose; ``model`` None where they are of several."""

    n: int
    model: str | None


def _surveyed(paths: Sequence[Path]) -> _Survey:
    """Raises ``RecordsUnreadable`` as ``read_all``, and where nothing was recorded."""
    models: set[str | None] = set()
    n, recorded = 0, False
    for record in tqdm(read_all(paths), desc="read", unit="record", disable=None, mininterval=0.5):
        n += 1
        models.add(record.model)
        recorded |= bool(record.answer or record.samples)
    if not recorded:
        named = ", ".join(map(str, paths))
        raise RecordsUnreadable(
            f"{named}: no record has an answer or samples; `ucbd evaluate` asks questions"
        )
    return _Survey(n, models.pop() if len(models) == 1 else None)


def _plan(
    records: Sequence[Record], settings: Settings, location: str, asking: Asking
) -> dict[str, object]:
    """What decides the answers; an evaluation goes on only as the same one."""
    lines = "".join(record.written() for record in records)
    return {
        "evaluation": 1,
        "model": settings.served_name or settings.model,
        "files": local_revision(Path(location)),
        "questions": hashlib.blake2b(lines.encode(), digest_size=8).hexdigest(),
        "asked": asdict(asking),
    }


def _progress(what: str, total: int) -> "tqdm[None]":
    """A bar on a terminal, nothing elsewhere."""
    return tqdm(total=total, desc=what, unit="question", disable=None, mininterval=0.5)


def _refused(command: str, error: BaseException) -> int:
    print(f"ucbd {command}: {error}", file=sys.stderr)
    return EXIT_USAGE
