"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): arithmetic word problems, one number each.

Rows of ``question`` and ``answer``, the worked solution with ``#### 42`` at its end: the authors'
``test.jsonl`` and both configurations of the Hugging Face dataset ``openai/gsm8k``. The label is
sound as far as a model ends on its result: ``number`` takes the last number of an answer.
"""

import re
from collections.abc import Iterable, Iterator

from ucbd.models.datasets.fields import shape_of, text
from ucbd.models.datasets.rows import Row

_FINAL = re.compile(r"####\s*\$?(-?[\d,]*\.?\d+)\s*$")


def records(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    """One record per row; ``group`` is its number of steps, the lines of the worked solution."""
    for number, row in enumerate(rows):
        shape_of(row, (("question", "answer"),))
        solution = text(row, "answer")
        final = _FINAL.search(solution)
        if final is None:
            raise row.error("answer", f"must end in '#### NUMBER', ends in {solution[-40:]!r}")
        steps = sum(bool(line.strip()) for line in solution[: final.start()].splitlines())
        yield {
            "id": f"gsm8k-{number}",
            "prompt": text(row, "question"),
            "reference": [final[1].replace(",", "")],
            "match": "number",
            "kind": "arithmetic",
            "group": f"{steps} steps",
            "frequency": None,
        }
