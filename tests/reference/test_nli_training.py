"""The NLI model's training in miniature: from a seed, whole or not at all, and loadable."""

from pathlib import Path

import pytest

from ucbd.models.nli import CrossEncoder
from ucbd.models.reference import nli_training
from ucbd.models.reference.nli_architecture import Recipe
from ucbd.models.reference.nli_training import train

pytestmark = pytest.mark.slow

MINIATURE = Recipe(
    vocabulary=400,
    width=32,
    depth=1,
    heads=2,
    worlds=1,
    plain_steps=3,
    plain_pairs=4,
    steps=3,
    pairs=4,
    evaluated=10,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nli") / "model"
    train(folder, 3, MINIATURE)
    return folder


def test_it_writes_weights_a_tokenizer_and_a_card_with_what_was_measured(trained):
    files = {file.name for file in trained.iterdir()}
    assert files >= {"config.json", "model.safetensors", "tokenizer.json", "README.md"}
    card = (trained / "README.md").read_text()
    assert "| held-out people |" in card
    assert "| held-out phrasings |" in card
    assert "24 pairs of 1 worlds" in card


async def test_what_it_writes_is_loaded_like_any_cross_encoder(trained):
    (judgement,) = await CrossEncoder(str(trained)).judge([("In Tarn.", "Tarn.")])
    total = judgement.entailment + judgement.neutral + judgement.contradiction
    assert total == pytest.approx(1)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trained, tmp_path):
    for seed in (3, 4):
        train(tmp_path / str(seed), seed, MINIATURE)
    first = (trained / "model.safetensors").read_bytes()
    assert (tmp_path / "3" / "model.safetensors").read_bytes() == first
    assert (tmp_path / "4" / "model.safetensors").read_bytes() != first


def test_a_training_that_breaks_off_leaves_what_was_there(trained, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("before")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nli_training, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(folder, 3, MINIATURE)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert (folder / "config.json").read_text() == "before"


def test_every_digit_is_a_token_of_its_own(trained):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained)
    assert [t for t in tokenizer.tokenize("in 2019") if t.isdigit()] == ["2", "0", "1", "9"]
