"""The evaluation questions of the embedded model's world, in the project's record format.

Every question has its reference answer, the rule that matches it, its kind and how often the
training text stated it. None of them stands in the training text: facts are asked in the phrasing
kept aside, and the problems are others. ``python -m ucbd.models.reference.questions`` writes them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ucbd.models.reference.world import World, evaluation_problems, make_world

FOLDER = Path(__file__).parent / "questions"


def fact_records(world: World) -> Iterator[dict[str, object]]:
    """One record per fact, of every frequency."""
    for number, fact in enumerate(world.facts):
        yield {
            "id": f"fact-{number}",
            "prompt": fact.question(fact.asked),
            "reference": [fact.value],
            "match": "contains",
            "kind": "fact",
            "group": fact.relation.name,
            "frequency": fact.frequency,
        }


def problem_records(world: World) -> Iterator[dict[str, object]]:
    """One record per evaluation problem; ``group`` is its number of steps."""
    for number, problem in enumerate(evaluation_problems(world)):
        yield {
            "id": f"problem-{number}",
            "prompt": problem.question,
            "reference": [str(problem.number)],
            "match": "number",
            "kind": "arithmetic",
            "group": f"{problem.steps} steps",
        }


def write_questions(folder: Path, world: World) -> list[Path]:
    """``facts.jsonl`` and ``arithmetic.jsonl`` in ``folder``, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    sets = {"facts": fact_records(world), "arithmetic": problem_records(world)}
    return [_write(folder / f"{name}.jsonl", records) for name, records in sets.items()]


def _write(path: Path, records: Iterable[dict[str, object]]) -> Path:
    partial = path.with_suffix(".partial")
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    partial.write_text("".join(lines), encoding="utf-8")
    os.replace(partial, path)
    return path


if __name__ == "__main__":
    for written in write_questions(FOLDER, make_world()):
        print(written)
