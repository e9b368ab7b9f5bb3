"""Taking a row's fields: present, of the right type, and not empty, or an error that says so."""

from collections.abc import Sequence

from ucbd.models.datasets.rows import Row


def shape_of(row: Row, shapes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The first of ``shapes`` (sets of columns) that the row has; an error that names them all.

    Where several are near, the complaint is about the one with the fewest columns missing.
    """
    for shape in shapes:
        if set(shape) <= set(row.values):
            return shape
    nearest = min(shapes, key=lambda shape: len(set(shape) - set(row.values)))
    missing = next(column for column in nearest if column not in row.values)
    known = " or ".join("(" + ", ".join(shape) + ")" for shape in shapes)
    raise row.error(
        missing, f"no such column; have {', '.join(row.values) or 'none'}; need {known}"
    )


def text(row: Row, field: str) -> str:
    """The field's text without the space around it, never empty."""
    value = row.values[field]
    if not isinstance(value, str) or not value.strip():
        raise row.error(field, f"must be a text that is not empty, got {value!r:.60}")
    return value.strip()


def texts(row: Row, field: str, value: object) -> list[str]:
    """``value`` as texts without the empty and the repeated, at least one of them."""
    # A list read by pyarrow or json is a list; anything else is another dataset.
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise row.error(field, f"must be a list of texts, got {value!r:.60}")
    found = list(dict.fromkeys(item.strip() for item in value if item.strip()))
    if not found:
        raise row.error(field, "names no answer; every question needs at least one reference")
    return found
