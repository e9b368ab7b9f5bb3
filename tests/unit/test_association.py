"""B4, association: names by a rule, distances and relations by hand, files that hold no triples."""

import gzip

import numpy as np
import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.app.boundaries import made_boundaries
from ucbd.app.settings import Settings
from ucbd.cascade.boundaries.association import Association
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.entities import entities
from ucbd.models.scripted import Script
from ucbd.models.triples import Triples, TriplesUnreadable, read_triples

RULES = policy(stages=[{"stage": "association", "fire": 0.6}, {"stage": "fluency"}])
BORN = "Where was Elin Vell born?"
KNOWN = Triples(iter([("Elin Vell", "born in", "Tarn"), ("Holm", "lies in", "Asker")]))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (BORN, ["Elin Vell"]),
        ("In Tarn.", ["Tarn"]),
        ("Who wrote The Lord of the Rings?", ["Lord of the Rings"]),
        ("It was J. R. R. Tolkien.", ["J. R. R. Tolkien"]),
        ('Did Elba play "Luther"?', ["Luther", "Elba"]),
        ("Zola's wife, and Zola", ["Zola"]),
        ("Ludwig van Beethoven, of Bonn", ["Ludwig van Beethoven", "Bonn"]),
        ("what is the capital of peru", []),
        ("The answer is 42.", []),
    ],
)
def test_names_are_runs_of_capitalised_words_and_quotations(text, names):
    assert entities(text) == names


class Map:
    """Embeds names at angles of the plane; keeps what it was asked."""

    name = "map"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts):
        self.asked.append(list(texts))
        at = {"Elin Vell": (1, 0), "Tarn": (0.6, 0.8), "Holm": (-1, 0), "Asker": (0, 1)}
        return [np.array(at[text], dtype=np.float32) for text in texts]


async def assess(answer, *, text=BORN, embedder=None, triples=None):
    boundaries = (Association(embedder, triples), Fluency())
    return (await ask(Script(answer=answer), text=text, rules=RULES, boundaries=boundaries))[0]


async def test_the_signal_tells_triples_of_one_size_apart():
    async def signal(*triples):
        some = Triples(iter([*triples, ("Elin Vell", "born in", "Tarn")]))
        return (await assess("In Tarn.", triples=some)).stages[0].signal

    first = await signal(("Holm", "in", "Asker"))
    assert first.startswith("association(triples,n=4,content=")
    assert await signal(("HOLM", "lies in", "asker")) == first  # neither is looked at
    assert await signal(("Holm", "in", "Vik")) != first


async def test_the_proxy_is_the_mean_distance_of_all_pairs_of_names():
    # Elin Vell and Tarn .6, Elin Vell and Asker 0, Tarn and Asker .8: distances .4, 1 and .2
    outcome = await assess("In Tarn, near Asker", embedder=Map())
    assert outcome.stages[0].score == pytest.approx(1.6 / 3)
    assert outcomes(outcome)[0] == ("association", "passed", None)


async def test_names_that_are_far_apart_fire_and_a_person_would_help():
    outcome = await assess("In Holm", embedder=Map())
    assert (outcome.boundary, outcome.verdict.action) == ("association", "human")
    assert outcome.stages[0].score == pytest.approx(2)
    assert outcome.uncertainty == pytest.approx(1)


async def test_the_questions_names_are_embedded_before_there_is_an_answer_and_once():
    embedder = Map()
    await assess("In Tarn, Elin Vell was born", embedder=embedder)
    assert embedder.asked == [["Elin Vell"], ["Tarn"]]


@pytest.mark.parametrize(
    ("answer", "score"), [("In Tarn", 0), ("In Holm", 1), ("in tarn, Tarn", 0)]
)
async def test_triples_tell_whether_the_answer_is_related_to_the_question(answer, score):
    outcome = await assess(answer, triples=KNOWN)
    assert outcome.stages[0].score == score


async def test_of_names_that_the_triples_do_not_know_the_proxy_tells():
    outcome = await assess("In Tarn", text="Was it Holm?", embedder=Map(), triples=KNOWN)
    assert outcome.stages[0].score == 1  # Holm is known, and not related to Tarn
    outcome = await assess("In Tarn", embedder=Map(), triples=Triples(iter([("a", "b", "c")])))
    assert outcome.stages[0].score == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("answer", "text", "embedder", "reason"),
    [
        ("a pony", BORN, Map(), "question and answer hold fewer than two names"),
        ("In Tarn", BORN, None, "there is no embedder, and no triples that know these names"),
    ],
)
async def test_what_cannot_be_told_is_unavailable(answer, text, embedder, reason):
    outcome = await assess(answer, text=text, embedder=embedder)
    assert outcomes(outcome)[0] == ("association", "unavailable", reason)


async def test_a_poem_is_out_of_scope():
    outcome = await assess("In Holm", text="Write a poem about Elin Vell.", embedder=Map())
    assert outcomes(outcome)[0][1] == "uninformative"


def test_triples_are_read_from_tabs_compressed_or_not(tmp_path):
    text = "# things\nElin Vell\tborn in\tTarn\n\n"
    (tmp_path / "t.tsv").write_text(text)
    with gzip.open(tmp_path / "t.tsv.gz", "wt") as file:
        file.write(text)
    for name in ("t.tsv", "t.tsv.gz"):
        found = read_triples(tmp_path / name)
        assert found.related("elin vell", "TARN")
        assert found.related("Tarn", "Elin Vell")
        assert not found.knows("born in")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\tc\nElin Vell born in Tarn\n", "line 2: must be subject, relation, object"),
        (b"a\t\tc\n", "line 1: must be subject, relation, object"),
        (b"# nothing\n", "holds no triple"),
        (b"\xff\xfe\tb\tc\n", "utf-8"),
        (None, "No such file"),
    ],
)
def test_a_file_of_no_triples_stops_the_start(tmp_path, content, message):
    path = tmp_path / "triples.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TriplesUnreadable, match=message):
        made_boundaries(Settings(triples=path), {}, None)
