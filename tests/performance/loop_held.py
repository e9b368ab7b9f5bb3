"""How long the gateway's event loop is held by one piece of work, under load: processor time.

    .venv/bin/python -m tests.performance.loop_held

A real gateway, embedded model and all, whose loop is asyncio's own, so that each callback can be
timed by its thread's processor time: what other processes take away is not counted, as it is in
``ucbd_event_loop_lag_seconds``. Counted from when the engine is up. What was slow is named by the
coroutines it was in; a pause of Python's collector has the name of whom it met. The last line is
one JSON object.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from loadtest.servers import Server, started

MIXES = ("sampled", "traffic", "streams", "answers")
BOUNDS_MS = (1.0, 2.0, 5.0, 10.0)
NAMED_FROM_MS = 2.0
OUT = "LOOP_HELD_OUT"


class Watch:
    """Times all callbacks of asyncio's loops in this process."""

    def __init__(self) -> None:
        self._run = asyncio.Handle._run
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.callbacks, self.longest_ms = 0, 0.0
        self.above: Counter[float] = Counter()
        self.slowest: dict[str, float] = {}

    def install(self) -> None:
        """From now on; for the rest of this process."""
        watch = self

        def run(handle: asyncio.Handle) -> None:
            before = time.thread_time_ns()
            watch._run(handle)
            watch._note(handle, (time.thread_time_ns() - before) / 1e6)

        asyncio.Handle._run = run

    def _note(self, handle: asyncio.Handle, held_ms: float) -> None:
        self.callbacks += 1
        self.longest_ms = max(self.longest_ms, held_ms)
        for bound in BOUNDS_MS:
            self.above[bound] += held_ms > bound
        if held_ms > NAMED_FROM_MS:
            name = who(handle)
            self.slowest[name] = max(self.slowest.get(name, 0.0), held_ms)

    def told(self) -> dict[str, Any]:
        """As JSON: counts above each bound in milliseconds, and who was slowest."""
        slowest = sorted(self.slowest.items(), key=lambda named: -named[1])[:20]
        return {
            "callbacks": self.callbacks,
            "above_ms": {f"{bound:g}": self.above[bound] for bound in BOUNDS_MS},
            "longest_ms": round(self.longest_ms, 2),
            "slowest_ms": {name: round(held, 2) for name, held in slowest},
        }


def who(handle: Any) -> str:
    """The chain of coroutines that a callback goes on with, or the callback."""
    task = getattr(handle._callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return str(getattr(handle._callback, "__qualname__", handle._callback))
    chain, coroutine = [], task.get_coro()
    while coroutine is not None:
        chain.append(getattr(coroutine, "__qualname__", type(coroutine).__name__))
        coroutine = getattr(coroutine, "cr_await", None)
    return " < ".join(chain)


def serve(arguments: list[str]) -> int:
    """``ucbd`` with a watched loop, which tells on SIGUSR1 what it saw."""
    import uvicorn.loops.auto
    from uvicorn.loops.asyncio import asyncio_loop_factory

    from ucbd.app import cli, heap

    uvicorn.loops.auto.auto_loop_factory = asyncio_loop_factory
    watch, settle = Watch(), heap.settle

    def settle_and_begin() -> None:
        settle()
        asyncio.get_running_loop().call_soon(watch.forget)  # once this callback has ended too

    heap.settle = settle_and_begin
    watch.install()
    out = Path(os.environ[OUT])

    def tell(*_: object) -> None:
        whole = out.with_suffix(".part")
        whole.write_text(json.dumps(watch.told()))
        whole.rename(out)

    signal.signal(signal.SIGUSR1, tell)
    return cli.main(arguments)


def press(server: Server, mix: str, requests: int) -> None:
    """Sixteen at a time."""
    command = [sys.executable, "-m", "loadtest", "closed", "--mix", mix, "--concurrency", "16"]
    subprocess.run(
        [*command, "--requests", str(requests), "--url", server.url],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def told(server: Server, out: Path) -> dict[str, Any]:
    """What the server has seen so far."""
    os.kill(server.pid, signal.SIGUSR1)
    while not out.exists():
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def measure(requests: int) -> dict[str, Any]:
    """Of ``requests`` of each mix."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "told.json"
        command = [sys.executable, "-m", __spec__.name, "serve", "--port", "{port}"]
        with started("gateway", command, "/readyz", {OUT: str(out)}) as server:
            for mix in MIXES:
                press(server, mix, requests)
            return told(server, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="of each mix")
    result = measure(parser.parse_args().requests)
    for name, held in result["slowest_ms"].items():
        print(f"{held:>8.2f} ms  {name}")
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        sys.exit(serve(sys.argv[1:]))
    main()
