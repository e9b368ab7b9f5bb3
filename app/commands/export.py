"""``ucbd records``: labelled records of the store as a record file, for ``ucbd calibrate``.

Labels of the audit draw or volunteered ones, never in one file, and each line says which
(``label_source``): only the former can certify.
"""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.files import check_file
from ucbd.app.recording import line_of
from ucbd.app.settings import records_setting
from ucbd.cascade.evaluation.records import Record, first_complaint
from ucbd.cascade.evaluation.unwritable import unwritable
from ucbd.models.errors import GatewayError, StoreFailed
from ucbd.models.store.rows import Labelled, Source
from ucbd.models.store.store import RecordStore

_NAMED = 5


class _NoRecord(ValueError):
    """What the store holds is no valid record: the field, and what is wrong with it."""


class NothingLabelled(GatewayError):
    """The store has no label of the kind that was asked for."""


def export(options: argparse.Namespace) -> int:
    """Write the file, whole or not at all; returns the exit code."""
    try:
        check_file(options.out)
        where = records_setting(options.config, options.records)
        print(asyncio.run(_export(where, options.source, options)))
    except StoreFailed as error:
        print(f"ucbd records: {error}", file=sys.stderr)
        return EXIT_FAILED
    except (GatewayError, OSError) as error:
        print(f"ucbd records: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


@dataclass(slots=True)
class _Written:
    """What became of the labelled records: written, without what a calibration needs, no record.

    Of the last ``invalid`` counts all and ``named`` says of the first which and why.
    """

    lines: int = 0
    lacking: int = 0
    invalid: int = 0
    named: list[str] = field(default_factory=list)

    def refused(self, one: Labelled, why: str) -> None:
        """Count one that is no valid record."""
        self.invalid += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{one.record.id}: {why}")


async def _export(where: str, source: Source, options: argparse.Namespace) -> str:
    store = await RecordStore.open_existing(where)
    try:
        written = await _write(store, source, options)
        _, waiting = await store.audit_counts()
        passed_over = await store.passed_over()
    finally:
        await store.close()
    told = [f"{options.out}: {written.lines:,} records, labelled by {source}"]
    told += _left_out(written, source)
    if source == "feedback":
        told.append("whoever volunteers is not the traffic: these certify nothing")
    elif passed_over:
        told.append(
            f"{passed_over:,} drawn before the newest labelled one were passed over: without them "
            "the file is no uniform draw; `ucbd label` shows them again"
        )
    if source == "audit" and waiting:
        told.append(f"{waiting:,} wait for a label")
    return "\n  ".join(told)


async def _write(store: RecordStore, source: Source, options: argparse.Namespace) -> _Written:
    """Write what can be written; raises ``NothingLabelled`` where that is nothing."""
    out: Path = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    written = _Written()
    try:
        with partial.open("w", encoding="utf-8") as file:
            async for one in store.labelled(source, model=options.model, policy=options.policy):
                if not (options.scores_only or _complete(one)):
                    written.lacking += 1
                    continue
                try:
                    file.write(_line(one) + "\n")
                    written.lines += 1
                except _NoRecord as error:
                    written.refused(one, str(error))
        if not written.lines:
            raise NothingLabelled(_nothing(source, written))
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return written


def _line(one: Labelled) -> str:
    """Raises ``_NoRecord``, naming the field."""
    content = line_of(one)
    if complaint := unwritable(json.dumps(content), content):
        raise _NoRecord(complaint)
    try:
        return Record.model_validate(content).written()
    except ValidationError as error:
        raise _NoRecord(first_complaint(error)) from error


def _complete(one: Labelled) -> bool:
    """Has it what an answer is judged by again? Samples are drawn of drawn answers only."""
    has_samples = one.completion is not None or one.label.source == "feedback"
    return one.record.text is not None and has_samples


def _left_out(written: _Written, source: Source) -> list[str]:
    """Which labelled ones are not in the file, and why; a line for each reason."""
    told = []
    if written.lacking:
        what = "no text" if source == "feedback" else "no text or no samples"
        told.append(
            f"{written.lacking:,} labelled ones are left out: {what} was kept of them "
            "(record_text); --scores-only writes them all"
        )
    if written.invalid:
        named = "; ".join(written.named) + ("; …" if written.invalid > len(written.named) else "")
        told.append(
            f"{written.invalid:,} labelled ones are left out, being no valid records: {named}"
        )
    return told


def _nothing(source: Source, written: _Written) -> str:
    why = _left_out(written, source)
    said = f"no record that was asked for has a label by {source}"
    return "\n  ".join([f"{said} and can be written", *why]) if why else said
