"""``ucbd label``: drawn requests, oldest first, one key each: was the answer right?

Shows question and answer, and nothing of what the gateway thought of them: a labeller who knows
the decision labels the decision. Every label is in the store before the next request is shown, so
the queue goes on wherever it was left.
"""

import argparse
import asyncio
import getpass
import os
import sys
import termios
import textwrap
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.settings import records_setting
from ucbd.models.errors import ContradictoryLabel, GatewayError, StoreFailed, UnknownRecord
from ucbd.models.store.rows import RequestRecord
from ucbd.models.store.store import RecordStore

KEYS = "y right   n wrong   s skip   u undo   q quit"
_WIDTH = 96


def label(options: argparse.Namespace) -> int:
    """Label until the queue is empty or the labeller has had enough; returns the exit code."""
    with asyncio.Runner() as runner:
        try:
            where = records_setting(options.config, options.records)
            store = runner.run(RecordStore.open_existing(where))
        except GatewayError as error:
            print(f"ucbd label: {error}", file=sys.stderr)
            return EXIT_USAGE
        session = Session(store, options.by or getpass.getuser(), runner)
        try:
            with _single_keys():
                session.run(_key, print)
        except KeyboardInterrupt:
            print()
        except StoreFailed as error:
            print(f"ucbd label: {error}", file=sys.stderr)
            return EXIT_FAILED
        finally:
            print(f"{session.labelled} labelled")
            runner.run(store.close())
    return 0


class Session:
    """One labeller at the queue. ``labelled`` counts the labels that were given and not undone."""

    def __init__(self, store: RecordStore, by: str, runner: asyncio.Runner) -> None:
        self._store = store
        self._by = by
        self._runner = runner
        self._history: list[tuple[str, str]] = []  # (key, id)

    @property
    def labelled(self) -> int:
        """Labels given in this session."""
        return sum(key in "yn" for key, _ in self._history)

    def run(self, key: Callable[[], str], tell: Callable[[str], None]) -> None:
        """Show and ask until nothing waits, or ``key`` gives ``q`` or no more."""
        while (record := self._next()) is not None:
            drawn, waiting = self._runner.run(self._store.audit_counts())
            tell(shown(record, waiting, drawn))
            while (pressed := key()) not in ("y", "n", "s", "u", "q", ""):
                tell(KEYS)
            if pressed in ("q", ""):
                return
            tell(self._do(pressed, record.id))
        tell("No drawn request waits for a label.")

    def _next(self) -> RequestRecord | None:
        passed = [record for key, record in self._history if key == "s"]
        return self._runner.run(self._store.waiting(passed))

    def _do(self, pressed: str, record: str) -> str:
        if pressed == "u":
            return self._undo()
        if pressed == "s":
            self._history.append((pressed, record))
            return "skipped: it waits for the next session"
        said = self._store.label(
            record, "audit", correct=pressed == "y", at=time.time(), by=self._by
        )
        try:
            new = self._runner.run(said)
        except (ContradictoryLabel, UnknownRecord) as error:
            return str(error)  # another labeller was faster, or it was let go
        if new:
            self._history.append((pressed, record))
        return "right" if pressed == "y" else "wrong"

    def _undo(self) -> str:
        if not self._history:
            return "nothing to undo in this session"
        pressed, record = self._history.pop()
        if pressed != "s":
            self._runner.run(self._store.withdraw(record))
        return "undone"


def shown(record: RequestRecord, waiting: int, drawn: int) -> str:
    """A record for a labeller: question, evidence and answer, no judgement."""
    when = datetime.fromtimestamp(record.asked_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = ["", f"── {waiting} of {drawn} wait ── {record.id} ── {when} ── {record.model}"]
    if record.text is None:
        lines.append("   Its text was not kept (record_text): look it up by its id.")
    else:
        text = record.text
        turns = text.get("messages") or [{"role": "user", "content": text["prompt"]}]
        lines += [_block(turn["role"], turn["content"]) for turn in turns]
        lines += [_block("evidence", one) for one in text.get("evidence", ())]
        lines.append(_block("ANSWER", text["answer"]["text"] or "(empty)"))
    return "\n".join([*lines, f"   {KEYS}"])


def _block(name: str, content: str) -> str:
    lines = [
        part
        for line in _harmless(content).split("\n")
        for part in textwrap.wrap(line, _WIDTH) or [""]
    ]
    return "\n".join([f" {name}", *(f"   {line}" for line in lines)])


def _harmless(text: str) -> str:
    """Without what a terminal would obey: whoever wrote a prompt does not command ours."""
    kept = (char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)
    return "".join(kept)


def _key() -> str:
    """One key, in lower case; empty at the end of the input."""
    sys.stdout.flush()
    while pressed := os.read(sys.stdin.fileno(), 1):
        if not pressed.isspace():
            return pressed.decode("latin-1").lower()
    return ""


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys that count without Enter, where there is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
