"""WebQuestions (Berant et al. 2013): what people asked a search engine, answered from Freebase.

Two shapes are read: the authors' ``webquestions.examples.*.json`` (``utterance``, and
``targetValue`` as ``(list (description "Jazmyn Bieber") (description Japan))``), and rows of
``question`` and ``answers`` as in the Hugging Face dataset ``stanfordnlp/web_questions``
(``answer`` in DrQA's conversion).

The references are names, so ``contains`` judges well; but a question with many answers counts as
right with one of them, and an answer under another name ("USA") counts as wrong.
"""

import re
from collections.abc import Iterable, Iterator

from ucbd.models.datasets.fields import shape_of, text, texts
from ucbd.models.datasets.rows import Row

_AUTHORS = ("utterance", "targetValue")
_SHAPES = (_AUTHORS, ("question", "answers"), ("question", "answer"))
_DESCRIPTION = r'\(description (?:"((?:[^"\\]|\\.)*)"|([^\s()"]+))\)'
_LIST = re.compile(rf"\(list(?:\s*{_DESCRIPTION})*\s*\)")


def records(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    """One record per row; any of the answers is right."""
    for number, row in enumerate(rows):
        shape = shape_of(row, _SHAPES)
        prompt, answers = shape
        found = _described(row) if shape == _AUTHORS else row.values[answers]
        yield {
            "id": f"webquestions-{number}",
            "prompt": text(row, prompt),
            "reference": texts(row, answers, found),
            "match": "contains",
            "kind": "fact",
            "group": "WebQuestions",
            "frequency": None,
        }


def _described(row: Row) -> list[str]:
    value = text(row, "targetValue")
    if not _LIST.fullmatch(value):
        raise row.error("targetValue", f'must be (list (description "…") …), got {value[:60]!r}')
    return [
        re.sub(r"\\(.)", r"\1", quoted) or plain
        for quoted, plain in re.findall(_DESCRIPTION, value)
    ]
