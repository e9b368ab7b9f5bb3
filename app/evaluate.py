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
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from ucbd.app.boundaries import made_boundaries
from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.clusterers import evaluation_clusterers, nli_model
from ucbd.app.engines import model_location, start_engine
from ucbd.app.service import known_policies
from ucbd.app.settings import Settings, SettingsInvalid, read_settings
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.evaluation.ask import Asking, ask_all
from ucbd.cascade.evaluation.html import page
from ucbd.cascade.evaluation.progress import add, begin
from ucbd.cascade.evaluation.recorded import decided
from ucbd.cascade.evaluation.records import (
    Record,
    RecordsUnreadable,
    labelled,
    read_records,
    write_records,
)
from ucbd.cascade.evaluation.report import report
from ucbd.cascade.evaluation.score import ScoredRecord, score
from ucbd.cascade.policy import Policy
from ucbd.models.datasets import write_dataset
from ucbd.models.embedder import MiniLM
from ucbd.models.errors import GatewayError, InvalidRequest
from ucbd.models.model_files import check_model_folder
from ucbd.models.reference import EMBEDDED
from ucbd.models.reference.question_files import write_questions

ASKED = "asked.jsonl"
"""The answers of an evaluation as they came: what an interrupted one goes on from."""

_SCORED_AT_ONCE = 64  # records; their texts share the forward passes of the clusterers' models
_SUFFIXES = {".json", ".safetensors", ".model", ".jinja", ".txt"}


