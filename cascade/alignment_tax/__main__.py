"""The page and its plots: ``python -m ucbd.cascade.alignment_tax RUNS --out docs``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ucbd.cascade.alignment_tax.page import page
from ucbd.cascade.alignment_tax.plots import draw
from ucbd.cascade.alignment_tax.runs import Runs, read_runs
from ucbd.models.errors import GatewayError

TUNED_ON = (0,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the page is written, 2 when a run's files cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m ucbd.cascade.alignment_tax")
    parser.add_argument("runs", type=Path, help="<family>/seed-<k>/<stage or arm>[@T<t>]/ below it")
    parser.add_argument("--out", type=Path, required=True, help="folder of alignment-tax.md")
    parser.add_argument(
        "--leave-out",
        type=int,
        nargs="*",
        default=list(TUNED_ON),
        help="seeds the recipe was tuned on, not reported (default 0)",
    )
    options = parser.parse_args(arguments)
    try:
        make(options.runs, options.out, options.leave_out)
    except (GatewayError, OSError) as error:
        print(f"alignment-tax: {error}", file=sys.stderr)
        return 2
    return 0


def make(folder: Path, out: Path, left_out: Sequence[int] = TUNED_ON) -> Path:
    """Write the page and its plots; the page comes last, whole or not at all."""
    every = read_runs(folder).all
    runs = Runs(tuple(run for run in every if run.seed not in left_out))
    dropped = sorted({run.seed for run in every if run.seed in left_out})
    text = page(runs, dropped)
    out.mkdir(parents=True, exist_ok=True)
    draw(runs, out / "alignment-tax")
    path = out / "alignment-tax.md"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8")
    os.replace(partial, path)
    return path


if __name__ == "__main__":
    sys.exit(main())
