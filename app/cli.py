"""``ucbd``: the command line.

Imports nothing heavy until a command needs it, so that ``--help`` is quick. Exit codes: 0, 1 for
what failed, 2 for bad arguments or input.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

EXIT_FAILED, EXIT_USAGE = 1, 2

_MODEL = "reference-base, reference-sft, reference-dpo (the default), or what vLLM accepts"


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
    _add_serve(commands)
    _add_evaluate(commands)
    _add_replay(commands)
    _add_questions(commands)
    _add_index(commands)
    _add_pointer(commands)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="run the gateway in front of a vLLM engine",
        description="Run the gateway in front of a vLLM engine in this process.",
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    serve.add_argument("--model", metavar="NAME_OR_PATH", help=_MODEL)
    serve.add_argument("--policy", metavar="NAME|FILE", help="the default policy")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8000)")
    serve.set_defaults(run=_serve)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="ask a real engine every question of a file, score the answers, write a report",
        description="Ask a real engine every question, with all stages on, and write DIR/"
        "records.jsonl, report.json and report.html. Interrupted, the same command goes on.",
    )
    evaluate.add_argument("questions", type=Path, nargs="+", metavar="QUESTIONS.jsonl")
    evaluate.add_argument("--model", metavar="NAME_OR_PATH", help=_MODEL)
    evaluate.add_argument(
        "--samples", type=_whole(2, 64), default=10, metavar="N", help="samples per question (10)"
    )
    evaluate.add_argument(
        "--sample-temperature", type=_temperature, default=1.0, metavar="T", help="theirs (1.0)"
    )
    evaluate.add_argument(
        "--max-tokens", type=_whole(1, 4096), default=64, metavar="N", help="of an answer (64)"
    )
    evaluate.add_argument("--limit", type=_whole(1), metavar="N", help="only the first N questions")
    evaluate.add_argument(
        "--concurrency",
        type=_whole(1, 1024),
        default=32,
        metavar="N",
        help="questions at once (32)",
    )
    _add_report(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="the same report from recorded generations, without an engine",
        description="Score recorded generations (.jsonl or .jsonl.gz) and write the report.",
    )
    replay.add_argument("records", type=Path, nargs="+", metavar="RECORDS.jsonl")
    replay.add_argument(
        "--keep-reasoning", action="store_true", help="cluster reasoning text with the answers"
    )
    _add_report(replay)
    replay.set_defaults(run=_replay)


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the report's folder"
    )
    command.add_argument("--policy", metavar="NAME|FILE", help="decides about every record")
    command.add_argument(
        "--clusterers",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="NAME,…",
        help="of combined, jaccard, embedding, exact, nli and (for the embedded models) oracle; "
        "the first four by default",
    )


def _add_questions(commands: Any) -> None:
    questions = commands.add_parser(
        "questions",
        help="write question files: the embedded models' world, or a dataset you have",
        description="Write question files in the project's record format.",
    )
    questions.add_argument("--out", type=Path, required=True, metavar="DIR")
    questions.add_argument(
        "--from",
        dest="dataset",
        nargs=2,
        metavar=("NAME", "FILE"),
        help="a file of truthfulqa, gsm8k or webquestions",
    )
    questions.set_defaults(run=_questions)


def _add_index(commands: Any) -> None:
    index = commands.add_parser(
        "index",
        help="make a reference index of questions, for the stage `density`",
        description="Embed the prompts of a question file (.jsonl or .jsonl.gz) that a model is "
        "known to serve well.",
    )
    index.add_argument("questions", type=Path, metavar="QUESTIONS.jsonl")
    index.add_argument("--out", type=Path, required=True, metavar="DIR")
    index.set_defaults(run=_index)


def _add_pointer(commands: Any) -> None:
    pointer = commands.add_parser(
        "pointer",
        help="fit a pointer to a model's labelled answers, for the stage `pointer`",
        description="Fit a logistic regression over 20 free features to labelled answers with "
        "exact token entropies (records that `ucbd evaluate` wrote), and say how it ranks answers "
        "that it was not fitted to.",
    )
    pointer.add_argument("records", type=Path, nargs="+", metavar="RECORDS.jsonl")
    pointer.add_argument("--out", type=Path, required=True, metavar="POINTER.json")
    pointer.add_argument("--model", metavar="NAME", help="whose answers, where records differ")
    pointer.set_defaults(run=_pointer)


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of a whole number within bounds."""

    def number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, got {value}")
        return value

    number.__name__ = "whole number"
    return number


def _temperature(text: str) -> float:
    value = float(text)
    if not 0 < value <= 5:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 5, got {value:g}")
    return value


def _serve(options: argparse.Namespace) -> int:
    from ucbd.app.serve import serve

    flags = {
        name: value
        for name in ("model", "policy", "host", "port")
        if (value := getattr(options, name)) is not None
    }
    return serve(options.config, flags)


def _evaluate(options: argparse.Namespace) -> int:
    from ucbd.app.evaluate import evaluate

    return evaluate(options)


def _replay(options: argparse.Namespace) -> int:
    from ucbd.app.evaluate import replay

    return replay(options)


def _questions(options: argparse.Namespace) -> int:
    from ucbd.app.evaluate import questions

    return questions(options)


def _index(options: argparse.Namespace) -> int:
    from ucbd.app.index import index

    return index(options)


def _pointer(options: argparse.Namespace) -> int:
    from ucbd.app.pointer import pointer

    return pointer(options)


if __name__ == "__main__":
    sys.exit(main())
