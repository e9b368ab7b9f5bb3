"""``python -m ucbd.app.studies.judged_pairs FILE``: clusterers on pairs of answers people judged.

Prints a table of recall, wrong merges and precision with 95 % intervals, at several thresholds.
With ``--samples``, on an embedded model's samples and judged by its world, as they are served.
Knows which clusterers there are; counts nothing itself.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.exact import Exact
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.clustering.nli import Nli
from ucbd.cascade.clustering.oracle import Oracle
from ucbd.cascade.evaluation.judged_pairs import (
    JudgedPair,
    Merges,
    merges,
    merges_of_samples,
    read_pairs,
    read_samples,
)
from ucbd.cascade.evaluation.rates import Rate
from ucbd.models.embedder import Embedder, MiniLM, Remembered
from ucbd.models.errors import GatewayError
from ucbd.models.nli import CrossEncoder

COMBINED = (1.0, 0.9, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3)
"""Thresholds of ``combined``: its curve."""
EMBEDDING = (0.95, 0.9, 0.85, 0.8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(description="Clusterers on answers that people judged.")
    parser.add_argument("file", type=Path, help='lines of {"question", "answers": [{"text", …}]}')
    parser.add_argument(
        "--samples", action="store_true", help="the file holds an embedded model's records"
    )
    parser.add_argument("--nli", help="also by this NLI model: a folder or a name (slow)")
    options = parser.parse_args(arguments)
    try:
        nli = CrossEncoder(options.nli) if options.nli else None
        if options.samples:
            asyncio.run(_table_of_samples(read_samples(options.file), nli))
        else:
            asyncio.run(_table(read_pairs(options.file), nli))
    except (GatewayError, OSError) as error:
        print(f"judged_pairs: {error}", file=sys.stderr)
        return 2
    return 0


async def _table_of_samples(
    questions: Sequence[tuple[str, tuple[str, ...]]], nli: CrossEncoder | None
) -> None:
    print("| clusterer | same value, merged | other value, merged | precision |\n|---|---|---|---|")
    embedder = Remembered(MiniLM()) if MiniLM.installed() else None
    served: list[Clusterer] = [Exact(), Jaccard(), Guarded(Combined())]
    served += [Embedding(embedder)] if embedder else []
    served += [Nli(nli)] if nli else []
    for clusterer in served:
        with tqdm(total=len(questions), desc=str(clusterer), disable=None, leave=False) as bar:
            found = await merges_of_samples(clusterer, Oracle(), questions, bar.update)
        print(row(clusterer, found), flush=True)


async def _table(pairs: Sequence[JudgedPair], nli: CrossEncoder | None) -> None:
    print("| clusterer | recall | wrong merges | precision |\n|---|---|---|---|")
    embedder = Remembered(MiniLM()) if MiniLM.installed() else None
    if embedder:  # all at once: small batches cost several times as much
        await embedder.embed([text for pair in pairs for text in (pair.one, pair.other)])
    for clusterer in clusterers(embedder, nli):
        with tqdm(total=len(pairs), desc=str(clusterer), disable=None, leave=False) as bar:
            found = await merges(clusterer, pairs, bar.update)
        print(row(clusterer, found), flush=True)


def clusterers(embedder: Embedder | None, nli: CrossEncoder | None) -> Iterator[Clusterer]:
    """Those whose models are here, plain and behind the guard."""
    yield Exact()
    yield Jaccard()
    yield Guarded(Jaccard())
    yield from (Guarded(Combined(threshold)) for threshold in COMBINED)
    if embedder:
        yield from (Embedding(embedder, threshold) for threshold in EMBEDDING)
        yield Guarded(Embedding(embedder))
    if nli:
        yield from (Nli(nli), Guarded(Nli(nli)))


def row(clusterer: Clusterer, found: Merges) -> str:
    """A line of the table."""
    rates = (found.recall, found.wrong, found.precision)
    return f"| `{clusterer}` | " + " | ".join(map(_shown, rates)) + " |"


def _shown(rate: Rate) -> str:
    if rate.value is None or rate.interval is None:
        return f"– (0 of {rate.n})"
    low, high = rate.interval
    return f"{rate.value:.1%} ({low:.1%} … {high:.1%}; {rate.hits} of {rate.n})"


if __name__ == "__main__":
    sys.exit(main())
