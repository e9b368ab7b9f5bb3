"""A triple store in a plain file: lines of subject, relation, object, separated by tabs.

Knows which things are related, by name without regard to case, and nothing of what it does not
hold. Read whole into memory.
"""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

from ucbd.models.errors import GatewayError


class TriplesUnreadable(GatewayError):
    """A file that holds no triples: its name, the line, and what would be right."""


class Triples:
    """Which things stand in some relation, in either direction."""

    def __init__(self, triples: Iterator[tuple[str, str, str]]) -> None:
        self._related: dict[str, set[str]] = {}
        content = hashlib.blake2b(digest_size=4)
        for subject, _, thing in triples:
            one, other = subject.casefold(), thing.casefold()
            self._related.setdefault(one, set()).add(other)
            self._related.setdefault(other, set()).add(one)
            content.update(f"{one}\t{other}\n".encode())
        self.digest = content.hexdigest()
        """Of what is related, in the file's order, 8 hexadecimal digits."""

    def __len__(self) -> int:
        return len(self._related)

    def knows(self, thing: str) -> bool:
        """Whether it stands in any relation."""
        return thing.casefold() in self._related

    def related(self, one: str, other: str) -> bool:
        """Whether the two stand in one."""
        return other.casefold() in self._related.get(one.casefold(), ())


def read_triples(path: Path) -> Triples:
    """Of a ``.tsv`` or ``.tsv.gz`` file. Raises ``TriplesUnreadable``."""
    try:
        found = Triples(_lines(path))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TriplesUnreadable(f"{path}: {error}") from error
    if not len(found):
        raise TriplesUnreadable(f"{path}: holds no triple")
    return found


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = [part.strip() for part in line.split("\t")]
            if len(parts) != 3 or not all(parts):
                raise TriplesUnreadable(
                    f"{path}: line {number}: must be subject, relation, object between tabs, "
                    f"got {len(parts)} parts"
                )
            yield parts[0], parts[1], parts[2]
