"""The pointer: its features by hand, its probability by hand, its files, and its fit."""

import json
import math
import re

import numpy as np
import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.app.boundaries import made_boundaries
from ucbd.app.cli import main
from ucbd.app.settings import Settings
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.pointer import Pointer
from ucbd.cascade.pointer import (
    ENTROPY_FEATURES,
    FEATURES,
    TEXT_FEATURES,
    PointerModel,
    PointerUnreadable,
    features,
    read_pointer,
)
from ucbd.models.generation import Missing, TokenEntropies
from ucbd.models.reference import EMBEDDED, embedded_pointer
from ucbd.models.scripted import Script

RULES = policy(
    stages=[
        {"stage": "pointer", "accept": 0.2, "high": 0.8},
        {"stage": "fluency", "unless": "pointer"},
    ],
    threshold=0.5,
)


def model(intercept=0.0, **weights) -> PointerModel:
    return PointerModel(
        schema=1,
        model="m",
        features=FEATURES,
        weights=tuple(weights.get(name, 0.0) for name in FEATURES),
        intercept=intercept,
        questions=100,
        wrong=40,
    )


async def test_the_signal_tells_one_pointer_from_another_of_the_same_size():
    """A profile names the signal that it was made for: other weights are another score."""

    async def signal(pointed):
        boundaries = (Pointer(pointed), Fluency())
        return (await ask(Script(), rules=RULES, boundaries=boundaries))[0].stages[0].signal

    first = await signal(model(0.5))
    assert re.fullmatch(r"pointer\(m,n=100,content=[0-9a-f]{8}\)", first)
    assert await signal(model(0.5)) == first
    others = [await signal(one) for one in (model(0.6), model(0.5, hedged=1.0))]
    assert len({first, *others}) == 3


def exact(*values: float) -> TokenEntropies:
    return TokenEntropies(lower=values, upper=values, exact=True)


def named(question: str, answer: str, *values: float) -> dict[str, float]:
    return dict(zip(FEATURES, features(question, answer, exact(*values)), strict=True))


def test_there_are_seven_of_entropy_and_thirteen_of_text():
    assert (len(ENTROPY_FEATURES), len(TEXT_FEATURES)) == (7, 13)
    assert len(set(FEATURES)) == 20


def test_entropy_features_by_hand():
    # mean 3.6/4 = .9; distances from it 0, .6, 1.4 and .8; the middle two are .3 and .9
    found = named("q", "a", 0.9, 0.3, 2.3, 0.1)
    assert found["log_mean_entropy"] == pytest.approx(math.log(0.9 + 0.001))
    assert found["log_max_entropy"] == pytest.approx(math.log(2.301))
    spread = math.sqrt((0 + 0.36 + 1.96 + 0.64) / 4)
    assert found["log_std_entropy"] == pytest.approx(math.log(spread + 0.001))
    assert found["log_median_entropy"] == pytest.approx(math.log(0.601))
    assert found["log_first_entropy"] == pytest.approx(math.log(0.901))
    assert found["log_last_entropy"] == pytest.approx(math.log(0.101))
    assert found["high_share"] == 0.25
    assert found["log_tokens"] == pytest.approx(math.log(5))


def test_text_features_by_hand():
    found = named("In what year was Ada Lovelace not born in Paris?", "Maybe Ada in 1815.", 0.1)
    assert found["log_question_words"] == pytest.approx(math.log(11))
    assert found["repeated"] == 0.5  # "ada" and "in" of maybe, ada, in, 1815
    assert (found["question_numbers"], found["answer_numbers"]) == (0, 1)
    assert (found["hedged"], found["negated"]) == (1, 1)
    assert found["question_names"] == 2  # Ada Lovelace, Paris
    asks = [found[name] for name in ("asks_who", "asks_when", "asks_where", "asks_how_many")]
    assert asks == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Whose hat is it?", "asks_who"),
        ("When did it end?", "asks_when"),
        ("In which city does she live?", "asks_where"),
        ("How many apples are left?", "asks_how_many"),
        ("Isn't it so?", "negated"),
    ],
)
def test_kinds_of_question(question, asked):
    found = named(question, "", 0.1)
    kinds = ("asks_who", "asks_when", "asks_where", "asks_how_many", "negated")
    assert [name for name in kinds if found[name]] == [asked]


@pytest.mark.parametrize(
    ("entropies", "said"),
    [
        (TokenEntropies(lower=(0.1,), upper=(0.3,), exact=False, top_k=5), "there are bounds"),
        (exact(), "no tokens"),
        (exact(math.nan), "not finite"),
    ],
)
def test_without_exact_entropies_there_are_no_features(entropies, said):
    found = features("q", "a", entropies)
    assert isinstance(found, Missing)
    assert said in found.reason


def test_the_probability_is_the_logistic_of_the_weighted_sum():
    found = model(intercept=-1, log_tokens=2).wrong_probability(
        features("q", "a", exact(0.1, 0.1, 0.1))
    )
    assert found == pytest.approx(1 / (1 + math.exp(1 - 2 * math.log(4))))
    assert model(intercept=-5000).wrong_probability([0.0] * 20) == 0
    assert model(intercept=5000).wrong_probability([0.0] * 20) == 1


