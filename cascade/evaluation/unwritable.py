"""What a line of JSON may hold that no record can carry on: halves of characters, endless nesting.

Both are read without complaint, and fail only where the record is written again. Knows no record.
"""

from collections.abc import Iterator

DEEPEST = 50
"""Lists and objects in one another, the line itself among them; a record needs four."""

_SHOWN = 80  # characters


def unwritable(line: str, content: object) -> str | None:
    """Where and why ``content``, read from ``line``, could not be written; None where it could.

    Lines are looked through only where something could be wrong: a half must have been escaped.
    """
    escaped = "\\ud" in line or "\\uD" in line
    if not escaped and line.count("[") + line.count("{") <= DEEPEST:
        return None
    return next(_complaints(content), None)


def _complaints(content: object) -> Iterator[str]:
    """With a stack of its own: recursion would end where the nesting does not."""
    left: list[tuple[tuple[str, ...], object]] = [((), content)]
    while left:
        where, value = left.pop()
        texts: list[object] = [value]
        inner: list[tuple[str, object]] = []
        if isinstance(value, dict):
            texts = list(value)
            inner = list(value.items())
        elif isinstance(value, list):
            inner = [(str(place), one) for place, one in enumerate(value)]
        for text in texts:
            if isinstance(text, str) and _halved(text):
                shown = ascii(text)[:_SHOWN]
                yield f"{_told(where)}: holds half of a surrogate pair ({shown}), no text"
        if isinstance(value, dict | list) and len(where) == DEEPEST:
            yield f"{_told(where)}: lists and objects in one another, {DEEPEST} deep at most"
            return
        left += [((*where, key), one) for key, one in reversed(inner)]


def _halved(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _told(where: tuple[str, ...]) -> str:
    path = ascii(".".join(where))[1:-1] or "the line"
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]} …"
