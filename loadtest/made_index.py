"""A reference index of vectors made from a seed, of any size: what `ucbd index` writes of texts.

    .venv/bin/python -m loadtest.made_index --entries 1000000 --out /tmp/index

For the growth of a search, not for its meaning: the vectors lie in 1,000 clouds, as questions do
around their subjects, but are nobody's questions.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

EMBEDDER, DIMENSIONS = "minilm-l6-v2", 384
CLOUDS, SPREAD = 1000, 0.7
SEARCHED = 100_000  # entries up to which the gateway compares all, and wants no graph
_AT_ONCE = 50_000


def vectors(entries: int, seed: int = 0) -> np.ndarray:
    """Unit vectors, (entries, 384) float32; pairs of one cloud have a mean cosine of about 0.67."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((CLOUDS, DIMENSIONS), dtype=np.float32)
    made = np.empty((entries, DIMENSIONS), dtype=np.float32)
    for at in range(0, entries, _AT_ONCE):
        some = made[at : at + _AT_ONCE]
        noise = chance.standard_normal(some.shape, dtype=np.float32)
        some[:] = centres[chance.integers(CLOUDS, size=len(some))] + SPREAD * noise
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return made


def write(folder: Path, entries: int) -> None:
    """The folder that the setting ``reference_index`` names; ``index.json`` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    made = vectors(entries)
    np.save(folder / "vectors.npy", made, allow_pickle=False)
    if entries > SEARCHED:
        from usearch.index import Index

        graph = Index(ndim=DIMENSIONS, metric="ip", dtype="f32")
        graph.add(np.arange(entries), made)
        graph.save(folder / "graph.usearch")
    about = {
        "schema": 1,
        "embedder": EMBEDDER,
        "entries": entries,
        "dimensions": DIMENSIONS,
        "source": hashlib.sha256(f"made, {entries}".encode()).hexdigest(),
    }
    (folder / "index.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    write(given.out, given.entries)
