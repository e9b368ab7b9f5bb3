"""TruthfulQA (Lin et al. 2021, arXiv 2109.07958): questions that invite a common falsehood.

Three shapes are read: the authors' ``TruthfulQA.csv`` (answers of a list separated by ``;``; its
817 rows of 2021 and its 790 of 2025 alike), and the two configurations of the Hugging Face dataset
``truthfulqa/truthful_qa``, ``generation`` and ``multiple_choice`` (from its ``mc2_targets``).

**What the labels can and cannot tell.** The references are whole sentences. ``match`` is
``contains``: an answer counts as right only when it has a reference in it word for word, which a
model that says it in its own words does not do, and a short reference ("No", "Yes") makes right
what merely has that word. So a label derived by ``contains`` is mostly *wrong* for a model that is
right. Single-cluster rates and entropies need no label and are sound; AUROCs and accuracies need
better ones. ``ucbd.models.datasets.overlap`` gives those of word overlap, the kind the paper used
(with many undecided); ``incorrect`` is carried along for it and for any judge of your own.
"""

from collections.abc import Iterable, Iterator

from ucbd.models.datasets.fields import shape_of, text, texts
from ucbd.models.datasets.rows import Row

_CSV = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")
_GENERATION = ("question", "best_answer", "correct_answers", "incorrect_answers")
_MULTIPLE_CHOICE = ("question", "mc2_targets")


def records(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    """One record per row; the best answer is its first reference, the category its ``group``."""
    for number, row in enumerate(rows):
        shape = shape_of(row, (_CSV, _GENERATION, _MULTIPLE_CHOICE))
        if shape == _MULTIPLE_CHOICE:
            correct, incorrect = _labelled(row)
        else:
            best, right, wrong = shape[1:]
            correct = texts(row, right, [text(row, best), *_listed(row, right)])
            incorrect = texts(row, wrong, _listed(row, wrong))
        category = next((name for name in ("Category", "category") if row.values.get(name)), None)
        yield {
            "id": f"truthfulqa-{number}",
            "prompt": text(row, shape[0]),
            "reference": correct,
            "incorrect": incorrect,
            "match": "contains",
            "kind": "fact",
            "group": text(row, category) if category else "TruthfulQA",
            "frequency": None,
        }


def _listed(row: Row, field: str) -> list[str]:
    """The CSV's ``a; b; c``, or a list as it stands."""
    value = row.values[field]
    if isinstance(value, str):
        value = value.split(";")
    return texts(row, field, value)


def _labelled(row: Row) -> tuple[list[str], list[str]]:
    """``{"choices": [...], "labels": [1, 0, ...]}`` as what is right and what is wrong."""
    field = "mc2_targets"
    targets = row.values[field]
    if not isinstance(targets, dict) or not {"choices", "labels"} <= set(targets):
        raise row.error(field, f"must have choices and labels, got {targets!r:.60}")
    choices, labels = targets["choices"], targets["labels"]
    if not isinstance(labels, list) or not all(label in (0, 1) for label in labels):
        raise row.error(f"{field}.labels", f"must be a list of 0 and 1, got {labels!r:.60}")
    if not isinstance(choices, list) or len(choices) != len(labels):
        raise row.error(
            f"{field}.labels", f"must be one for each of the choices, got {len(labels)}"
        )
    of = {
        wanted: [choice for choice, label in zip(choices, labels, strict=True) if label == wanted]
        for wanted in (0, 1)
    }
    return texts(row, f"{field}.choices", of[1]), texts(row, f"{field}.choices", of[0])
