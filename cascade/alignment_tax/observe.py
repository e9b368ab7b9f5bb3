"""From a run's records to its small table: ``python -m ucbd.cascade.alignment_tax.observe``.

    RECORDS.jsonl [...] --out RUNS/llama/seed-1/dpo [--weights FOLDER]

Records are those that ``ucbd evaluate`` and ``ucbd replay`` write, scores and clusters included.
With ``--weights`` the run also knows its parameters, its seed and, where the page compares at equal
entropy, what entropy its distribution would have at other temperatures. Knows nothing of what the
numbers will say.
"""

import argparse
import asyncio
import hashlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ucbd.cascade.alignment_tax.observations import (
    Labels,
    Observations,
    ObservationsUnreadable,
    write,
)
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, FACTS, FAMILY, INFO, STAGES, place
from ucbd.cascade.alignment_tax.variants import (
    count,
    second_name,
    second_variants,
    variants,
)
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.embedding import Embedding
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.nli import Nli
from ucbd.cascade.evaluation.records import read_records
from ucbd.models.embedder import Embedder, MiniLM, Remembered, UniversalSentenceEncoder
from ucbd.models.errors import GatewayError
from ucbd.models.nli import EMBEDDED_NLI, CrossEncoder

DERIVED = "semantic_entropy"
"""Scores that follow from the labels and are not kept."""


TEMPERED = ("base", DEFAULT_ARM)
"""The stages that the page cools and heats."""


async def observe(
    records: Sequence[Mapping[str, Any]],
    embedder: Embedder | None = None,
    second: Embedder | None = None,
    others: Sequence[Clusterer] = (),
) -> Observations:
    """One row per record, in the records' order.

    The signals are the records' own ``scores``; nothing is scored anew. ``embedder`` makes the
    counts by the thresholds of ``embedding``, ``second`` another clusterer and its counts,
    ``others`` clusterers that the records do not bring. What is clustered anew is so for facts
    only: the page asks no more, and embedding is slow.
    """
    texts = [text for record in records if _is_fact(record) for text in _samples(record)]
    first, other = [Remembered(e) if e else None for e in (embedder, second)]
    for remembered in (first, other):
        if remembered:
            await remembered.embed(texts)  # all at once: small batches cost several times as much
    found = variants(first) | (second_variants(other) if other else {})
    signals = sorted({name for record in records for name in record.get("scores") or {}})
    kept = [name for name in signals if not name.startswith(DERIVED)]
    clusterers = sorted({name for record in records for name in record.get("clusters") or {}})
    rows = [
        _numbers(record, kept)
        | (
            await count(found, _samples(record))
            if _is_fact(record)
            else dict.fromkeys(found, math.nan)
        )
        for record in records
    ]
    return Observations(
        {
            "id": tuple(str(record["id"]) for record in records),
            "kind": tuple(str(record.get("kind") or "") for record in records),
            "frequency": tuple(str(record.get("frequency") or "") for record in records),
            "group": tuple(str(record.get("group") or "") for record in records),
        },
        {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())},
        {name: tuple(_labels(record, name) for record in records) for name in clusterers}
        | ({second_name(other): await _clustered(records, Embedding(other))} if other else {})
        | {clusterer.name: await _clustered(records, clusterer) for clusterer in others},
    )