@pytest.mark.parametrize(
    ("intercept", "decision", "stages"),
    [
        (-2, "answer", [("pointer", "accepted", None), ("fluency", "skipped", "decided")]),
        (2, "abstain", [("pointer", "fired", None), ("fluency", "skipped", "decided")]),
        (-0.5, "answer", [("pointer", "passed", None), ("fluency", "passed", None)]),
    ],
)
async def test_a_low_probability_answers_and_a_high_one_abstains(intercept, decision, stages):
    # P(wrong) = .119, .881 and .378; fluency saw e^-3, u = .95, which is not counted a second time
    outcome, _ = await ask(
        Script(answer="Tarn", entropies=(3.0,)),
        rules=RULES,
        boundaries=(Pointer(model(intercept)), Fluency()),
    )
    assert outcome.decision == decision
    assert outcomes(outcome) == stages
    assert outcome.uncertainty == pytest.approx(1 / (1 + math.exp(-intercept)))


async def test_where_none_is_fitted_fluency_counts_again():
    outcome, _ = await ask(
        Script(answer="Tarn", entropies=(3.0,)),
        rules=RULES,
        boundaries=(Pointer(None), Fluency()),
    )
    assert outcomes(outcome)[0] == ("pointer", "unavailable", "no pointer is fitted to this model")
    assert (outcome.decision, outcome.uncertainty) == ("abstain", pytest.approx(0.950, abs=1e-3))


def written(folder, **changes):
    path = folder / "pointer.json"
    content = json.loads(model().model_dump_json(by_alias=True))
    path.write_text(json.dumps(content | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema"),
        ({"features": [*FEATURES[1:], FEATURES[0]]}, "fit it anew"),
        ({"weights": [1.0] * 19}, "20 are needed, got 19"),
        ({"intercept": "much"}, "intercept"),
        ({"wrong": 0}, "wrong"),
        ({"more": 1}, "more"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_field(tmp_path, changes, said):
    path = written(tmp_path, **changes)
    with pytest.raises(PointerUnreadable, match=said) as caught:
        read_pointer(path)
    assert str(path) in str(caught.value)


def test_a_weight_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "pointer.json"
    path.write_text(written(tmp_path).read_text().replace("0.0", "NaN", 1))
    with pytest.raises(PointerUnreadable):
        read_pointer(path)


def test_a_missing_file_stops_the_start(tmp_path):
    with pytest.raises(PointerUnreadable, match="No such file"):
        made_boundaries(Settings(pointer=tmp_path / "none.json"), {}, None)


@pytest.mark.parametrize("name", EMBEDDED)
def test_every_embedded_model_has_its_pointer(name):
    found = read_pointer(embedded_pointer(name))
    assert found.model == name
    assert embedded_pointer("another") is None


def records(path, count, seed=0, **changes):
    """Answers that are wrong the more often the more tokens they have."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for i in range(count):
            tokens = int(rng.integers(1, 20))
            values = rng.uniform(0, 1, tokens).tolist()
            answer = {"text": "so", "token_entropies": values}
            record = {"id": str(i), "prompt": f"what, {i}?", "answer": answer, "model": "m"}
            record["correct"] = bool(rng.random() > tokens / 20)
            file.write(json.dumps(record | changes) + "\n")
    return path


def test_the_command_fits_says_how_it_ranks_what_it_did_not_see_and_writes(tmp_path, capsys):
    out = tmp_path / "new" / "pointer.json"
    path = records(tmp_path / "r.jsonl", 300)
    assert main(["pointer", str(path), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "300 answers" in said
    assert "five folds" in said
    found = read_pointer(out)
    assert (found.model, found.questions) == ("m", 300)
    assert found.weights[FEATURES.index("log_tokens")] > 0.5
    other = records(tmp_path / "other.jsonl", 300, seed=1)
    assert main(["pointer", str(path), str(other), "--out", str(out)]) == 0
    assert "each file by a pointer to the others" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "changes", "said"),
    [
        (30, {}, "needs 20 right and 20 wrong"),
        (300, {"correct": None}, "0 such answers"),
        (300, {"answer": {"text": "so"}}, "0 such answers"),
        (300, {"model": None}, "say --model"),
    ],
)
def test_records_that_cannot_be_fitted_to_are_refused(tmp_path, capsys, count, changes, said):
    out = tmp_path / "pointer.json"
    path = records(tmp_path / "r.jsonl", count, **changes)
    assert main(["pointer", str(path), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_an_answer_called_right_and_wrong_is_refused_within_a_file(tmp_path, capsys):
    """Between files it is not: the same question may be of two worlds."""
    out = tmp_path / "pointer.json"
    path = records(tmp_path / "r.jsonl", 300)
    same = {**json.loads(path.read_text().splitlines()[0]), "id": "twin"}
    same["correct"] = not same["correct"]
    other = tmp_path / "other.jsonl"
    other.write_text(records(other, 300, seed=1).read_text() + json.dumps(same) + "\n")
    assert main(["pointer", str(path), str(other), "--out", str(out)]) == 0
    capsys.readouterr()
    with path.open("a") as file:
        file.write(json.dumps(same) + "\n")
    out.unlink()
    assert main(["pointer", str(path), "--out", str(out)]) == 2
    assert "called right and wrong 1 times: '0' and 'twin'" in capsys.readouterr().err
    assert not out.exists()
