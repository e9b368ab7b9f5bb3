"""The JSON schema that an answer is held to: small, and without counts that make a grammar huge.

An engine makes a grammar of it before the first token, in one piece and in the process that serves
everybody: 68 bytes that ask for a hundred million items stop it. Knows the wire's schema and no
engine.
"""

import json
from collections.abc import Iterator
from typing import Any

from ucbd.app.errors import Invalid, refused

FIELD = "response_format.json_schema"
MAX_CHARACTERS = 16 * 1024
MAX_ITEMS = 10_000  # of all arrays together: each is a symbol of the grammar
MAX_LENGTH = 100_000  # of one string

_ITEMS = ("minItems", "maxItems")
_LENGTHS = ("minLength", "maxLength", "minProperties", "maxProperties")


def bounded(schema: dict[str, Any]) -> str:
    """The schema as JSON. Raises ``Invalid`` for one that is too large."""
    written = json.dumps(schema, ensure_ascii=False)
    if len(written) > MAX_CHARACTERS:
        raise refused(Invalid, FIELD, f"at most {MAX_CHARACTERS} characters, got {len(written)}")
    items = sum(_numbers(schema, _ITEMS))
    if items > MAX_ITEMS:
        message = f"minItems and maxItems: at most {MAX_ITEMS} in all, got {items:g}"
        raise refused(Invalid, FIELD, message)
    longest = max(_numbers(schema, _LENGTHS), default=0)
    if longest > MAX_LENGTH:
        message = f"{', '.join(_LENGTHS)}: at most {MAX_LENGTH}, got {longest:g}"
        raise refused(Invalid, FIELD, message)
    return written


def _numbers(schema: object, names: tuple[str, ...]) -> Iterator[float]:
    """All numbers under these names, wherever they stand."""
    left = [schema]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield from (part[name] for name in names if isinstance(part.get(name), int | float))
            left += part.values()
        elif isinstance(part, list):
            left += part
