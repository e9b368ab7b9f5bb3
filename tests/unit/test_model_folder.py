"""A folder that is no whole model is refused by the file at fault, before any engine starts."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from ucbd.models.errors import EngineStartFailed
from ucbd.models.model_files import check_model_folder
from ucbd.models.vllm_start import fetched

INDEX = "model.safetensors.index.json"


LLAMA = {"model_type": "llama", "hidden_size": 4, "num_hidden_layers": 2, "vocab_size": 8}
LLAMA_TENSORS = {
    "model.embed_tokens.weight": (8, 4),
    "model.layers.0.input_layernorm.weight": (4,),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.1.input_layernorm.weight": (4,),
}
GPT2 = {"model_type": "gpt2", "n_embd": 4, "n_layer": 1, "vocab_size": 8}
GPT2_TENSORS = {"wte.weight": (8, 4), "wpe.weight": (16, 4), "h.0.ln_1.weight": (4,)}
NEOX = {**LLAMA, "model_type": "gpt_neox", "num_hidden_layers": 1}
NEOX_TENSORS = {
    "gpt_neox.embed_in.weight": (8, 4),
    "gpt_neox.layers.0.input_layernorm.weight": (4,),
}


def save(tensors, file):
    save_file({name: np.zeros(shape, np.float32) for name, shape in tensors.items()}, file)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    save(LLAMA_TENSORS, tmp_path / "model.safetensors")
    return tmp_path


def shards(*names: str) -> str:
    return json.dumps({"weight_map": {f"w{n}": name for n, name in enumerate(names)}})


def test_a_whole_model_passes_in_one_file_or_in_shards(folder):
    check_model_folder(folder)
    (folder / "model.safetensors").unlink()
    for number, name in enumerate(LLAMA_TENSORS):
        save({name: LLAMA_TENSORS[name]}, folder / f"{number}.safetensors")
    (folder / INDEX).write_text(shards(*(f"{n}.safetensors" for n in (0, 1, 1, 2, 3))))
    check_model_folder(folder)
    save({"model.layers.5.mlp.weight": (4, 4)}, folder / "left-over.safetensors")
    check_model_folder(folder)  # what the index does not list is not loaded


def test_every_shard_of_the_index_counts(folder):
    """The layer of the shard that the index forgot is missing."""
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / INDEX).write_text(shards("a.safetensors"))
    check_model_folder(folder)
    save({"model.embed_tokens.weight": (8, 4)}, folder / "a.safetensors")
    with pytest.raises(EngineStartFailed, match=r"a\.safetensors: not the weights of config.json"):
        check_model_folder(folder)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def pickled(file):
    file.rename(file.with_name("pytorch_model.bin"))


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        ("config.json", lambda file: file.unlink(), "holds no config.json"),
        ("config.json", lambda file: file.write_text('{"a"'), "config.json: not readable as JSON"),
        ("config.json", lambda file: file.write_bytes(b"\xff"), "config.json: not readable"),
        ("config.json", lambda file: file.write_text("[]"), "config.json: not a JSON object"),
        ("model.safetensors", lambda file: file.unlink(), "holds no weights as"),
        ("model.safetensors", pickled, r"never loaded\), but pytorch_model.bin: save the"),
        ("model.safetensors", cut, "model.safetensors: broken weights"),
        ("model.safetensors", lambda file: file.write_bytes(b""), "safetensors: broken weights"),
        ("model.safetensors", lambda file: file.write_bytes(b"\x80\x04PK" * 9), "broken weights"),
        ("model.safetensors", lambda file: save_file({}, file), "holds no tensor"),
        (INDEX, lambda file: file.write_text(shards("b.safetensors")), "b.safetensors: broken"),
        (INDEX, lambda file: file.write_text("{}"), "json: weight_map: names no file"),
    ],
)
def test_what_is_wrong_is_named(folder, name, damage, complaint):
    damage(folder / name)
    with pytest.raises(EngineStartFailed, match=complaint) as caught:
        check_model_folder(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        (GPT2, GPT2_TENSORS),
        (GPT2, {f"transformer.{name}": shape for name, shape in GPT2_TENSORS.items()}),
        (NEOX, NEOX_TENSORS),
        ({**LLAMA, "model_type": "qwen3"}, {**LLAMA_TENSORS, "lm_head.weight": (8, 4)}),
        ({"model_type": "llama"}, LLAMA_TENSORS),  # states nothing
        ({**LLAMA, "quantization_config": {}}, {"model.layers.0.q": (1,), "layers.1.q": (2,)}),
        ({**LLAMA, "model_type": "made-up-yesterday"}, {"w": (1,)}),
        ({"model_type": ["llama"]}, {"w": (1,)}),
        ({}, {"w": (1,)}),
    ],
)
def test_an_architectures_own_tensors_pass_and_so_does_what_is_not_known(folder, config, tensors):
    (folder / "config.json").write_text(json.dumps(config))
    save(tensors, folder / "model.safetensors")
    check_model_folder(folder)


@pytest.mark.parametrize(
    ("config", "tensors", "complaint"),
    [
        (LLAMA, GPT2_TENSORS, r"no layer of a llama among its 3 tensors \(h.0.ln_1.weight, wpe"),
        (GPT2, LLAMA_TENSORS, "no layer of a gpt2 among its 4"),
        (NEOX, GPT2_TENSORS, "no layer of a gpt_neox"),
        (
            {**LLAMA, "num_hidden_layers": 3},
            LLAMA_TENSORS,
            "num_hidden_layers is 3, but there are tensors of 2 layers, 0 to 1",
        ),
        ({**LLAMA, "num_hidden_layers": 1}, LLAMA_TENSORS, "num_hidden_layers is 1, but .* 2 la"),
        (
            LLAMA,
            {name.replace("s.1", "s.2"): shape for name, shape in LLAMA_TENSORS.items()},
            "tensors of 2 layers, 0 to 2",
        ),
        (
            {**LLAMA, "vocab_size": 9},
            LLAMA_TENSORS,
            "model.embed_tokens.weight is 8 × 4, must be 9 × 4",
        ),
        ({**LLAMA, "hidden_size": 5}, LLAMA_TENSORS, "embed_tokens.weight is 8 × 4, must be 8 × 5"),
        ({**GPT2, "n_embd": 5}, GPT2_TENSORS, "wte.weight is 8 × 4, must be 8 × 5"),
        ({**NEOX, "vocab_size": 7}, NEOX_TENSORS, "embed_in.weight is 8 × 4, must be 7 × 4"),
        (
            LLAMA,
            {**LLAMA_TENSORS, "model.embed_tokens.weight": (8,)},
            "embed_tokens.weight is 8, must be 8 × 4",
        ),
        (
            LLAMA,
            {**LLAMA_TENSORS, "model.layers.1.input_layernorm.weight": (3,)},
            "layers.1.input_layernorm.weight is 3, must be 4",
        ),
        (
            LLAMA,
            {name: shape for name, shape in LLAMA_TENSORS.items() if "embed" not in name},
            r"no embedding \*embed_tokens.weight among its 3",
        ),
    ],
)
def test_weights_of_another_model_are_refused_with_what_does_not_fit(
    folder, config, tensors, complaint
):
    (folder / "config.json").write_text(json.dumps(config))
    save(tensors, folder / "model.safetensors")
    with pytest.raises(EngineStartFailed, match=complaint) as caught:
        check_model_folder(folder)
    named = f"{folder / 'model.safetensors'}: not the weights of config.json: "
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_size", "4"), ("num_hidden_layers", 0), ("vocab_size", True), ("vocab_size", 8.0)],
)
def test_a_configuration_whose_sizes_are_none_is_named_with_the_field(folder, key, value):
    (folder / "config.json").write_text(json.dumps({**LLAMA, key: value}))
    complaint = f"config.json: {key}: must be a positive whole number, got {value!r}"
    with pytest.raises(EngineStartFailed, match=complaint):
        check_model_folder(folder)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "gpt-neox"])
def test_what_transformers_saves_of_the_embedded_architectures_passes(tmp_path, name):
    """Names and shapes as they really are, not as this file believes."""
    from transformers import AutoModelForCausalLM

    from ucbd.models.reference.architectures import SCALES, architecture
    from ucbd.models.reference.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["where was the miller born"] * 9, 64)
    config = architecture(name, SCALES["small"], tokenizer)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    check_model_folder(tmp_path)
    other = {**json.loads((tmp_path / "config.json").read_text()), "vocab_size": 7}
    (tmp_path / "config.json").write_text(json.dumps(other))
    with pytest.raises(EngineStartFailed, match=f"must be 7 × {SCALES['small'].width}"):
        check_model_folder(tmp_path)


@pytest.mark.parametrize(("users", "offline"), [(None, True), ("1", True), ("0", False)])
def test_the_hub_is_off_even_when_its_library_was_imported_before(users, offline):
    """As by the embedder, which loads first. What the user has set wins."""
    script = (
        "import huggingface_hub.constants as hub\n"
        "from ucbd.models.vllm_start import EngineSettings, set_environment\n"
        "set_environment(EngineSettings(model='a/b', served_name='x'))\n"
        "print(hub.HF_HUB_OFFLINE)"
    )
    environment = {} if users is None else {"HF_HUB_OFFLINE": users}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == [str(offline)]


@pytest.mark.parametrize(
    ("name", "revision", "environment", "found"),
    [
        ("ours/model", None, {}, True),
        ("ours/model", "other", {}, False),
        ("ours/models", None, {}, False),
        ("a/b/c", None, {}, False),
        ("ours/models", None, {"HF_HUB_OFFLINE": "0"}, True),
        ("ours/models", None, {"VLLM_USE_MODELSCOPE": "1"}, True),
        ("s3://bucket/model", None, {}, True),
        ("ours/models/q4.gguf", None, {}, True),
    ],
)
def test_a_name_is_known_where_it_was_fetched_or_where_nothing_tells(
    tmp_path, monkeypatch, name, revision, environment, found
):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for variable in ("HF_HUB_OFFLINE", "VLLM_USE_MODELSCOPE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    model = tmp_path / "models--ours--model"
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "snapshots" / "abc" / "config.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")
    assert fetched(name, revision) == found
