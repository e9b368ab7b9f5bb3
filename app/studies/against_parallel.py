"""``python -m ucbd.app.studies.against_parallel RECORDS``: what the cascade saves.

One table over recorded answers: each signal alone, all stages of a policy in parallel, and the
policy as a cascade, each with how it ranks wrong answers and what it spends; then what agreement
says of right and wrong. Parallel and cascade are the same policy, told to run everything or not.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ucbd.app.commands.judge import Judge
from ucbd.app.settings import read_settings
from ucbd.cascade.evaluation.ranking import (
    Floats,
    Mask,
    accuracy_at,
    aurc,
    auroc,
    auroc_difference,
    auroc_interval,
)
from ucbd.cascade.evaluation.recorded import CASCADE
from ucbd.cascade.evaluation.records import Record, RecordsUnreadable, label, read_records
from ucbd.cascade.evaluation.report import report_on, signal_names
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.tally import Partitions, Tally, tallied
from ucbd.models.errors import GatewayError

PARALLEL = "all stages in parallel"
FREE = ("mean_token_entropy", "max_token_entropy", "std_token_entropy", "answer_length")
FREE_STAGES = ("pointer",)
"""Stages whose score is no signal of a report."""

_SCORED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Ranked:
    """One score of every labelled question, and its mean cost in units of the main answer."""

    name: str
    scores: Floats
    cost: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for records that cannot be used."""
    parser = argparse.ArgumentParser(description="The cascade against all stages in parallel.")
    parser.add_argument("records", type=Path, nargs="+", help="answers with samples and labels")
    parser.add_argument("--policy", help="a name or a file (default: default)")
    parser.add_argument("--clusterers", type=lambda s: s.split(","), default=["combined"])
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(None, {"policy": options.policy} if options.policy else {})
        records = [record for path in options.records for record in labelled(path)]
        model = records[0].model if len({record.model for record in records}) == 1 else None
        judge = Judge(options.clusterers, settings, model, keep_reasoning=False)
        asyncio.run(_tables(records, judge))
    except (GatewayError, OSError) as error:
        print(f"against_parallel: {error}", file=sys.stderr)
        return 2
    return 0


def labelled(path: Path) -> list[Record]:
    """The answered records with a label. Raises ``RecordsUnreadable`` without both kinds."""
    found = [r for r in read_records(path) if r.answer is not None and label(r) is not None]
    if len({label(record) for record in found}) < 2:
        raise RecordsUnreadable(f"{path}: needs right and wrong answers, labelled")
    return found


async def _tables(records: Sequence[Record], judge: Judge) -> None:
    pairs = list(
        zip(
            await _scored(records, judge, explain=False),
            await _scored(records, judge, explain=True),
            strict=True,
        )
    )
    ranked_by = [pair for pair in pairs if pair[0].scores[CASCADE] is not None]
    stopped, explained = ([pair[i] for pair in ranked_by] for i in (0, 1))
    cheap, dear = tallied(stopped), tallied(explained)
    dearer = sum(a > b + 1e-9 for a, b in zip(cheap.costs, dear.costs, strict=True))
    found = report_on(cheap, judge.default)
    rows = ranked(cheap, dear, explained)
    print(f"{found['n']} questions, {found['accuracy']:.1%} right, clusterer {judge.default}")
    print(f"left out, because nothing of the policy is about them: {len(records) - found['n']}\n")
    _print_ranking(rows, cheap, judge.default)
    _print_differences(rows, cheap)
    print(f"\nrequests that spent more than when everything ran: {dearer} of {found['n']}")
    _print_strata(found)


async def _scored(records: Sequence[Record], judge: Judge, *, explain: bool) -> list[ScoredRecord]:
    found: list[ScoredRecord] = []
    for start in range(0, len(records), _SCORED_AT_ONCE):
        found += await judge.scored(records[start : start + _SCORED_AT_ONCE], explain=explain)
    return found


