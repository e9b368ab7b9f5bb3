"""``ucbd``: the command line.

Imports nothing heavy until a command needs it, so that ``--help`` is quick. Exit codes: 0, 1 for
what failed, 2 for bad arguments or input.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXIT_FAILED, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    run: Any = options.run
    return int(run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ucbd", description="An inference-serving uncertainty gateway."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run the gateway in front of a vLLM engine",
        description="Run the gateway in front of a vLLM engine in this process.",
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    serve.add_argument(
        "--model",
        metavar="NAME_OR_PATH",
        help="the embedded model 'reference' (the default), or what vLLM accepts",
    )
    serve.add_argument("--policy", metavar="NAME|FILE", help="the default policy")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8000)")
    serve.set_defaults(run=_serve)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from ucbd.app.serve import serve

    flags = {
        name: value
        for name in ("model", "policy", "host", "port")
        if (value := getattr(options, name)) is not None
    }
    return serve(options.config, flags)


if __name__ == "__main__":
    sys.exit(main())
