"""Made-up runs: records and whole runs folders whose numbers are known beforehand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ucbd.cascade.alignment_tax.observations import Observations, write
from ucbd.cascade.alignment_tax.variants import DEFAULTS, SIZES, THRESHOLDS, column

CLUSTERERS = ("oracle", "exact", "jaccard", "embedding")


def table(
    labels: Mapping[str, Sequence[Sequence[int]]] | None = None,
    kinds: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    **numbers: Sequence[float],
) -> Observations:
    """A table from columns; questions are numbered, facts unless told otherwise."""
    labels = labels or {}
    n = len(next(iter([*labels.values(), *numbers.values()])))
    return Observations(
        {
            "id": tuple(f"q{i}" for i in range(n)),
            "kind": tuple(kinds or ["fact"] * n),
            "frequency": ("seldom",) * n,
            "group": tuple(groups or ["pet"] * n),
        },
        {name: np.array(column, dtype=float) for name, column in numbers.items()},
        {name: tuple(map(tuple, column)) for name, column in labels.items()},
    )


def record(id: str, samples: Sequence[str], correct: bool | None, **more: Any) -> dict[str, Any]:
    """One scored record, as ``ucbd evaluate`` writes it."""
    return {
        "id": id,
        "prompt": f"What is {id}?",
        "kind": "fact",
        "frequency": "often",
        "group": "pet",
        "answer": {
            "text": samples[0] if samples else "",
            "token_entropies": [0.5, 1.5],
            "tokens": 2,
        },
        "samples": [{"text": text, "tokens": len(text.split()) + 1} for text in samples],
        "sampling": {"n": len(samples), "temperature": 1.0, "top_p": 1.0},
        "model": "made-up",
        "model_revision": "abc",
        "correct": correct,
        "scores": {"mean_token_entropy": 1.0, "p_true": None, "semantic_entropy:jaccard": 0.0},
        "clusters": {"jaccard": {"count": 1, "labels": [0] * len(samples)}},
        **more,
    }


def a_run(
    folder: Path,
    *,
    single: float | Mapping[str, float],
    entropy: float = 1.0,
    seed: int = 0,
    facts: int = 200,
    sums: int = 100,
    temperature: float = 1.0,
    right: float = 0.7,
    told: float = 0.4,
    tempered: Mapping[str, float] | None = None,
) -> Observations:
    """Write a run whose rate of single clusters on facts is ``single``, by clusterer or by all.

    Wrong answers have ``told`` nats more of token entropy, in the stratum as outside of it.
    """
    random = Random(f"{folder.name} {seed}")
    rates = single if isinstance(single, Mapping) else dict.fromkeys(CLUSTERERS, single)
    n = facts + sums
    kinds = ["fact"] * (facts // 2) + ["conflict"] * (facts - facts // 2) + ["arithmetic"] * sums
    correct = [float(random.random() < right) for _ in range(n)]
    mean = [entropy * random.uniform(0.3, 1.7) + told * (1 - c) for c in correct]
    order = random.sample(range(facts), facts)
    place = {q: i + 0.5 for i, q in enumerate(order)}
    labels = {
        name: [
            (0,) * 10
            if place.get(q, facts * random.random()) < round(rate * facts)
            else (0, 1, *(random.randrange(2 + q % 4) for _ in range(8)))
            for q in range(n)
        ]
        for name, rate in rates.items()
    }
    steps = [1 + q % 5 for q in range(n)]
    numbers: dict[str, Sequence[float]] = {
        "correct": correct,
        "answer_tokens": [3 + random.randrange(6) for _ in range(n)],
        "sample_tokens": [3 + random.random() * 6 for _ in range(n)],
        "mean_token_entropy": mean,
        "max_token_entropy": [2 * m + random.random() / 5 for m in mean],
        "std_token_entropy": [m / 2 + random.random() / 5 for m in mean],
        "p_true": [0.5 + 0.2 * (1 - c) + random.random() / 2 for c in correct],
        "disagreement": [random.randrange(10) / 10 for _ in range(n)],
    }
    for name, default in DEFAULTS.items():
        if name not in labels:
            continue
        counts = [float(len(set(found))) for found in labels[name]]
        for threshold in THRESHOLDS[name]:
            shift = threshold - default
            numbers[column(name, threshold)] = [max(1.0, c + np.sign(shift)) for c in counts]
        for size in SIZES:
            numbers[column(name, n=size)] = [float(len(set(f[:size]))) for f in labels[name]]
    made = table(labels, kinds, [f"{s} steps" for s in steps], **numbers)
    write(made, folder)
    info = {
        "temperature": temperature,
        "samples": 10,
        "top_p": 1.0,
        "counts": {"fact": facts // 2, "conflict": facts - facts // 2, "arithmetic": sums},
        "model_revision": "0123456789abcdef",
        "parameters": 2_200_000,
    }
    if tempered:
        info["tempered_entropy"] = dict(tempered)
    (folder / "run.json").write_text(json.dumps(info))
    return made


def a_family(folder: Path, seeds: Sequence[int] = (1, 2, 3), facts: int = 200) -> Path:
    """A runs folder in which DPO collapses values, brevity only form, random pairs nothing."""
    shape = {
        "base": (0.01, 0.01, 1.2),
        "sft": (0.03, 0.02, 1.0),
        "dpo": (0.50, 0.40, 0.7),
        "sft-on-chosen": (0.20, 0.18, 0.8),
        "random": (0.03, 0.02, 1.0),
        "correct": (0.10, 0.08, 0.9),
        "brief": (0.03, 0.45, 0.8),
        "typical-0.3": (0.30, 0.25, 0.8),
        "typical-1": (0.60, 0.55, 0.5),
    }
    for seed in seeds:
        for stage, (value, form, entropy) in shape.items():
            single = {
                "oracle": value,
                "exact": form,
                "jaccard": form + 0.02,
                "embedding": form + 0.1,
            }
            tempered = {f"{t / 10}": entropy * t / 10 for t in range(2, 16)}
            place = folder / "llama" / f"seed-{seed}"
            a_run(
                place / stage,
                single=single,
                entropy=entropy,
                seed=seed,
                facts=facts,
                tempered=tempered,
            )
            if seed == seeds[0] and stage in ("base", "sft", "dpo"):
                for heat in (0.3, 0.7, 1.5):
                    cooled = {name: min(1.0, share / heat) for name, share in single.items()}
                    a_run(
                        place / f"{stage}@T{heat:g}",
                        single=cooled,
                        entropy=entropy,
                        seed=seed,
                        facts=facts,
                        temperature=heat,
                    )
    return folder