def ranked(cheap: Tally, dear: Tally, records: Sequence[ScoredRecord]) -> list[Ranked]:
    """Every signal that all questions have, then all of them in parallel, then the cascade."""
    sampled = 1 + float(np.mean([_sampled(record) for record in records]))
    rows = [
        Ranked(name, scores, 1.0)
        for name in FREE_STAGES
        if (scores := _of_stage(records, name)) is not None
    ]
    for name in signal_names(cheap):
        if name == CASCADE or np.isnan(cheap.column(name)).any():
            continue
        cost = 1.0 if name in FREE else None if name == "p_true" else sampled
        rows.append(Ranked(name, cheap.column(name), cost))
    return [
        *rows,
        Ranked(PARALLEL, dear.column(CASCADE), float(np.mean(dear.costs))),
        Ranked(CASCADE, cheap.column(CASCADE), float(np.mean(cheap.costs))),
    ]


def _of_stage(records: Sequence[ScoredRecord], name: str) -> Floats | None:
    """A stage's scores, where it has one for every question."""
    found = [
        stage["score"]
        for record in records
        for stage in getattr(record, "stages", None) or ()
        if stage["name"] == name and stage["score"] is not None
    ]
    return np.array(found, dtype=np.float64) if len(found) == len(records) else None


def _sampled(record: ScoredRecord) -> float:
    """Tokens of all recorded samples in units of the answer's, NaN where nobody counted."""
    answer = record.answer.tokens if record.answer else None
    tokens = [sample.tokens for sample in record.samples or ()]
    if not answer or None in tokens:
        return float("nan")
    return sum(count for count in tokens if count) / answer


def _print_ranking(rows: Sequence[Ranked], tally: Tally, clusterer: str) -> None:
    wrong = tally.right == 0
    single = tally.partitions.get(clusterer, Partitions()).single(tally.n)
    print("| score | mean relative cost | AUROC | on one cluster | AURC | right at 50 % coverage |")
    print("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        half = accuracy_at(row.scores, wrong, [0.5])[0]
        print(
            f"| {_code(row.name)} | {_cost(row.cost)} "
            f"| {_area(row.scores, wrong)} | {_area(row.scores[single], wrong[single])} "
            f"| {aurc(row.scores, wrong):.3f} | {half:.1%} |"
        )


def _print_differences(rows: Sequence[Ranked], tally: Tally) -> None:
    wrong = tally.right == 0
    *alone, parallel, cascade = rows
    best = max(alone, key=lambda row: auroc(row.scores, wrong))
    print("\n| AUROC | difference, paired |\n|---|--:|")
    for one, other in ((cascade, parallel), (parallel, best), (cascade, best)):
        apart, low, high = auroc_difference(one.scores, other.scores, wrong)
        print(
            f"| {_code(one.name)} − {_code(other.name)} | {apart:+.4f} [{low:+.4f}, {high:+.4f}] |"
        )


def _print_strata(found: dict[str, Any]) -> None:
    print("\n| clusterer | one cluster | wrong given one | wrong given several | blind mass |")
    print("|---|--:|--:|--:|--:|")
    for name, rates in found["homogenization"].items():
        cells = [
            f"{rates[key]:.1%} [{rates[f'{key}_ci'][0]:.1%}, {rates[f'{key}_ci'][1]:.1%}]"
            if rates[key] is not None
            else "–"
            for key in ("scr", "wrong_given_one", "wrong_given_several", "blind_mass")
        ]
        print(f"| `{name}` | {' | '.join(cells)} |")


def _cost(cost: float | None) -> str:
    return "–" if cost is None or math.isnan(cost) else f"{cost:.2f}"


def _area(scores: Floats, wrong: Mask) -> str:
    if wrong.all() or not wrong.any():
        return "–"
    low, high = auroc_interval(scores, wrong)
    return f"{auroc(scores, wrong):.3f} [{low:.3f}, {high:.3f}]"


def _code(name: str) -> str:
    return name if name == PARALLEL else f"`{name}`"


if __name__ == "__main__":
    sys.exit(main())
