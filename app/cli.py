"""``ucbd``: the command line.

Imports nothing heavy until a command needs it, so that ``--help`` is quick. Exit codes: 0, 1 for
what failed, 2 for bad arguments or input, 3 for a shift that is larger than allowed.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ucbd.app.arguments import (
    open_share,
    share,
    stop_error,
    temperature,
    temperatures,
    whole,
)

EXIT_FAILED, EXIT_USAGE, EXIT_SHIFTED = 1, 2, 3

_MODEL = "reference-base, reference-sft, reference-dpo (the default), or what vLLM accepts"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    module, function = options.run.split(":")
    run = getattr(import_module(f"ucbd.app.commands.{module}"), function)
    return int(run(options))


def parser() -> argparse.ArgumentParser:
    """Every command; ``run`` of what it parses is "module:function" in app/commands/."""
    top = argparse.ArgumentParser(
        prog="ucbd", description="An inference-serving uncertainty gateway."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_keys(commands)
    _add_probe(commands)
    _add_evaluate(commands)
    _add_replay(commands)
    _add_compare(commands)
    _add_diagnose(commands)
    _add_questions(commands)
    _add_index(commands)
    _add_pointer(commands)
    _add_calibrate(commands)
    _add_label(commands)
    _add_records(commands)
    return top


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="run the gateway in front of a vLLM engine",
        description="Run the gateway in front of a vLLM engine in this process, or of servers "
        "elsewhere.",
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    serve.add_argument("--model", metavar="NAME_OR_PATH", help=_MODEL)
    serve.add_argument(
        "--upstream",
        action="append",
        metavar="URL",
        help="stand in front of this OpenAI-compatible server instead; repeat it for several of "
        "one model",
    )
    serve.add_argument("--policy", metavar="NAME|FILE", help="the default policy")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8000)")
    serve.add_argument(
        "--workers", type=int, metavar="N", help="processes, with --upstream only (1)"
    )
    serve.add_argument("--keys", type=Path, metavar="FILE", help="API keys; see `ucbd keys`")
    serve.add_argument(
        "--public-without-keys",
        action="store_true",
        default=None,
        help="let other machines ask without a key",
    )
    serve.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate chain to serve")
    serve.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    serve.set_defaults(run="serve:command")


def _add_keys(commands: Any) -> None:
    keys = commands.add_parser("keys", help="make API keys", description="API keys.")
    new = keys.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "new",
        help="make a key: shown once, with the line for the keys file",
        description="Make a key. It is shown on standard error, this once; standard output gets "
        "the line for the keys file, which holds only its hash: "
        "`ucbd keys new NAME >> keys.jsonl`.",
    )
    new.add_argument("name", help="the caller's: letters, digits, '.', '_' and '-'")
    new.add_argument("--requests", type=whole(1), metavar="N", help="requests per minute")
    new.add_argument("--tokens", type=whole(1), metavar="N", help="tokens per minute")
    new.add_argument(
        "--policies", metavar="NAME,…", help="policies it may use, the first being its default"
    )
    new.set_defaults(run="keys:new")


def _add_probe(commands: Any) -> None:
    probe = commands.add_parser(
        "probe",
        help="what a server gives the gateway, and how to have exact entropy of a vLLM",
        description="Ask an OpenAI-compatible server what it gives, and print the line that starts "
        "a vLLM which gives exact token entropy; without a URL only that.",
    )
    probe.add_argument("url", nargs="?", metavar="URL", help="the server")
    probe.add_argument("--model", metavar="NAME", help="where it serves several")
    probe.set_defaults(run="probe:probe")


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
        "--samples", type=whole(2, 64), default=10, metavar="N", help="samples per question (10)"
    )
    evaluate.add_argument(
        "--sample-temperature", type=temperature, default=1.0, metavar="T", help="theirs (1.0)"
    )
    evaluate.add_argument(
        "--max-tokens", type=whole(1, 4096), default=64, metavar="N", help="of an answer (64)"
    )
    evaluate.add_argument("--limit", type=whole(1), metavar="N", help="only the first N questions")
    evaluate.add_argument(
        "--concurrency",
        type=whole(1, 1024),
        default=32,
        metavar="N",
        help="questions at once (32)",
    )
    _add_report(evaluate)
    evaluate.set_defaults(run="evaluate:evaluate")


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
    replay.set_defaults(run="evaluate:replay")


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="the reports of several runs on one page",
        description="Set what `ucbd evaluate` or `ucbd replay` wrote side by side, paired where "
        "runs share questions. The first is what the others are held against. Writes the page, and "
        "compare.json beside it.",
    )
    compare.add_argument("reports", type=Path, nargs="+", metavar="DIR")
    compare.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    compare.set_defaults(run="compare:compare")


def _add_diagnose(commands: Any) -> None:
    diagnose = commands.add_parser(
        "diagnose",
        help="how often sampling cannot rank a served model's answers: no labels, one page",
        description="Ask an OpenAI-compatible server 200 questions, each several times, and write "
        "DIR/report.html, report.json and records.jsonl. Says what it will cost and asks first. "
        "Interrupted, it reports on what there is, and the same command goes on. Exit code 3: the "
        "shift exceeds --max-shift.",
    )
    diagnose.add_argument("url", metavar="URL", help="of the server, with or without /v1")
    diagnose.add_argument("--model", metavar="NAME", help="where it serves several")
    diagnose.add_argument(
        "--against",
        metavar="URL|REPORT.json",
        help="another server, or an earlier diagnosis: the shift is from there to URL",
    )
    diagnose.add_argument("--against-model", metavar="NAME", help="where that one serves several")
    diagnose.add_argument(
        "--max-shift",
        type=share,
        metavar="SHARE",
        help="exit with 3 when the rate differs by more, either way (0.1 is 10 points)",
    )
    diagnose.add_argument(
        "--questions", type=Path, metavar="FILE", help="records to ask instead of those that ship"
    )
    diagnose.add_argument(
        "--samples", type=whole(2, 64), default=10, metavar="N", help="samples per question (10)"
    )
    diagnose.add_argument(
        "--max-tokens", type=whole(1, 65536), default=64, metavar="N", help="of an answer (64)"
    )
    diagnose.add_argument(
        "--temperatures",
        type=temperatures,
        default=(0.3, 0.7, 1.5),
        metavar="T,…",
        help="five samples more at each, of every fifth question (0.3,0.7,1.5); none leaves it out",
    )
    diagnose.add_argument(
        "--concurrency", type=whole(1, 1024), default=16, metavar="N", help="requests at once (16)"
    )
    diagnose.add_argument("--vocab-size", type=whole(2), metavar="V", help="for upper bounds")
    diagnose.add_argument(
        "--key-file", type=Path, metavar="FILE", help="holds the server's API key"
    )
    diagnose.add_argument(
        "--against-key-file", type=Path, metavar="FILE", help="that of the other server, if not it"
    )
    diagnose.add_argument(
        "--starter-policy", type=Path, metavar="FILE", help="write an uncalibrated first policy"
    )
    diagnose.add_argument(
        "--flag-rate",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="how many of these questions that policy flags (0.1)",
    )
    diagnose.add_argument("--yes", action="store_true", help="begin without asking")
    diagnose.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the report's folder"
    )
    _add_clusterers(diagnose, "the first four by default")
    diagnose.set_defaults(run="diagnose:diagnose")


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the report's folder"
    )
    command.add_argument("--policy", metavar="NAME|FILE", help="decides about every record")
    _add_clusterers(command, "the first four by default")


def _add_clusterers(command: argparse.ArgumentParser, note: str) -> None:
    command.add_argument(
        "--clusterers",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="NAME,…",
        help="of combined, jaccard, embedding, exact, nli and (for the embedded models) oracle; "
        + note,
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
    questions.set_defaults(run="evaluate:questions")


def _add_index(commands: Any) -> None:
    index = commands.add_parser(
        "index",
        help="make a reference index of questions, for the stage `density`",
        description="Embed the prompts of a question file (.jsonl or .jsonl.gz) that a model is "
        "known to serve well.",
    )
    index.add_argument("questions", type=Path, metavar="QUESTIONS.jsonl")
    index.add_argument("--out", type=Path, required=True, metavar="DIR")
    index.set_defaults(run="index:index")


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
    pointer.set_defaults(run="pointer:pointer")


def _add_calibrate(commands: Any) -> None:
    calibrate = commands.add_parser(
        "calibrate",
        help="make a policy that holds an error rate, from labelled answers",
        description="Fit the cascade to four tenths of the labelled answers and certify on the "
        "others that at most ALPHA of what it answers is wrong, with confidence 1 - DELTA. "
        "Refuses, and says what it would take, where the answers do not show it.",
    )
    calibrate.add_argument("records", type=Path, nargs="+", metavar="RECORDS.jsonl")
    calibrate.add_argument(
        "--alpha", type=open_share, default=0.1, metavar="A", help="most wrong answers (0.1)"
    )
    calibrate.add_argument(
        "--delta", type=open_share, default=0.05, metavar="D", help="1 - confidence (0.05)"
    )
    calibrate.add_argument("--out", type=Path, required=True, metavar="PROFILE.json")
    calibrate.add_argument(
        "--policy", metavar="NAME|FILE", help="the stages to calibrate (those of `default`)"
    )
    calibrate.add_argument(
        "--stages",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="NAME,…",
        help="only these of them",
    )
    calibrate.add_argument(
        "--groups", action="store_true", help="hold it in each `group` of the records for itself"
    )
    calibrate.add_argument(
        "--stop-error",
        type=stop_error,
        default=0.05,
        metavar="E",
        help="how often fewer stages and samples may decide otherwise than all (0.05)",
    )
    calibrate.add_argument("--seed", type=whole(0), default=0, help="of the split (0)")
    calibrate.add_argument("--description", default="", metavar="TEXT", help="of the profile")
    _add_clusterers(calibrate, "the one that decides comes first")
    calibrate.set_defaults(run="calibrate:calibrate")


def _add_label(commands: Any) -> None:
    label = commands.add_parser(
        "label",
        help="say of drawn requests, one key each, whether the answer was right",
        description="Show the requests of the audit draw that have no label yet, oldest first: y "
        "right, n wrong, s skip, u undo, q quit. Works beside a running gateway.",
    )
    label.add_argument("--by", metavar="NAME", help="who labels (the user that is logged in)")
    _add_store(label)
    label.set_defaults(run="label:label")


def _add_records(commands: Any) -> None:
    records = commands.add_parser(
        "records",
        help="write labelled records of the gateway's traffic as a record file",
        description="Write the labelled records of a gateway's store as a record file, for `ucbd "
        "calibrate`, `ucbd replay` and `ucbd pointer`.",
    )
    source = records.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--audit",
        dest="source",
        action="store_const",
        const="audit",
        help="those of the audit draw: a uniform share of the traffic, fit to certify",
    )
    source.add_argument(
        "--feedback",
        dest="source",
        action="store_const",
        const="feedback",
        help="those with volunteered feedback: to fit and to look at, never to certify",
    )
    records.add_argument("--out", type=Path, required=True, metavar="RECORDS.jsonl")
    records.add_argument(
        "--scores-only",
        action="store_true",
        help="those too whose text or samples were not kept; `ucbd calibrate` cannot use them",
    )
    records.add_argument("--model", metavar="NAME", help="only the answers of this model")
    records.add_argument("--policy", metavar="NAME", help="only what this policy decided")
    _add_store(records)
    records.set_defaults(run="export:export")


def _add_store(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="the gateway's settings")
    command.add_argument("--records", metavar="FILE|URL", help="the store (the setting `records`)")


if __name__ == "__main__":
    sys.exit(main())
