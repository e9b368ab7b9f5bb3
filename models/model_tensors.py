"""Whether tensors are those a configuration describes: embedding, depth and width.

Knows, per architecture, the names of three things. An architecture that is not listed passes; so
does what is quantised, as far as shapes go, for packed tensors have others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """The end of the embedding's name, the name of what stands in every layer, and the keys."""

    embedding: str
    layers: re.Pattern[str]
    norm: str
    depth: str = "num_hidden_layers"
    width: str = "hidden_size"


_LLAMA = _Layout("embed_tokens.weight", re.compile(r"(?:^|\.)layers\.(\d+)\."), "input_layernorm")
_GPT2 = _Layout("wte.weight", re.compile(r"(?:^|\.)h\.(\d+)\."), "ln_1", "n_layer", "n_embd")
_NEOX = _Layout("embed_in.weight", re.compile(r"(?:^|\.)layers\.(\d+)\."), "input_layernorm")
_LLAMA_LIKE = (
    *("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"),
    *("gemma", "gemma2", "gemma3_text", "phi3", "olmo", "olmo2", "granite", "smollm3"),
)
_LAYOUTS: Mapping[str, _Layout] = {
    **dict.fromkeys(_LLAMA_LIKE, _LLAMA),
    "gpt2": _GPT2,
    "gpt_neox": _NEOX,
}


def what_is_no_size(config: Mapping[str, Any]) -> str | None:
    """The first size a known architecture's configuration states wrongly; None if none."""
    layout = _layout(config)
    for key in (layout.depth, layout.width, "vocab_size") if layout else ():
        value = config.get(key)
        if value is not None and (type(value) is not int or value < 1):
            return f"{key}: must be a positive whole number, got {value!r}"
    return None


def what_does_not_fit(config: Mapping[str, Any], tensors: Mapping[str, Shape]) -> str | None:
    """The first thing by which ``tensors`` (name → shape) are not ``config``'s; None if nothing.

    Sizes that the configuration does not state are not checked; those it states are sizes
    (``what_is_no_size``).
    """
    layout = _layout(config)
    if layout is None:
        return None
    packed = "quantization_config" in config
    return (
        _depth(layout, config, tensors)
        or (None if packed else _embedding(layout, config, tensors))
        or (None if packed else _width(layout, config, tensors))
    )


def _layout(config: Mapping[str, Any]) -> _Layout | None:
    kind = config.get("model_type")
    return _LAYOUTS.get(kind) if isinstance(kind, str) else None


def _depth(layout: _Layout, config: Mapping[str, Any], tensors: Mapping[str, Shape]) -> str | None:
    found = {int(match[1]) for name in tensors if (match := layout.layers.search(name))}
    depth = config.get(layout.depth)
    if not found:
        some = ", ".join(sorted(tensors)[:3])
        return f"no layer of a {config['model_type']} among its {len(tensors)} tensors ({some} …)"
    if depth is not None and found != set(range(depth)):
        return (
            f"{layout.depth} is {depth}, but there are tensors of {len(found)} layers, "
            f"{min(found)} to {max(found)}"
        )
    return None


def _embedding(
    layout: _Layout, config: Mapping[str, Any], tensors: Mapping[str, Shape]
) -> str | None:
    name = next((name for name in tensors if f".{name}".endswith(f".{layout.embedding}")), None)
    if name is None:
        return f"no embedding *{layout.embedding} among its {len(tensors)} tensors"
    shape = tensors[name]
    sizes = (config.get("vocab_size"), config.get(layout.width))
    fits = len(shape) == len(sizes) and all(
        want in (None, have) for want, have in zip(sizes, shape, strict=True)
    )
    wanted = " × ".join("any" if size is None else str(size) for size in sizes)
    return None if fits else f"{name} is {_sizes(shape)}, must be {wanted} (vocab_size × width)"


def _width(layout: _Layout, config: Mapping[str, Any], tensors: Mapping[str, Shape]) -> str | None:
    width = config.get(layout.width)
    for name, shape in tensors.items():
        norm = name.endswith(f".{layout.norm}.weight") and layout.layers.search(name)
        if norm and width is not None and shape != (width,):
            return f"{name} is {_sizes(shape)}, must be {width} ({layout.width})"
    return None


def _sizes(shape: Shape) -> str:
    return " × ".join(map(str, shape)) or "a single number"
