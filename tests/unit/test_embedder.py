"""The real MiniLM: unit vectors, the same alone as in company, and near for near meanings."""

import asyncio

import numpy as np
import pytest

from ucbd.cascade.clustering.embedding import Embedding
from ucbd.models.embedder import MiniLM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def minilm():
    return MiniLM()


async def test_vectors_are_of_length_one_and_384_dimensions(minilm):
    (vector,) = await minilm.embed(["The sky is blue."])
    assert vector.shape == (384,)
    assert vector.dtype == np.float32
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


async def test_a_paraphrase_is_nearer_than_another_statement(minilm):
    one, same, other = await minilm.embed(
        ["She was born in Paris.", "Paris is where she was born.", "He plays the violin."]
    )
    assert one @ same > 0.85 > 0.5 > one @ other


async def test_concurrent_calls_get_their_own_vectors(minilm):
    texts = [f"sentence number {n}" for n in range(40)]
    alone = [(await minilm.embed([text]))[0] for text in texts[:3]]
    together = await asyncio.gather(*(minilm.embed([text, "another"]) for text in texts))
    for vector, (first, _) in zip(alone, together, strict=False):
        assert float(vector @ first) == pytest.approx(1, abs=1e-4)


async def test_paraphrases_share_a_cluster_that_wording_would_split(minilm):
    samples = ["She was born in Paris.", "Paris is where she was born.", "He plays the violin."]
    clusters = await Embedding(minilm).cluster("Her birthplace is Paris.", samples)
    assert clusters.labels == (0, 0, 1)
    assert clusters.answer == 0
