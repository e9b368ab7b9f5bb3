"""``ucbd serve`` on a scripted engine: a real process, real sockets and signals, and no model.

Takes its settings from the environment, as ``ucbd serve`` does. A prompt says what comes of it:
``delay=0.5 entropy=0.3 fault=failed where was he born``; ``fault=death`` kills the engine, and
``until=released`` does not end before SIGUSR2 has come. On SIGUSR1 it prints what is held: one JSON
line of tasks and of calls under way.
"""

import asyncio
import gc
import json
import signal
import sys

from ucbd.app.commands.serve import run
from ucbd.app.settings import read_settings
from ucbd.app.telemetry.logs import configure_logging
from ucbd.models.errors import EngineFailed, EngineUnavailable, GatewayError
from ucbd.models.scripted import Script, ScriptedEngine

RELEASED = asyncio.Event()
FAULTS = {"failed": EngineFailed, "unavailable": EngineUnavailable, "bug": ZeroDivisionError}


def script(prompt: str) -> Script:
    """What the prompt says."""
    told = dict(word.split("=", 1) for word in prompt.split() if "=" in word)
    return Script(
        answer="Tarn it is",
        entropies=(float(told.get("entropy", 0.01)),),
        samples=("Tarn it is", "Dole instead"),
        delay=float(told.get("delay", 0)),
        pace=float(told.get("pace", 0)),
        sample_delay=float(told.get("sample_delay", 0)),
        fault=_fault(told.get("fault")),
        sample_fault=_fault(told.get("sample_fault")),
        held=RELEASED if "until" in told else None,
    )


def _fault(name: str | None) -> Exception | None:
    """A new one each time: an exception that is raised again keeps what it was raised through."""
    return FAULTS[name](f"the script says {name}") if name in FAULTS else None


class MortalEngine(ScriptedEngine):
    """Dies of a prompt, with all that is under way."""

    async def encode(self, prompt, *, raw=False):
        encoded = await super().encode(prompt, raw=raw)
        if "fault=death" in (prompt if isinstance(prompt, str) else prompt[-1].content):
            self.dead = True
        return encoded


async def start() -> ScriptedEngine:
    """The engine; a new one after each death."""
    engine = MortalEngine(script)

    def report() -> None:
        gc.collect()
        held = {"tasks": len(asyncio.all_tasks()), "calls": engine.running}
        print(json.dumps(held), flush=True)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, report)
    loop.add_signal_handler(signal.SIGUSR2, RELEASED.set)
    return engine


if __name__ == "__main__":
    try:
        settings = read_settings()
        configure_logging(settings.log_format)
        sys.exit(run(settings, start))
    except GatewayError as error:
        print(f"ucbd serve: {error}", file=sys.stderr)
        sys.exit(2)
