"""B2, density: the mean cosine by hand, both kinds of search, and indexes that do not fit."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.app.boundaries import made_boundaries
from ucbd.app.commands.index import index
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.boundaries.density import Density
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.models import neighbours
from ucbd.models.embedder import MiniLM
from ucbd.models.neighbours import IndexUnusable, digest, read_index, write_index
from ucbd.models.scripted import Script

RULES = policy(stages=[{"stage": "density", "fire": 0.5}, {"stage": "fluency"}])


class Compass:
    """Embeds "north", "east" and so on as directions in the plane; keeps what it was asked."""

    name = "compass"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts):
        self.asked += texts
        ways = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "north-east": (0.6, 0.8)}
        return [np.array(ways[text], dtype=np.float32) for text in texts]


def written(folder, *vectors, embedder="compass"):
    write_index(folder, np.array(vectors, dtype=np.float32), embedder, "0" * 64)
    return read_index(folder)


async def assess(text, found, embedder=None):
    outcome, _ = await ask(
        Script(answer="Tarn"),
        text=text,
        rules=RULES,
        boundaries=(Density(embedder or Compass(), found), Fluency()),
    )
    return outcome


async def test_the_score_is_one_minus_the_mean_cosine_of_the_nearest(tmp_path):
    # of two entries both are nearest: cosines .8 and .6
    found = written(tmp_path, (0, 1), (1, 0))
    outcome = await assess("north-east", found)
    assert outcome.stages[0].score == pytest.approx(0.3)
    assert outcomes(outcome)[0] == ("density", "passed", None)


async def test_the_signal_tells_indexes_of_one_size_apart(tmp_path):
    signals = [
        (await assess("north", written(tmp_path / name, *vectors))).stages[0].signal
        for name, vectors in (
            ("a", [(0, 1), (1, 0)]),
            ("same", [(0, 1), (1, 0)]),
            ("b", [(0, 1), (0, -1)]),
        )
    ]
    assert signals[0].startswith("density(compass,k=10,n=2,content=")
    assert signals[0] == signals[1] != signals[2]


def test_an_index_of_other_texts_has_another_digest_whatever_its_vectors(tmp_path):
    one = written(tmp_path, (0, 1))
    about = one.about.model_copy(update={"source": "others"})
    assert digest(about, np.array([(0, 1)], dtype=np.float32)) != one.digest


async def test_only_the_ten_nearest_count(tmp_path):
    found = written(tmp_path, *[(0, 1)] * 10, *[(0, -1)] * 90)
    assert (await assess("north", found)).stages[0].score == pytest.approx(0, abs=1e-6)


async def test_a_question_unlike_any_other_fires_and_its_uncertainty_is_at_most_one(tmp_path):
    outcome = await assess("south", written(tmp_path, (0, 1)))
    assert (outcome.boundary, outcome.verdict.action) == ("density", "retrieve")
    assert outcome.stages[0].score == pytest.approx(2)
    assert outcome.uncertainty == pytest.approx(1)


async def test_the_question_is_embedded_once_and_before_there_is_an_answer(tmp_path):
    embedder = Compass()
    await assess("north", written(tmp_path, (0, 1)), embedder)
    assert embedder.asked == ["north"]


async def test_without_an_index_there_is_no_evidence():
    outcome = await assess("north", None)
    assert outcomes(outcome)[0] == ("density", "unavailable", "no reference index is set")


def test_many_vectors_are_searched_by_a_graph_that_finds_nearly_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = written(tmp_path / "exact", *vectors)
    monkeypatch.setattr(neighbours, "EXACT", 100)
    near = written(tmp_path / "near", *vectors)
    assert (tmp_path / "near" / "graph.usearch").is_file()
    # The graph is built by several threads, another one each time: the few that it misses vary.
    missed = [exact.cosines(query, 10) - near.cosines(query, 10) for query in vectors[:100]]
    assert np.min(missed) >= -1e-5
    assert np.mean(missed) < 0.01


def test_an_index_of_another_embedder_is_refused(tmp_path):
    found = written(tmp_path, (0, 1), embedder="other")
    with pytest.raises(IndexUnusable, match=r"made with 'other'.*embedded with 'compass'"):
        Density(Compass(), found)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("index.json", b"{}", "index.json: embedder: Field required"),
        ("index.json", b"not json", "index.json: the file: Invalid JSON"),
        ("index.json", None, "index.json: No such file.*make it by ucbd index"),
        ("vectors.npy", b"\x93NUMPY", "vectors"),
        ("vectors.npy", None, "vectors.npy: No such file"),
    ],
)
def test_a_broken_index_is_refused_by_the_file(tmp_path, file, content, message):
    written(tmp_path, (0, 1))
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(IndexUnusable, match=message):
        read_index(tmp_path)


def test_vectors_of_another_shape_are_refused(tmp_path):
    written(tmp_path, (0, 1))
    np.save(tmp_path / "vectors.npy", np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(IndexUnusable, match=r"must be \(1, 2\) float32, is \(2, 2\) float32"):
        read_index(tmp_path)


def test_a_broken_graph_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 0)
    written(tmp_path, (0, 1))
    (tmp_path / "graph.usearch").write_bytes(b"no graph")
    with pytest.raises(IndexUnusable, match="graph"):
        read_index(tmp_path)


def test_a_gateway_with_an_index_needs_an_embedder(tmp_path):
    written(tmp_path, (0, 1))
    with pytest.raises(SettingsInvalid, match="reference_index"):
        made_boundaries(Settings(reference_index=tmp_path), {}, None)


@pytest.mark.skipif(not MiniLM.installed(), reason="needs the extra 'embedding'")
async def test_the_command_embeds_every_question_once_and_like_questions_are_near(tmp_path, capsys):
    file = tmp_path / "questions.jsonl"
    asked = ["Where was Elin Vell born?", "Where was Ada Holm born?", "Where was Elin Vell born?"]
    file.write_text(
        "".join(json.dumps({"id": str(i), "prompt": p}) + "\n" for i, p in enumerate(asked))
    )
    done = await asyncio.to_thread(index, SimpleNamespace(questions=file, out=tmp_path / "index"))
    assert done == 0
    assert "2 questions" in capsys.readouterr().out
    found = read_index(tmp_path / "index")
    assert (found.about.entries, found.about.embedder) == (2, "minilm-l6-v2")
    embedder = MiniLM()
    like, unlike = await embedder.embed(["Where was Mira Tarn born?", "Integrate x squared."])
    assert found.cosines(like, 10).mean() > 0.5 > found.cosines(unlike, 10).mean()


def test_the_command_refuses_a_file_without_questions(tmp_path, capsys):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "1"}\n')
    assert index(SimpleNamespace(questions=file, out=tmp_path / "index")) == 2
    assert "prompt: Field required" in capsys.readouterr().err
    assert not (tmp_path / "index").exists()
