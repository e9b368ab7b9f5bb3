"""Closed-loop load by ``wrk``: that many connections, each asking again as soon as it is answered.

``wrk`` is in Debian; it takes a hundredth of what a client in Python takes, which matters where
client and server share two cores. Any answer but a 2xx fails the run.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.servers import Server

MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


SCRIPT = """
local bodies, turn = { %s }, 0
local headers = { ["content-type"] = "application/json" }
request = function()
  turn = turn %% #bodies + 1
  return wrk.format("POST", nil, headers, bodies[turn])
end
"""


@dataclass(frozen=True)
class Load:
    """What came of it: answers a second, median milliseconds of one, and processor
    milliseconds of the server's event loop for one."""

    per_second: float
    p50_ms: float
    cpu_ms: float


def load(server: Server, path: str, bodies: Sequence[Any], connections: int, seconds: int) -> Load:
    """``bodies`` are sent in turn."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % ", ".join(json.dumps(json.dumps(body)) for body in bodies))
        script.flush()
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s"]
        before = server.cpu_seconds()
        said = subprocess.run(  # noqa: S603 - ours
            [*words, "-s", script.name, server.url + path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        spent = server.cpu_seconds() - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{server.name}: {said}")
    answers = int(found(r"(\d+) requests in", said)[1])
    median = found(r"50%\s+([\d.]+)(us|ms|s|m)", said)
    per_second = float(found(r"Requests/sec:\s+([\d.]+)", said)[1])
    if not answers:
        raise SystemExit(f"{server.name}: no answer within {seconds} s")
    return Load(per_second, float(median[1]) * MILLISECONDS[median[2]], 1000 * spent / answers)


def found(pattern: str, said: str) -> re.Match[str]:
    match = re.search(pattern, said)
    if match is None:
        raise SystemExit(f"wrk said: {said}")
    return match
