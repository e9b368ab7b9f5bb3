"""Files that are there whole or not at all, and known by their content."""

import hashlib
import os
from pathlib import Path

from ucbd.models.errors import GatewayError


class DestinationUnusable(GatewayError):
    """Where a command is to write, it cannot: what is in the way, and what would be right."""


def check_file(path: Path, flag: str = "--out") -> None:
    """Raise ``DestinationUnusable`` where no file can be put: seen before the work is done."""
    if path.is_dir():
        raise DestinationUnusable(
            f"{flag}: {path} is a folder; name a file, within it or elsewhere"
        )
    _check_way(path.parent, flag, path)


def check_folder(path: Path, flag: str = "--out") -> None:
    """Raise ``DestinationUnusable`` where no folder is or can be made."""
    if path.exists() and not path.is_dir():
        raise DestinationUnusable(f"{flag}: {path} is a file; name a folder, a new one or not")
    _check_way(path, flag, path)


def _check_way(folder: Path, flag: str, wanted: Path) -> None:
    """The nearest folder that is there must be one, and ours to write into."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        raise DestinationUnusable(f"{flag}: {wanted} cannot be made: {there} is a file")
    if not os.access(there, os.W_OK):
        raise DestinationUnusable(f"{flag}: {wanted} cannot be made: {there} is not ours to write")


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 beside ``path`` and put it in its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
