"""Files that are there whole or not at all, and known by their content."""

import hashlib
import os
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 beside ``path`` and put it in its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def sha256(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
