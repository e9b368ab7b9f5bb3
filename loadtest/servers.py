"""Servers under test: started, waited for, stopped; and what processor time they took.

Linux only (``/proc``). Knows the command of our own gateway and no other server.
"""

import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
STARTS_WITHIN = 300.0  # seconds
PORTS = range(20_000, 32_000)
_PLACES = itertools.count(secrets.randbelow(len(PORTS)))  # processes side by side begin apart


class NotReady(RuntimeError):
    """A server that did not come up: what its log ended with."""


@dataclass(frozen=True)
class Server:
    """A process that listens on ``port``."""

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Processor time of the process's own thread so far: of the event loop, of one worker."""
        fields = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text().rsplit(")")[-1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def gateway_command() -> list[str]:
    """``ucbd serve`` of this environment, on the embedded model."""
    return [str(Path(sys.executable).with_name("ucbd")), "serve", "--port", "{port}"]


def free_port() -> int:
    """One where nobody listens, and which no call gave before.

    From below those that the kernel hands out by itself: by the time that a server listens there,
    which may take a minute, no connection and no listener on "any port" can have taken it.
    """
    while True:
        port = PORTS[next(_PLACES) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def started(
    name: str, command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The server of a command whose words may hold ``{port}``, once ``GET ready`` answers 200.

    Raises ``NotReady``. Whatever it started ends with it.
    """
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - ours
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
        try:
            server = Server(name, port, process.pid)
            if not _answers(server.url + ready, process):
                log.seek(0)
                end = log.read().decode(errors="replace")[-2000:]
                raise NotReady(f"{name} did not come up; its log ends with\n{end}")
            yield server
        finally:
            stop(process)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether it does so while its process runs, and in time."""
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310 - http, ours
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
