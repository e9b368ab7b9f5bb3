"""The loader of NLI models, on small checkpoints of the DeBERTa-v2 class made here."""

import asyncio
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ucbd.models.errors import ModelUnusable
from ucbd.models.nli import CrossEncoder, Judgement, label_places, passes

pytestmark = pytest.mark.slow

TEXTS = ["Where was Ada born?", "Ada was born in Tarn.", "She has 12 eggs.", "In Dole."]


def checkpoint(folder: Path, labels: Sequence[str], told: dict[str, float] | None = None) -> Path:
    """A tiny model with those labels in that order; with ``told`` it always answers those."""
    import torch

    from ucbd.models.reference.nli_architecture import Recipe, new_model, train_tokenizer

    torch.manual_seed(0)
    recipe = Recipe(vocabulary=200, width=32, depth=1, heads=2)
    tokenizer = train_tokenizer(TEXTS * 10, recipe)
    model = new_model(tokenizer, recipe)
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: i for i, label in enumerate(labels)}
    with torch.no_grad():
        model.classifier.weight.mul_(0.0 if told else 50.0)
        if told:
            logits = [math.log(told[label.lower()]) for label in labels]
            model.classifier.bias.copy_(torch.tensor(logits))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    labels = ("contradiction", "entailment", "neutral")
    return checkpoint(tmp_path_factory.mktemp("nli"), labels)


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


class Counting(CrossEncoder):
    """Remembers which pairs were scored."""

    scored: list[tuple[str, str]]

    def _score(self, pairs):
        self.scored = [*getattr(self, "scored", []), *pairs]
        return super()._score(pairs)


@pytest.mark.parametrize(
    "labels",
    [
        ("contradiction", "entailment", "neutral"),  # cross-encoder/nli-deberta-v3-*
        ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"),  # microsoft/deberta-*-mnli
        ("neutral", "entailment", "contradiction"),
    ],
)
async def test_probabilities_follow_the_labels_of_the_configuration_whatever_their_order(
    tmp_path, labels
):
    told = {"entailment": 0.7, "neutral": 0.2, "contradiction": 0.1}
    model = CrossEncoder(str(checkpoint(tmp_path, labels, told)))
    (judgement,) = await model.judge([("Ada was born in Tarn.", "In Tarn.")])
    assert judgement.entailment == pytest.approx(0.7, abs=1e-6)
    assert judgement.neutral == pytest.approx(0.2, abs=1e-6)
    assert judgement.contradiction == pytest.approx(0.1, abs=1e-6)


async def test_a_pair_is_judged_the_same_alone_as_in_company_and_in_its_own_place(tiny):
    pairs = [(f"{one} {n}", other) for n in range(6) for one in TEXTS for other in TEXTS]
    alone = [(await CrossEncoder(str(tiny)).judge([pair]))[0] for pair in pairs[:5]]
    together = await CrossEncoder(str(tiny)).judge(pairs)
    assert len(together) == 96
    for one, many in zip(alone, together, strict=False):
        assert one.entailment == pytest.approx(many.entailment, abs=1e-5)
    assert len({round(one.entailment, 6) for one in alone}) == 5  # or the test would see nothing


async def test_the_two_directions_are_two_pairs(tiny):
    forth, back = await CrossEncoder(str(tiny)).judge([(TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[0])])
    assert forth != back


def test_as_many_pairs_go_together_as_32_000_characters_hold_filled_up_to_the_longest():
    assert passes([100] * 64) == [list(range(64))]
    # 10 and 300 together; with 15,900 three would be 47,700; two of 15,900 are 31,800; 40,000 alone
    assert passes([15_900, 10, 40_000, 15_900, 300]) == [[1, 4], [0, 3], [2]]
    assert passes([]) == []


async def test_equal_pairs_of_concurrent_requests_are_scored_once(tiny):
    model = Counting(str(tiny))
    pair, other = (TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3])
    found = await asyncio.gather(*(model.judge([pair, other, pair]) for _ in range(10)))
    assert sorted(model.scored) == sorted([pair, other])
    assert all(a == c and a != b for a, b, c in found)


async def test_of_more_pairs_than_it_may_remember_the_longest_unused_is_scored_again(tiny):
    model = Counting(str(tiny), cached=2)
    a, b, c = ((text, text) for text in TEXTS[:3])
    for pair in (a, b, a, c):  # c pushes out b, which was used before a
        await model.judge([pair])
    await model.judge([a])
    assert model.scored == [a, b, c]
    await model.judge([b])
    assert model.scored == [a, b, c, b]


async def test_a_long_question_is_cut_not_the_answers_behind_it(tiny):
    """Cut at the end, two different answers to a long question would be equal texts."""
    long = "Ada was born. " * 400
    one, same, other = await CrossEncoder(str(tiny)).judge(
        [(f"{long} {a}", f"{long} {b}") for a, b in (("Tarn.", "12"), ("Tarn.", "12"), ("12", "x"))]
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, "got LABEL_0, LABEL_1, LABEL_2"),
        ({0: "entailment", 1: "not_entailment"}, "got entailment, not_entailment"),
        ({0: "entailment", 1: "neutral", 2: "entailment"}, "got entailment, neutral, entailment"),
        ({}, "got none"),
    ],
)
def test_other_labels_are_named_with_the_three_that_are_needed(names, complaint):
    expected = (
        rf"m: config\.json: id2label: must name entailment, neutral, contradiction, {complaint}"
    )
    with pytest.raises(ModelUnusable, match=expected):
        label_places("m", names)


def test_a_folder_without_the_labels_is_refused_before_anything_is_loaded(copy):
    config = json.loads((copy / "config.json").read_text())
    config["id2label"] = {"0": "positive", "1": "negative"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnusable, match=r"config\.json: id2label: .* got positive, negative"):
        CrossEncoder(str(copy))


def test_broken_weights_are_refused_before_anything_is_loaded(copy):
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelUnusable, match=r"model\.safetensors: broken weights"):
        CrossEncoder(str(copy))


def test_pickled_weights_are_never_loaded(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match="pickled ones are never loaded"):
        CrossEncoder(str(copy))


@pytest.mark.parametrize("name", ["/no/such/folder", "./nor-this"])
def test_a_folder_that_is_not_there_is_named(name):
    with pytest.raises(ModelUnusable, match="no such folder"):
        CrossEncoder(name)


async def test_a_name_that_is_not_in_the_local_cache_is_an_error_not_a_download():
    with pytest.raises(ModelUnusable, match=r"^nobody/nli-nowhere: cannot be loaded"):
        await CrossEncoder("nobody/nli-nowhere").load()


async def test_weights_without_a_classifier_are_refused_not_filled_at_random(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    kept = {name: t for name, t in tensors.items() if not name.startswith("classifier")}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnusable, match=r"weights lack classifier\.bias, classifier\.weight"):
        await CrossEncoder(str(copy)).load()


async def test_a_folder_without_a_tokenizer_is_an_error_at_load(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        await CrossEncoder(str(copy)).load()


def test_a_judgement_is_a_frozen_value():
    with pytest.raises(AttributeError):
        Judgement(1.0, 0.0, 0.0).entailment = 0.0  # type: ignore[misc]
