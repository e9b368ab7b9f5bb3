"""``python -m ucbd.app.studies.hotpot FILE``: does grounding tell wrong answers, on a recording?

Each question has an answer given without its evidence and one given with it; an answer is right
when it has the reference's words, a rule that misses paraphrase. Each is held against the evidence
alone and among distracting paragraphs. Prints AUROC and what a threshold would stop.
"""

import argparse
import asyncio
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ucbd.cascade.boundaries.grounding import unsupported
from ucbd.cascade.evaluation.matching import matches
from ucbd.cascade.evaluation.ranking import auroc, auroc_interval
from ucbd.cascade.support import Entailment, Support, Wording
from ucbd.models.errors import GatewayError
from ucbd.models.nli import CrossEncoder

GIVEN = ("without", "with")
"""Whether the model saw the evidence when it answered."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(description="Grounding on recorded answers.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--nli", help="by this NLI model, a folder or a name, not by words")
    parser.add_argument("--fire", type=float, default=0.5, help="score above which it fires")
    options = parser.parse_args(arguments)
    try:
        with gzip.open(options.file, "rt", encoding="utf-8") as lines:
            questions = [json.loads(line) for line in lines]
        support = Entailment(CrossEncoder(options.nli)) if options.nli else Wording()
        asyncio.run(_table(questions, support, options.fire))
    except (GatewayError, OSError, ValueError, KeyError) as error:
        print(f"hotpot: {options.file}: {error!r}", file=sys.stderr)
        return 2
    return 0


async def _table(questions: Sequence[dict[str, Any]], support: Support, fire: float) -> None:
    print(f"{support}, fires above {fire:g}")
    print("| answered | held against | told | wrong | AUROC | wrong stopped | right stopped |")
    print("|---|---|---|---|---|---|---|")
    for given in (GIVEN, ("without",), ("with",)):
        for parts in (("evidence",), ("evidence", "distractors")):
            found = [
                (score, wrong)
                for question in questions
                for one in given
                for score, wrong in [await _answer(question, one, parts, support)]
                if score is not None
            ]
            names = " and ".join(f"{one} evidence" for one in given)
            print(f"| {names} | {' and '.join(parts)} | {_row(found, fire)} |", flush=True)


async def _answer(
    question: dict[str, Any], given: str, parts: Sequence[str], support: Support
) -> tuple[float | None, bool]:
    answer = question[f"answer_{given}_evidence"]
    held = [text for part in parts for text in question[part]]
    score = await unsupported(question["prompt"], answer, held, support)
    return score, not matches(answer, question["reference"], "contains")


def _row(found: Sequence[tuple[float, bool]], fire: float) -> str:
    scores, wrong = zip(*found, strict=True)
    low, high = auroc_interval(scores, wrong)
    stopped = [is_wrong for score, is_wrong in found if score > fire]
    right = len(wrong) - sum(wrong)
    return (
        f"{len(wrong)} | {sum(wrong)} | {auroc(scores, wrong):.3f} [{low:.3f}, {high:.3f}] "
        f"| {sum(stopped)} of {sum(wrong)} | {len(stopped) - sum(stopped)} of {right}"
    )


if __name__ == "__main__":
    sys.exit(main())
