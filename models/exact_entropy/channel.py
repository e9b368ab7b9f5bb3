"""From a worker to the process that asks: entropies on their way as soon as they are known.

A Unix stream socket, one for each worker; a value is in the reader's buffer before vLLM has sampled
its token. Nothing waits for the reader: what the socket does not take, the worker keeps. Knows
numbers and no engine.
"""

import os
import socket
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

Value = tuple[str, int, float]
"""A request's id, which here is a decimal number, an output position, and its entropy in nats."""

_RECORD = struct.Struct("=qqd")
_AT_ONCE = 1 << 18  # bytes read in one call: more than a socket's buffer usually holds


class Sender:
    """A worker's end. Raises ``OSError`` when nobody listens at ``path``."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._begun = b""  # the rest of a value whose first bytes are under way

    def send(self, values: Sequence[Value]) -> Sequence[Value]:
        """Send what the socket takes at once; returns the values that were not sent whole.

        All of them once the reader is gone.
        """
        pack = _RECORD.pack
        packed = self._begun + b"".join(
            [pack(int(one), place, nats) for one, place, nats in values]
        )
        try:
            sent = self._socket.send(packed)
        except OSError:  # full, or nobody reads any more
            return values
        begun = len(self._begun)
        if sent < begun:
            self._begun = self._begun[sent:]
            return values
        whole, part = divmod(sent - begun, _RECORD.size)
        self._begun = packed[sent : sent + _RECORD.size - part] if part else b""
        return values[whole:]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Line:
    """The reader's end of one worker's socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self._begun = b""

    def read(self) -> list[Value] | None:
        """What has arrived since; None when the worker has hung up. Waits for nothing."""
        try:
            read = self._socket.recv(_AT_ONCE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not read:
            return None
        arrived = self._begun + read
        whole = len(arrived) - len(arrived) % _RECORD.size
        self._begun = arrived[whole:]
        records = _RECORD.iter_unpack(memoryview(arrived)[:whole])
        return [(str(number), position, nats) for number, position, nats in records]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Receiver:
    """Where workers connect, for as long as it takes them: in a folder of this user alone.

    Raises ``OSError`` where no socket can be made.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ucbd-")
        self.path = str(Path(self._folder.name) / "entropies")
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            self._listening.bind(self.path)
            self._listening.listen(os.cpu_count() or 1)
        except OSError:
            self.close()
            raise
        self._listening.setblocking(False)

    def lines(self) -> list[Line]:
        """A line to each worker that has connected."""
        lines: list[Line] = []
        while True:
            try:
                connected, _ = self._listening.accept()
            except BlockingIOError:
                return lines
            lines.append(Line(connected))

    def close(self) -> None:
        """Nobody else may connect, and nothing is left of the folder."""
        self._listening.close()
        self._folder.cleanup()
