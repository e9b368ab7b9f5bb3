"""The embedded models' shapes: four architecture classes that vLLM serves, and three scales.

Knows configurations only, neither data nor training.
"""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import (
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class Scale:
    """Width and depth; every head has 32 dimensions."""

    width: int
    layers: int


SCALES = {"small": Scale(96, 3), "default": Scale(192, 4), "large": Scale(256, 6)}


def architecture(name: str, scale: Scale, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    """The configuration of an architecture by name; ``KeyError`` for an unknown one."""
    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    return ARCHITECTURES[name](scale, common)


def _llama(scale: Scale, common: dict[str, object]) -> PretrainedConfig:
    return LlamaConfig(**_shape(scale), **common)


def _qwen3(scale: Scale, common: dict[str, object]) -> PretrainedConfig:
    return Qwen3Config(**_shape(scale), **common)


def _gpt2(scale: Scale, common: dict[str, object]) -> PretrainedConfig:
    return GPT2Config(
        n_embd=scale.width,
        n_layer=scale.layers,
        n_head=scale.width // 32,
        n_positions=CONTEXT,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **common,
    )


def _gpt_neox(scale: Scale, common: dict[str, object]) -> PretrainedConfig:
    return GPTNeoXConfig(
        hidden_size=scale.width,
        intermediate_size=4 * scale.width,
        num_hidden_layers=scale.layers,
        num_attention_heads=scale.width // 32,
        max_position_embeddings=CONTEXT,
        **common,
    )


def _shape(scale: Scale) -> dict[str, object]:
    return {
        "hidden_size": scale.width,
        "intermediate_size": 3 * scale.width,
        "num_hidden_layers": scale.layers,
        "num_attention_heads": scale.width // 32,
        "num_key_value_heads": scale.width // 32,
        "head_dim": 32,
        "max_position_embeddings": CONTEXT,
    }


ARCHITECTURES: dict[str, Callable[[Scale, dict[str, object]], PretrainedConfig]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "gpt2": _gpt2,
    "gpt-neox": _gpt_neox,
}
