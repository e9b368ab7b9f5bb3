"""The embedded models: small ones of an invented world, so that nothing has to be fetched.

Knows where their weights lie, not how they are loaded.
"""

from datetime import date
from pathlib import Path

from ucbd.models.errors import ModelMissing

STAGES = ("base", "sft", "dpo")
EMBEDDED = tuple(f"reference-{stage}" for stage in STAGES)
DEFAULT = "reference-dpo"
KNOWLEDGE_CUTOFF = date(2023, 12, 31)
"""The last day that the text of their world tells of (``mayors.CUTOFF``)."""

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def embedded_model(name: str) -> Path:
    """Folder of an embedded model. Raises ``ModelMissing`` when it is unknown or incomplete."""
    if name not in EMBEDDED:
        raise ModelMissing(f"{name!r} is not an embedded model; there are {', '.join(EMBEDDED)}")
    folder = Path(__file__).parent / "weights" / "reference" / name.removeprefix("reference-")
    missing = [file for file in _NEEDED if not (folder / file).is_file()]
    if missing:
        raise ModelMissing(f"{folder}: no {', '.join(missing)}; the installation is incomplete")
    return folder


def embedded_pointer(name: str | None) -> Path | None:
    """File of the pointer fitted to an embedded model's kind; None for any other model."""
    if name not in EMBEDDED:
        return None
    return Path(__file__).parent / "pointers" / f"{name.removeprefix('reference-')}.json"
