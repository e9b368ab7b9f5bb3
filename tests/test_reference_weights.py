"""The committed weights of the embedded models: whole, small, plain safetensors, with a card."""

import json
import math
import struct
from pathlib import Path

import pytest

from ucbd.models.errors import ModelMissing
from ucbd.models.reference import EMBEDDED, embedded_model

MEGABYTE = 1_000_000


@pytest.fixture(scope="module", params=EMBEDDED)
def folder(request) -> Path:
    return embedded_model(request.param)


@pytest.fixture(scope="module")
def header(folder: Path) -> dict:
    """The safetensors header, read by hand: 8 bytes of length, then JSON."""
    with (folder / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(length))
    tensors.pop("__metadata__", None)
    return tensors


def test_three_stages_are_at_most_20_megabytes_and_all_weights_40():
    stages = [embedded_model(name) for name in EMBEDDED]
    assert sum(_size(stage) for stage in stages) <= 20 * MEGABYTE
    assert _size(stages[0].parents[1]) <= 40 * MEGABYTE


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_the_folder_holds_nothing_but_data(folder):
    files = list(folder.iterdir())
    assert {file.suffix for file in files} <= {".json", ".jinja", ".md", ".safetensors"}


def test_the_tensors_fill_the_file_and_have_one_to_three_million_values(folder, header):
    values = sum(math.prod(tensor["shape"]) for tensor in header.values())
    assert 1_000_000 <= values <= 3_000_000
    assert {tensor["dtype"] for tensor in header.values()} == {"BF16"}
    assert max(tensor["data_offsets"][1] for tensor in header.values()) == 2 * values


def test_the_shapes_are_those_of_the_configuration(folder, header):
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert header["model.embed_tokens.weight"]["shape"] == [
        config["vocab_size"],
        config["hidden_size"],
    ]
    layers = {name.split(".")[2] for name in header if name.startswith("model.layers.")}
    assert len(layers) == config["num_hidden_layers"]


def test_the_end_token_is_the_tokenizers_and_generation_stops_at_it(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    named = json.loads((folder / "tokenizer_config.json").read_text())["eos_token"]
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == ids[named]
    assert (
        len(tokenizer["model"]["vocab"])
        == (json.loads((folder / "config.json").read_text())["vocab_size"])
    )


def test_the_card_is_there_and_states_licence_and_context(folder):
    card = (folder / "README.md").read_text()
    config = json.loads((folder / "config.json").read_text())
    assert "license: apache-2.0" in card
    assert f"{config['max_position_embeddings']} tokens" in card


def test_the_stages_are_one_architecture_with_one_tokenizer():
    folders = [embedded_model(name) for name in EMBEDDED]
    assert len({(folder / "config.json").read_bytes() for folder in folders}) == 1
    assert len({(folder / "tokenizer.json").read_bytes() for folder in folders}) == 1


def test_an_unknown_embedded_model_is_named_in_the_error():
    with pytest.raises(ModelMissing, match="'nobody' is not an embedded model"):
        embedded_model("nobody")
