"""A folder that is no whole model is refused by the file at fault, before any engine starts."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from ucbd.models.errors import EngineStartFailed
from ucbd.models.model_files import check_model_folder

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    save_file({"w": np.ones(64, np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def shards(*names: str) -> str:
    return json.dumps({"weight_map": {f"w{n}": name for n, name in enumerate(names)}})


def test_a_whole_model_passes_in_one_file_or_in_shards(folder):
    check_model_folder(folder)
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / INDEX).write_text(shards("a.safetensors", "a.safetensors"))
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
        ("model.safetensors", pickled, "pickled ones are never loaded"),
        ("model.safetensors", cut, "model.safetensors: broken weights"),
        ("model.safetensors", lambda file: file.write_bytes(b""), "safetensors: broken weights"),
        ("model.safetensors", lambda file: file.write_bytes(b"\x80\x04PK" * 9), "broken weights"),
        ("model.safetensors", lambda file: save_file({}, file), "holds no tensor"),
        (INDEX, lambda file: file.write_text(shards("b.safetensors")), "b.safetensors: broken"),
        (INDEX, lambda file: file.write_text("{}"), "holds no weights as"),
    ],
)
def test_what_is_wrong_is_named(folder, name, damage, complaint):
    damage(folder / name)
    with pytest.raises(EngineStartFailed, match=complaint) as caught:
        check_model_folder(folder)
    assert str(folder) in str(caught.value)


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
