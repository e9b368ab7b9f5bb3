"""The evaluation questions of a world, in the project's record format.

Every question has its reference answer, the rule that matches it, its kind and how often the
training text stated it. None of them stands in the training text. ``ucbd questions --out DIR`` and
``python -m ucbd.models.reference.question_files`` write them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from ucbd.models.reference.mayors import NOW, QUESTIONS_NOW, Office
from ucbd.models.reference.problems import evaluation_problems
from ucbd.models.reference.world import World, make_world

FOLDER = Path(__file__).parent / "questions"

ASKED_AT = f"{NOW}-06-01T00:00:00Z"


def fact_records(world: World) -> Iterator[dict[str, object]]:
    """One record per fact kept for evaluation; a fact in conflict has the kind ``conflict``."""
    for number, fact in enumerate(world.part("evaluation")):
        yield {
            "id": f"fact-{number}",
            "prompt": fact.question(fact.asked),
            "reference": [fact.value],
            "match": "contains",
            "kind": "conflict" if fact.frequency == "conflict" else "fact",
            "group": fact.relation.name,
            "frequency": fact.frequency,
        }


def problem_records(world: World) -> Iterator[dict[str, object]]:
    """One record per evaluation problem; ``group`` is its number of steps."""
    for number, problem in enumerate(evaluation_problems(world.seed)):
        yield {
            "id": f"problem-{number}",
            "prompt": problem.question,
            "reference": [str(problem.number)],
            "match": "number",
            "kind": "arithmetic",
            "group": f"{problem.steps} steps",
            "frequency": "never",
        }


def freshness_records(world: World) -> Iterator[dict[str, object]]:
    """Mayors before the text's cutoff, after it, and now; ``group`` tells which."""
    random = Random(f"freshness {world.seed}")
    offices = [office for office in world.offices if office.part == "evaluation"]
    for number, office in enumerate(offices):
        yield _freshness(number, office, office.question(office.asked))
        if office.year == NOW:
            prompt = random.choice(QUESTIONS_NOW).format(t=office.town)
            yield _freshness(len(offices) + number, office, prompt, group="now")


def _freshness(
    number: int, office: Office, prompt: str, group: str | None = None
) -> dict[str, object]:
    return {
        "id": f"mayor-{number}",
        "prompt": prompt,
        "reference": [office.mayor],
        "match": "contains",
        "kind": "freshness",
        "group": group or ("before cutoff" if office.known else "after cutoff"),
        "frequency": "seldom" if office.known else "never",
        "asked_at": ASKED_AT,
    }


def write_questions(folder: Path, world: World | None = None) -> list[Path]:
    """``facts``, ``arithmetic`` and ``freshness.jsonl`` in ``folder``, each whole or not at all.

    Of the embedded models' world when no other is given.
    """
    world = world or make_world()
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        "facts": fact_records(world),
        "arithmetic": problem_records(world),
        "freshness": freshness_records(world),
    }
    return [_write(folder / f"{name}.jsonl", records) for name, records in sets.items()]


def _write(path: Path, records: Iterable[dict[str, object]]) -> Path:
    partial = path.with_suffix(".partial")
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    partial.write_text("".join(lines), encoding="utf-8")
    os.replace(partial, path)
    return path


if __name__ == "__main__":
    for written in write_questions(FOLDER):
        print(written)
