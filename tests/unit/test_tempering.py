"""A model's entropy at other temperatures, against logits that are read one answer at a time."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.random_model import random_model
from ucbd.models.tempering import parameters, tempered_entropies

ASKED = [("where was he born", "by the river"), ("the town", "he came from the town by the river")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("model"))


def _by_hand(folder: Path, question: str, answer: str, temperature: float) -> float:
    """Mean entropy of the distributions that the answer's tokens and its end are drawn from."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    written = f"<|begin|><|user|>{question}<|assistant|>"
    prompt = tokenizer.encode(written, add_special_tokens=False)
    tokens = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    found = []
    with torch.no_grad():
        for i in range(len(tokens)):
            logits = model(torch.tensor([[*prompt, *tokens[:i]]])).logits[0, -1].double()
            p = torch.softmax(logits / temperature, -1)
            found.append(float(-(p * p.log().clamp(min=-1e9)).sum()))
    return sum(found) / len(found)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_it_is_the_mean_over_questions_of_the_tempered_entropies_token_by_token(
    folder: Path, temperature: float
) -> None:
    expected = sum(_by_hand(folder, q, a, temperature) for q, a in ASKED) / 2
    found = tempered_entropies(folder, ASKED, [temperature])
    assert found == {f"{temperature:g}": pytest.approx(expected, abs=1e-4)}


def test_it_grows_with_temperature_towards_that_of_a_uniform_choice(folder: Path) -> None:
    cool, plain, hot = tempered_entropies(folder, ASKED, [0.3, 1.0, 1e6]).values()
    assert cool < plain < hot
    size = len(AutoTokenizer.from_pretrained(folder))
    assert hot == pytest.approx(math.log(size), abs=1e-3)


def test_parameters_are_counted_from_the_weights(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert parameters(folder) == sum(p.numel() for p in model.parameters())
