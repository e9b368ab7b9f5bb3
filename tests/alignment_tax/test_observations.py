"""From records to a run's small table, and back from its files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from tests.alignment_tax.made_up import record, table
from tests.random_model import random_model
from ucbd.cascade.alignment_tax import observe as command
from ucbd.cascade.alignment_tax.observations import FILE, ObservationsUnreadable, read, write
from ucbd.cascade.alignment_tax.observe import describe, observe
from ucbd.cascade.alignment_tax.variants import column
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.guarded import Guarded

SAME = ["the cat sat down", "the cat sat down", "the cat sat up"]


class Compass:
    """An embedder that knows a direction for each of its texts, and counts what it is asked."""

    name = "compass"

    def __init__(self, **degrees: float) -> None:
        self._degrees = degrees
        self.asked: list[str] = []

    async def embed(self, texts: list[str]) -> list[np.ndarray]:
        self.asked += texts
        turns = [np.radians(self._degrees[text]) if text else 0.0 for text in texts]
        return [np.array([np.cos(t), np.sin(t)], dtype=np.float32) for t in turns]


async def test_a_record_becomes_a_row_of_its_scores_and_labels() -> None:
    scores = {"mean_token_entropy": 0.75, "p_true": 0.4, "semantic_entropy:jaccard": 0.6}
    clusters = {"jaccard": {"count": 2, "labels": [0, 0, 1]}}
    found = await observe([record("q1", SAME, True, scores=scores, clusters=clusters)])
    assert found.ids == ("q1",)
    assert (found.texts["kind"], found.texts["frequency"]) == (("fact",), ("often",))
    assert found.number("correct").tolist() == [1]
    assert found.number("mean_token_entropy").tolist() == [0.75]
    assert found.number("answer_tokens").tolist() == [2]
    assert found.number("sample_tokens").tolist() == [5]
    assert found.labels == {"jaccard": ((0, 0, 1),)}
    assert "semantic_entropy:jaccard" not in found.numbers  # it follows from the labels


async def test_what_a_record_does_not_know_is_nan_and_not_zero() -> None:
    found = await observe([record("q1", [], None, scores={"p_true": None}, clusters={})])
    for name in ("correct", "p_true", "sample_tokens", column("jaccard", 0.4)):
        assert np.isnan(found.number(name)[0]), name


async def test_clusters_are_counted_again_at_every_threshold_of_jaccard() -> None:
    # Bigrams "the cat", "cat sat" shared, one different each: similarity 2/4 = 0.5.
    found = await observe([record("q1", ["the cat sat down", "the cat sat up"], True)])
    counts = {t: found.number(column("jaccard", t))[0] for t in (0.3, 0.4, 0.5, 0.6)}
    assert counts == {0.3: 1, 0.4: 1, 0.5: 1, 0.6: 2}


async def test_clusters_are_counted_again_for_the_first_n_samples() -> None:
    samples = ["a b c"] * 4 + ["x y z"] + ["p q r"] * 5
    found = await observe([record("q1", samples, True)])
    counts = [found.number(column("jaccard", n=n))[0] for n in (3, 5, 7, 10)]
    assert counts == [1, 2, 3, 3]


async def test_fewer_samples_than_n_are_no_count() -> None:
    found = await observe([record("q1", ["a b"] * 4, True)])
    assert found.number(column("jaccard", n=3))[0] == 1
    assert np.isnan(found.number(column("jaccard", n=5))[0])


async def test_thresholds_of_embeddings_are_counted_with_each_text_embedded_once() -> None:
    # cos 30° = 0.866: together at 0.80 and 0.85, apart at 0.90.
    embedder = Compass(one=0, other=30)
    found = await observe([record("q1", ["one", "other", "one"], True)], embedder)
    counts = [found.number(column("embedding", t))[0] for t in (0.8, 0.85, 0.9)]
    assert counts == [1, 1, 2]
    assert sorted(text for text in embedder.asked if text) == ["one", "other"]


async def test_a_second_embedder_is_a_clusterer_of_its_own() -> None:
    # cos 45° = 0.707: together at 0.6 and 0.7, apart at 0.85, where its labels are.
    second = Compass(one=0, other=45)
    found = await observe([record("q1", ["one", "other"], True)], None, second)
    assert found.labels["embedding:compass"] == ((0, 1),)
    counts = [found.number(column("embedding:compass", t))[0] for t in (0.6, 0.7, 0.8)]
    assert counts == [1, 1, 2]


async def test_clusterers_that_the_records_do_not_bring_see_facts_and_their_question() -> None:
    # The guard: two years for one question are two clusters, the year it names itself is not.
    asked = record("q1", ["in 1901", "in 1902", "in 1901"], True)
    asked["prompt"] = "When was she born?"
    other = record("q2", ["one", "one"], True) | {"kind": "arithmetic"}
    found = await observe([asked, other], others=[Guarded(Combined())])
    assert found.labels["combined"] == ((0, 1, 0), ())


async def test_empty_samples_do_not_count() -> None:
    found = await observe([record("q1", ["a b", "  ", "a b"], True)])
    assert found.number(column("jaccard", 0.4))[0] == 1
    assert found.number("sample_tokens")[0] == 3


def test_a_table_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    made = table({"jaccard": [(0, 1, 0), ()]}, correct=[1, np.nan], p_true=[0.123456789, 2])
    write(made, tmp_path)
    found = read(tmp_path)
    assert found.texts == made.texts
    assert found.labels == made.labels
    assert found.number("p_true").tolist() == [0.12346, 2]
    assert found.number("correct")[0] == 1
    assert np.isnan(found.number("correct")[1])


def test_writing_the_same_table_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made = table({"jaccard": [(0, 1)]}, correct=[1])
    first = write(made, tmp_path).read_bytes()
    assert first[4:8] == bytes(4)  # gzip's time of writing
    assert write(made, tmp_path).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,kind,frequency\nq,fact,often\n", "line 1 does not begin with id,kind,frequency,group"),
        ("id,kind,frequency,group,correct\nq,fact,often,pet\n", "line 2 has 4 of 5 values"),
        ("id,kind,frequency,group,correct\nq,f,o,p,yes\n", "line 2, correct: 'yes' is no number"),
        ("id,kind,frequency,group,labels:j\nq,f,o,p,0.x\n", "line 2, labels:j: '0.x' are no clus"),
        ("id,kind,frequency,group\nq,f,o,p\nq,f,o,p\n", "a question stands in it twice"),
        ("id,kind,frequency,group\n", "no questions"),
    ],
)
def test_a_broken_table_is_named_by_its_line_and_column(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / FILE).write_bytes(gzip.compress(text.encode()))
    with pytest.raises(ObservationsUnreadable, match=FILE) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_a_table_that_was_cut_short_is_an_error(tmp_path: Path) -> None:
    path = write(table({"jaccard": [(0, 1)] * 500}, correct=[1] * 500), tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ObservationsUnreadable, match=FILE):
        read(tmp_path)


def test_a_run_describes_how_it_was_sampled_and_how_many_it_asked() -> None:
    records = [record("a", SAME, True), record("b", SAME, False, kind="arithmetic")]
    found = describe(records, b"")
    assert found["counts"] == {"arithmetic": 1, "fact": 1}
    assert (found["temperature"], found["samples"]) == (1.0, 3)


def test_records_sampled_in_two_ways_are_no_run() -> None:
    cooler = {"n": 3, "temperature": 0.3, "top_p": 1.0}
    records = [record("a", SAME, True), record("b", SAME, True, sampling=cooler)]
    with pytest.raises(ObservationsUnreadable, match="sampled in one way"):
        describe(records, b"")


def test_the_command_writes_a_runs_folder(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text("".join(json.dumps(record(f"q{i}", SAME, True)) + "\n" for i in range(3)))
    run = tmp_path / "llama" / "seed-1" / "dpo"
    assert command.main([str(records), "--out", str(run), "--no-embed"]) == 0
    assert sorted(path.name for path in run.iterdir()) == [FILE, "run.json"]
    assert json.loads((run / "run.json").read_text())["counts"] == {"fact": 3}
    assert read(run).ids == ("q0", "q1", "q2")


def test_with_its_weights_the_base_stage_knows_its_size_seed_and_tempered_entropy(
    tmp_path: Path,
) -> None:
    weights = random_model(tmp_path / "weights")
    (weights / "training.json").write_text('{"seed": 7}')
    records = tmp_path / "records.jsonl"
    records.write_text(json.dumps(record("q", ["the cat sat"] * 2, True)) + "\n")
    found = {}
    for stage in ("base", "random"):
        run = tmp_path / "llama" / "seed-7" / stage
        given = [str(records), "--out", str(run), "--weights", str(weights), "--no-embed"]
        assert command.main(given) == 0
        found[stage] = json.loads((run / "run.json").read_text())
    assert found["base"]["parameters"] > 100_000
    assert found["base"]["training_seed"] == 7
    entropies = list(found["base"]["tempered_entropy"].values())
    assert entropies == sorted(entropies)
    assert len(entropies) == 15
    assert "tempered_entropy" not in found["random"]  # the page tempers base and DPO only


def test_the_command_refuses_a_place_that_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["records.jsonl", "--out", str(tmp_path / "somewhere")]) == 2
    assert "<family>/seed-<k>/<stage or arm>" in capsys.readouterr().err
