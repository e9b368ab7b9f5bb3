"""``ucbd records``: labelled records of the store as a record file, for ``ucbd calibrate``.

Labels of the audit draw or volunteered ones, never in one file, and each line says which
(``label_source``): only the former can certify.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.recording import line_of
from ucbd.app.settings import records_setting
from ucbd.cascade.evaluation.records import Record
from ucbd.models.errors import GatewayError, StoreFailed
from ucbd.models.store.rows import Labelled, Source
from ucbd.models.store.store import RecordStore


class NothingLabelled(GatewayError):
    """The store has no label of the kind that was asked for."""


def export(options: argparse.Namespace) -> int:
    """Write the file, whole or not at all; returns the exit code."""
    try:
        where = records_setting(options.config, options.records)
        print(asyncio.run(_export(where, options.source, options)))
    except StoreFailed as error:
        print(f"ucbd records: {error}", file=sys.stderr)
        return EXIT_FAILED
    except (GatewayError, OSError) as error:
        print(f"ucbd records: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


async def _export(where: str, source: Source, options: argparse.Namespace) -> str:
    store = await RecordStore.open_existing(where)
    try:
        written, left_out = await _write(store, source, options)
        _, waiting = await store.audit_counts()
        passed_over = await store.passed_over()
    finally:
        await store.close()
    told = [f"{options.out}: {written:,} records, labelled by {source}"]
    if left_out:
        told.append(f"{left_out:,} labelled ones are left out: {_lacking(source)}")
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


async def _write(
    store: RecordStore, source: Source, options: argparse.Namespace
) -> tuple[int, int]:
    """How many records were written, and how many lacked what a calibration needs."""
    out: Path = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    written = left_out = 0
    try:
        with partial.open("w", encoding="utf-8") as file:
            async for one in store.labelled(source, model=options.model, policy=options.policy):
                if options.scores_only or _complete(one):
                    file.write(Record.model_validate(line_of(one)).written() + "\n")
                    written += 1
                else:
                    left_out += 1
        if not written:
            raise NothingLabelled(_nothing(source, left_out))
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return written, left_out


def _complete(one: Labelled) -> bool:
    """Has it what an answer is judged by again? Samples are drawn of drawn answers only."""
    has_samples = one.completion is not None or one.label.source == "feedback"
    return one.record.text is not None and has_samples


def _lacking(source: Source) -> str:
    """What those that are not complete lack."""
    what = "no text" if source == "feedback" else "no text or no samples"
    return f"{what} was kept of them (record_text); --scores-only writes them all"


def _nothing(source: Source, left_out: int) -> str:
    if left_out:
        return f"{left_out:,} records have a label by {source}, and {_lacking(source)}"
    return f"no record that was asked for has a label by {source}"
