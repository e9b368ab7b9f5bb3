"""Whether a folder holds a model that can be loaded: seen in milliseconds, before an engine starts.

An engine that meets a broken or foreign file says so after half a minute, in the log of another
process. Knows file formats and no engine, and of an architecture only what its configuration says
of its embedding, its depth and its width, for those listed in ``model_tensors``. It reads headers,
not values: weights of the right shapes that were trained for something else pass.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ucbd.models.errors import EngineStartFailed
from ucbd.models.model_tensors import Shape, what_does_not_fit, what_is_no_size

CONFIGS = ("config.json", "params.json")  # of Hugging Face and of Mistral
_INDEX = "model.safetensors.index.json"
_MODEL_SUFFIXES = {".json", ".safetensors", ".model", ".jinja", ".txt"}
_ENDS = 64 * 1024  # bytes of either end of a file
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_model_folder(folder: Path) -> None:
    """Raise ``EngineStartFailed``, naming the file, when the folder cannot be a whole model.

    It holds a configuration, and weights as safetensors only: complete, with every listed shard,
    and, where the architecture is known here, with the tensors of that configuration.
    """
    configs = [folder / name for name in CONFIGS if (folder / name).is_file()]
    if not configs:
        raise EngineStartFailed(f"{folder}: holds no config.json, so it is no model's folder")
    config = _json_object(configs[0])
    complaint = what_is_no_size(config)
    if complaint:
        raise EngineStartFailed(f"{configs[0]}: {complaint}")
    files = _weight_files(folder)
    tensors: dict[str, Shape] = {}
    for file in files:
        tensors |= _read_shapes(file)
    complaint = what_does_not_fit(config, tensors)
    if complaint:
        where = files[0] if len(files) == 1 else f"{folder}: {len(files)} files *.safetensors"
        raise EngineStartFailed(f"{where}: not the weights of {configs[0].name}: {complaint}")


def local_revision(folder: Path) -> str:
    """What tells a folder's model from another's, as a hub's revision does; else ``local``.

    A digest of every file's name and size, and of its first and last 64 KiB: weights are too large
    to be read whole for this.
    """
    if not folder.is_dir():
        return "local"
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.iterdir()):
        if file.suffix not in _MODEL_SUFFIXES:
            continue
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(_ENDS))
            content.seek(max(_ENDS, size - _ENDS))
            digest.update(content.read(_ENDS))
    return f"local-{digest.hexdigest()}"


def text_digest(text: str) -> str:
    """16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _weight_files(folder: Path) -> Sequence[Path]:
    index = folder / _INDEX
    if index.is_file():
        shards = _json_object(index).get("weight_map")
        names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
        if not names:
            raise EngineStartFailed(f"{index}: weight_map: names no file of weights")
        return [folder / name for name in names]
    weights = sorted(folder.glob("*.safetensors"))
    if weights:
        return weights
    pickled = sorted({file.name for pattern in _PICKLED for file in folder.glob(pattern)})
    found = f", but {', '.join(pickled)}: save the model as safetensors" if pickled else ""
    raise EngineStartFailed(
        f"{folder}: holds no weights as *.safetensors (pickled ones are never loaded){found}"
    )


def _json_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineStartFailed(f"{file}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise EngineStartFailed(f"{file}: not a JSON object")
    return content


def _read_shapes(file: Path) -> dict[str, Shape]:
    """Every tensor's shape, from the header only; it states how long the file must be."""
    from safetensors import SafetensorError, safe_open  # with the engine's packages, not the core

    try:
        with safe_open(file, framework="numpy") as weights:
            shapes = {
                name: tuple(int(size) for size in weights.get_slice(name).get_shape())
                for name in weights.keys()  # noqa: SIM118 - it is no mapping
            }
    except (OSError, SafetensorError) as error:
        raise EngineStartFailed(f"{file}: broken weights: {error}") from error
    if not shapes:
        raise EngineStartFailed(f"{file}: broken weights: holds no tensor")
    return shapes
