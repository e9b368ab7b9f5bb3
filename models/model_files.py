"""Whether a folder holds a model that can be loaded: seen in milliseconds, before an engine starts.

An engine that meets a broken file says so after half a minute, in the log of another process. Knows
file formats, no engine; that the tensors are the right ones for the architecture it does not know.
"""

import json
from pathlib import Path
from typing import Any

from ucbd.models.errors import EngineStartFailed

_CONFIGS = ("config.json", "params.json")  # of Hugging Face and of Mistral
_INDEX = "model.safetensors.index.json"


def check_model_folder(folder: Path) -> None:
    """Raise ``EngineStartFailed``, naming the file, when the folder cannot be a whole model.

    It holds a configuration, and weights as safetensors only: complete, with every listed shard.
    """
    configs = [folder / name for name in _CONFIGS if (folder / name).is_file()]
    if not configs:
        raise EngineStartFailed(f"{folder}: holds no config.json, so it is no model's folder")
    _json_object(configs[0])
    index = folder / _INDEX
    if index.is_file():
        shards = _json_object(index).get("weight_map")
        names = sorted(set(shards.values())) if isinstance(shards, dict) else []
        weights = [folder / str(name) for name in names]
    else:
        weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise EngineStartFailed(
            f"{folder}: holds no weights as *.safetensors (pickled ones are never loaded)"
        )
    for file in weights:
        _check_weights(file)


def _json_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineStartFailed(f"{file}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise EngineStartFailed(f"{file}: not a JSON object")
    return content


def _check_weights(file: Path) -> None:
    """Reads the header only; it states how long the file must be."""
    from safetensors import SafetensorError, safe_open  # with the engine's packages, not the core

    try:
        with safe_open(file, framework="numpy") as weights:
            empty = not weights.keys()
    except (OSError, SafetensorError) as error:
        raise EngineStartFailed(f"{file}: broken weights: {error}") from error
    if empty:
        raise EngineStartFailed(f"{file}: broken weights: holds no tensor")