def evaluate(options: argparse.Namespace) -> int:
    """Ask a real engine every question, and report; returns the exit code."""
    try:
        settings = _settings(options)
        records = _unique(options.questions)[: options.limit]
        judge = _Judge(options.clusterers, settings, settings.model, keep_reasoning=False)
        location = model_location(settings.model)
        if Path(location).is_dir():
            check_model_folder(Path(location))
        asking = Asking(options.samples, options.sample_temperature, options.max_tokens)
        plan = _plan(records, settings, location, asking)
        asked = begin(options.out / ASKED, plan)
    except (GatewayError, OSError) as error:
        return _refused("evaluate", error)
    left = [record for record in records if record.id not in asked]
    if asked:
        print(f"{options.out}: {len(asked)} of {len(records)} were answered before; going on")
    try:
        if left:
            asyncio.run(_ask(left, settings, location, asking, options))
            asked = begin(options.out / ASKED, plan)
        _write(options.out, [asked[record.id] for record in records], judge)
    except KeyboardInterrupt:
        done = len(begin(options.out / ASKED, plan))
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
    """Report on what was recorded, without an engine; returns the exit code."""
    try:
        settings = _settings(options)
        records = _unique(options.records)
        if not any(record.answer or record.samples for record in records):
            named = ", ".join(map(str, options.records))
            raise RecordsUnreadable(
                f"{named}: no record has an answer or samples; `ucbd evaluate` asks questions"
            )
        models = {record.model for record in records}
        model = models.pop() if len(models) == 1 else None
        judge = _Judge(options.clusterers, settings, model, keep_reasoning=options.keep_reasoning)
    except (GatewayError, OSError) as error:
        return _refused("replay", error)
    try:
        _write(options.out, records, judge)
    except (GatewayError, OSError) as error:
        print(f"ucbd replay: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def questions(options: argparse.Namespace) -> int:
    """Write question sets: those of the embedded models' world, or of a dataset's own file."""
    try:
        if options.dataset:
            name, file = options.dataset
            written = [write_dataset(name, Path(file), options.out)]
        else:
            written = write_questions(options.out)
    except (GatewayError, OSError) as error:
        return _refused("questions", error)
    print(*written, sep="\n")
    return 0


class _Judge:
    """What makes scored records of answered ones: a policy and its boundaries, and clusterers."""

    def __init__(
        self,
        names: Sequence[str] | None,
        settings: Settings,
        model: str | None,
        *,
        keep_reasoning: bool,
    ) -> None:
        policies, default = known_policies(settings)
        self._policy: Policy = policies[default]
        self._keep_reasoning = keep_reasoning
        self._clusterers: Mapping[str, Clusterer] = evaluation_clusterers(names, settings)
        self.default = self._default(settings.clusterer)
        deciding = self._policy.clusterer or self.default
        if deciding not in self._clusterers:
            raise SettingsInvalid(
                f"clusterers: the policy decides by {deciding!r}, "
                f"which is not among {', '.join(self._clusterers)}"
            )
        nli = nli_model(settings) if settings.nli or model in EMBEDDED else None
        embedder = MiniLM() if settings.reference_index and MiniLM.installed() else None
        self._boundaries = made_boundaries(settings, self._clusterers, model, nli, embedder)

    def _default(self, preferred: str) -> str:
        """The settings' clusterer where it is one of those used, else the first of them."""
        return preferred if preferred in self._clusterers else next(iter(self._clusterers))

    async def scored(self, records: Sequence[Record]) -> list[ScoredRecord]:
        """Every record labelled, decided and scored, in their order."""
        room = asyncio.Semaphore(_SCORED_AT_ONCE)
        with _progress("scored", len(records)) as bar:

            async def one(record: Record) -> ScoredRecord:
                async with room:
                    found = await self._one(record)
                bar.update()
                return found

            return list(await asyncio.gather(*(one(record) for record in records)))

    async def _one(self, record: Record) -> ScoredRecord:
        judged = await decided(labelled(record), self._policy, self._boundaries, self.default)
        return await score(
            judged, self._clusterers, self.default, keep_reasoning=self._keep_reasoning
        )


async def _ask(
    records: Sequence[Record],
    settings: Settings,
    location: str,
    asking: Asking,
    options: argparse.Namespace,
) -> None:
    """Have the engine answer every record, each written down at once."""
    engine = await start_engine(settings, location)
    try:
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


def _write(out: Path, records: Sequence[Record], judge: _Judge) -> None:
    """``records.jsonl``, ``report.json`` and ``report.html``, each whole or not at all."""
    scored = asyncio.run(judge.scored(records))
    found = report(scored, judge.default)
    write_records(out / "records.jsonl", scored)
    _replace(out / "report.html", page(found))
    _replace(out / "report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    told = f"{found['accuracy']:.1%} right of {found['n']}" if found["n"] else "none labelled"
    print(f"{out / 'report.html'}: {len(records)} records, {told}")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _settings(options: argparse.Namespace) -> Settings:
    flags = {
        name: value
        for name in ("model", "policy")
        if (value := getattr(options, name, None)) is not None
    }
    return read_settings(None, flags)


def _unique(paths: Iterable[Path]) -> list[Record]:
    """The records of all files. Raises ``RecordsUnreadable``, also for an id in two of them."""
    found: dict[str, tuple[Path, Record]] = {}
    for path in paths:
        for record in read_records(path):
            if record.id in found:
                first = found[record.id][0]
                raise RecordsUnreadable(f"{path}: id {record.id!r} is in {first} too")
            found[record.id] = (path, record)
    return [record for _, record in found.values()]


def _plan(
    records: Sequence[Record], settings: Settings, location: str, asking: Asking
) -> dict[str, object]:
    """What decides the answers; an evaluation goes on only as the same one."""
    lines = "".join(record.written() for record in records)
    return {
        "evaluation": 1,
        "model": settings.served_name or settings.model,
        "files": _fingerprint(Path(location)),
        "questions": hashlib.blake2b(lines.encode(), digest_size=8).hexdigest(),
        "asked": asdict(asking),
    }


def _fingerprint(folder: Path) -> str | None:
    """Of a model folder's files, by size and time: weights are too large to be read for this."""
    if not folder.is_dir():
        return None
    files = [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(folder.iterdir())
        if file.suffix in _SUFFIXES
    ]
    return hashlib.blake2b(repr(files).encode(), digest_size=8).hexdigest()


def _progress(what: str, total: int) -> "tqdm[None]":
    """A bar on a terminal, nothing elsewhere."""
    return tqdm(total=total, desc=what, unit="question", disable=None, mininterval=0.5)


def _refused(command: str, error: BaseException) -> int:
    print(f"ucbd {command}: {error}", file=sys.stderr)
    return EXIT_USAGE
