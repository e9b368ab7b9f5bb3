"""A reference index: unit vectors of many texts, and the nearest of them to one.

A folder: ``index.json`` says what it is of, ``vectors.npy`` holds the vectors. Up to ``EXACT``
they are all compared; above, ``graph.usearch`` finds nearly the nearest (HNSW, Malkov & Yashunin
2018, by the library usearch). Runs no code of an index's own. Knows vectors; what the texts were
it does not keep.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ucbd.models.errors import GatewayError

EXACT = 100_000
"""Vectors up to which all are compared: 40 million products at 384 dimensions."""

_LOOKED_AT = 64  # vectors, for the digest

_ABOUT, _VECTORS, _GRAPH = "index.json", "vectors.npy", "graph.usearch"

Vectors = NDArray[np.float32]


class IndexUnusable(GatewayError):
    """A folder that holds no reference index, or none that can be used here."""


class About(BaseModel):
    """What an index is of. ``source`` is the SHA-256 of the file whose texts were embedded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(1, alias="schema")
    embedder: str
    entries: int = Field(gt=0)
    dimensions: int = Field(gt=0)
    source: str


class Neighbours:
    """An index that was read. Safe to search from several threads."""

    def __init__(self, about: About, vectors: Vectors, graph: Any = None) -> None:
        self.about = about
        self.digest = digest(about, vectors)
        self._vectors = vectors
        self._graph = graph

    def cosines(self, vector: Vectors, k: int) -> Vectors:
        """Cosines with the ``k`` nearest, best first; all of them where there are fewer."""
        k = min(k, self.about.entries)
        if self._graph is not None:
            found: Vectors = 1 - self._graph.search(vector, k).distances
            return found
        every = self._vectors @ vector
        return np.sort(np.partition(every, -k)[-k:])[::-1]


def digest(about: About, vectors: Vectors) -> str:
    """Of what an index is of and of some of its vectors, from first to last: 8 hexadecimal digits.

    Its texts are in ``about`` by their SHA-256; reading a million vectors would take seconds.
    """
    content = hashlib.sha256(about.model_dump_json(by_alias=True).encode())
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _LOOKED_AT)).astype(np.int64)
    content.update(vectors[rows].tobytes())
    return content.hexdigest()[:8]


def write_index(folder: Path, vectors: Vectors, embedder: str, source: str) -> None:
    """Write an index of unit vectors, (entries, dimensions).

    ``index.json`` comes last, so that a folder with it is whole.
    """
    entries, dimensions = vectors.shape
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / _VECTORS, vectors, allow_pickle=False)
    if entries > EXACT:
        _graph(vectors).save(folder / _GRAPH)
    about = About(
        schema=1, embedder=embedder, entries=entries, dimensions=dimensions, source=source
    )
    (folder / _ABOUT).write_text(about.model_dump_json(by_alias=True, indent=2) + "\n", "utf-8")


def read_index(folder: Path) -> Neighbours:
    """An index from its folder. Raises ``IndexUnusable`` naming the file and what is wrong."""
    try:
        about = About.model_validate_json((folder / _ABOUT).read_bytes())
        vectors = _read_vectors(folder / _VECTORS, (about.entries, about.dimensions))
        graph = _read_graph(folder / _GRAPH) if about.entries > EXACT else None
    except OSError as error:
        raise IndexUnusable(f"{error.filename}: {error.strerror}; make it by ucbd index") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise IndexUnusable(f"{folder / _ABOUT}: {field}: {first['msg']}") from error
    return Neighbours(about, vectors, graph)


def _read_vectors(path: Path, shape: tuple[int, int]) -> Vectors:
    try:
        vectors: Vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise IndexUnusable(f"{path}: {error}") from error
    if vectors.shape != shape or vectors.dtype != np.float32:
        found = f"{vectors.shape} {vectors.dtype}"
        raise IndexUnusable(f"{path}: must be {shape} float32, is {found}")
    return vectors


def _graph(vectors: Vectors) -> Any:
    from usearch.index import Index

    graph = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    graph.add(np.arange(len(vectors)), vectors)
    return graph


def _read_graph(path: Path) -> Any:
    from usearch.index import Index

    if not path.is_file():
        raise IndexUnusable(f"{path}: no such file")
    try:
        graph = Index.restore(str(path), view=True)
    except (ValueError, RuntimeError) as error:
        raise IndexUnusable(f"{path}: {error}") from error
    if graph is None:
        raise IndexUnusable(f"{path}: is no graph of usearch")
    return graph
