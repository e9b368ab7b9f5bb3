"""The alignment-tax experiment: ``python -m ucbd.app.studies.experiment --work DIR --runs DIR``.

For each world seed the family is trained, every stage and arm answers the world's questions through
the real engine (``ucbd evaluate``), and what it said becomes a small table under ``--runs``, which
``python -m ucbd.cascade.alignment_tax`` reads. What is there already is not done again, so an
interrupted experiment goes on where it stopped. Knows the plan; trains, asks and counts nothing
itself: every step is a command that can be given by hand.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ucbd.models.reference.family import ARMS, DEFAULT_ARM, FACTS_ONLY
from ucbd.models.reference.question_files import write_questions
from ucbd.models.reference.world import make_world

_TABLE = "run.json"  # written last: a run that has it is whole
STAGES = ("base", "sft", DEFAULT_ARM)
TEMPERATURES = (0.3, 0.7, 1.5)
"""Sampled at besides 1, for the three stages of the first seed."""

FAMILIES = (
    ("llama-small", "llama", "small"),
    ("llama-large", "llama", "large"),
    ("qwen3", "qwen3", "default"),
    ("gpt2", "gpt2", "default"),
    ("gpt-neox", "gpt-neox", "default"),
)
"""Other scales and architectures, on facts of a small world: (family, architecture, scale)."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is trained together: one architecture at one scale on the world of one seed."""

    name: str
    seed: int
    training: tuple[str, ...]
    arms: tuple[str, ...]
    size: float = 1.0
    temperatures: tuple[float, ...] = ()

    def runs(self) -> list[str]:
        """The names of its tables."""
        models = ["base", "sft", *self.arms]
        swept = [stage for stage in models if stage in STAGES]
        return models + [f"{stage}@T{t:g}" for stage in swept for t in self.temperatures]

    def folder(self, root: Path) -> Path:
        """Its folder below a root."""
        return root / self.name / f"seed-{self.seed}"


def plan(full: Sequence[int], short: Sequence[int], families: bool) -> Iterator[Family]:
    """Seeds with every arm, seeds with three stages and SFT on the chosen answers, and the others.

    The first full seed is also sampled at other temperatures.
    """
    every = tuple(arm.name for arm in ARMS)
    for place, seed in enumerate(full):
        yield Family("llama", seed, (), every, temperatures=TEMPERATURES if place == 0 else ())
    for seed in short:
        yield Family("llama", seed, (), (DEFAULT_ARM, "sft-on-chosen"))
    if families and full:
        for name, architecture, scale in FAMILIES:
            training = ("--architecture", architecture, "--scale", scale, "--facts-only")
            yield Family(name, full[0], training, (DEFAULT_ARM,), FACTS_ONLY)


def main() -> int:
    """Command line; stops at the first step that fails, with its exit code."""
    parser = argparse.ArgumentParser(description="Train, ask and count: the alignment tax.")
    parser.add_argument("--work", type=Path, required=True, help="weights and records (large)")
    parser.add_argument("--runs", type=Path, required=True, help="tables to keep (small)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3], help="with every arm")
    parser.add_argument("--short-seeds", type=int, nargs="*", default=[4, 5])
    parser.add_argument("--no-families", action="store_true", help="one architecture only")
    options = parser.parse_args()
    try:
        for family in plan(options.seeds, options.short_seeds, not options.no_families):
            run(family, options.work, options.runs)
    except subprocess.CalledProcessError as error:
        print(f"experiment: {' '.join(error.cmd)} failed", file=sys.stderr)
        return 1
    return 0


def run(family: Family, work: Path, runs: Path) -> None:
    """Train a family and have each of its models answer the questions of its world.

    Nothing when every table of it is there: tables are kept, weights need not be.
    """
    if all((family.folder(runs) / name / _TABLE).is_file() for name in family.runs()):
        return
    folder = family.folder(work)
    _python("ucbd.models.reference.family", "--out", folder / "models", "--seed", family.seed,
            *family.training, "--arms", *family.arms)  # fmt: skip
    questions = write_questions(folder / "questions", make_world(family.seed, family.size))
    if family.training:
        questions = [file for file in questions if file.stem == "facts"]
    for stage in ("base", "sft", *family.arms):
        model = folder / "models" / stage
        observe(model, questions, folder / "answers" / stage, family.folder(runs) / stage, 1.0)
        if stage in STAGES:
            for temperature in family.temperatures:
                name = f"{stage}@T{temperature:g}"
                answers, run_folder = folder / "answers" / name, family.folder(runs) / name
                observe(model, questions[:1], answers, run_folder, temperature)


def observe(
    model: Path, questions: Sequence[Path], answers: Path, run_folder: Path, temperature: float
) -> None:
    """Ask a model every question, and keep the table of what it said; nothing if that is there."""
    if (run_folder / _TABLE).is_file():
        return
    _python("ucbd.app.cli", "evaluate", *questions, "--model", model, "--out", answers,
            "--clusterers", "jaccard,embedding,exact,oracle",
            "--sample-temperature", temperature)  # fmt: skip
    _python("ucbd.cascade.alignment_tax.observe", answers / "records.jsonl",
            "--weights", model, "--out", run_folder)  # fmt: skip


def _python(module: str, *arguments: object) -> None:
    """Run a module with this Python, its output where ours goes."""
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)  # noqa: S603 our own commands


if __name__ == "__main__":
    sys.exit(main())