def describe(records: Sequence[Mapping[str, Any]], source: bytes) -> dict[str, object]:
    """What ``run.json`` says of a run: counts by kind, the model, how it was sampled.

    Raises:
        ObservationsUnreadable: the records were not all sampled in one way.
    """
    sampled = {json.dumps(r["sampling"], sort_keys=True) for r in records if r.get("sampling")}
    if len(sampled) != 1:
        raise ObservationsUnreadable(
            f"sampling: a run is sampled in one way, the records name {len(sampled)}"
        )
    sampling = json.loads(sampled.pop())
    return {
        "temperature": sampling["temperature"],
        "samples": sampling["n"],
        "top_p": sampling.get("top_p", 1.0),
        "counts": dict(sorted(Counter(str(r.get("kind") or "") for r in records).items())),
        "model": records[0].get("model"),
        "model_revision": records[0].get("model_revision"),
        "records_sha256": hashlib.sha256(source).hexdigest(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the run's folder is written, 2 when the records cannot be used."""
    parser = argparse.ArgumentParser(description="Make one run's table from its records.")
    parser.add_argument("records", type=Path, nargs="+", help="records.jsonl, several as one run")
    parser.add_argument("--out", type=Path, required=True, help="RUNS/llama/seed-1/dpo, say")
    parser.add_argument("--weights", type=Path, help="folder of the model that answered")
    parser.add_argument(
        "--embed",
        action=argparse.BooleanOptionalAction,
        help="thresholds of embedding, a second embedder, and nli; slow "
        "(default: for base, sft and dpo of the default family at its own temperature)",
    )
    options = parser.parse_args(arguments)
    try:
        make(options.records, options.out, options.weights, embed=options.embed)
    except (GatewayError, OSError) as error:
        print(f"observe: {error}", file=sys.stderr)
        return 2
    return 0


def make(
    paths: Sequence[Path], out: Path, weights: Path | None = None, embed: bool | None = None
) -> None:
    """Write a run's folder. ``run.json`` comes last: a folder without it is no run."""
    family, _, stage, swept = place(out)
    whole = swept is None and family == FAMILY
    if embed is None:
        embed = whole and stage in STAGES
    records = [
        record.model_dump(exclude_unset=True) for path in paths for record in read_records(path)
    ]
    info = describe(records, b"".join(path.read_bytes() for path in paths))
    if weights is not None:
        info |= _of_weights(weights)
        if whole and stage in TEMPERED:
            info["tempered_entropy"] = _tempered(weights, records)
    first = MiniLM() if embed and MiniLM.installed() else None
    second = UniversalSentenceEncoder() if embed and UniversalSentenceEncoder.installed() else None
    others: list[Clusterer] = [Guarded(Combined())]
    if embed and CrossEncoder.installed():
        others.append(Nli(CrossEncoder(EMBEDDED_NLI)))
    write(asyncio.run(observe(records, first, second, others)), out)
    partial = out / (INFO + ".partial")
    partial.write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(partial, out / INFO)


def _tempered(folder: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    from ucbd.models.tempering import tempered_entropies  # here: only this needs torch

    asked = [
        (record["prompt"], record["answer"]["text"])
        for record in records
        if _is_fact(record) and record.get("answer")
    ]
    return tempered_entropies(folder, asked) if asked else {}


def _of_weights(folder: Path) -> dict[str, object]:
    from ucbd.models.tempering import parameters  # likewise

    training = folder / "training.json"
    seed = json.loads(training.read_text("utf-8")).get("seed") if training.is_file() else None
    return {"parameters": parameters(folder), "training_seed": seed}


def _numbers(record: Mapping[str, Any], signals: Sequence[str]) -> dict[str, float]:
    scores = record.get("scores") or {}
    samples = record.get("samples") or []
    tokens = [s["tokens"] for s in samples if s["text"].strip() and s.get("tokens") is not None]
    answer = record.get("answer") or {}
    return {
        "correct": _or_nan(record.get("correct")),
        "answer_tokens": _or_nan(answer.get("tokens", len(answer.get("token_entropies") or ()))),
        "sample_tokens": float(np.mean(tokens)) if tokens else math.nan,
        **{name: _or_nan(scores.get(name)) for name in signals},
    }


def _is_fact(record: Mapping[str, Any]) -> bool:
    return record.get("kind") in FACTS


def _samples(record: Mapping[str, Any]) -> list[str]:
    texts = [str(sample["text"]) for sample in record.get("samples") or []]
    return [text for text in texts if text.strip()]


def _labels(record: Mapping[str, Any], clusterer: str) -> Labels:
    found = (record.get("clusters") or {}).get(clusterer)
    return tuple(found["labels"]) if found else ()


async def _clustered(
    records: Sequence[Mapping[str, Any]], clusterer: Clusterer
) -> tuple[Labels, ...]:
    found: list[Labels] = []
    for record in records:
        samples = _samples(record) if _is_fact(record) else []
        question = str(record.get("prompt") or "")
        found.append(
            (await clusterer.cluster("", samples, question=question)).labels if samples else ()
        )
    return tuple(found)


def _or_nan(value: float | bool | None) -> float:
    return math.nan if value is None else float(value)


if __name__ == "__main__":
    sys.exit(main())
