"""Reports of several runs in, ``compare.json`` out: side by side, and paired where questions are.

What each run is worth is its report's to say and is taken from there; differences are of the
questions that two runs share. The first run is what the others are held against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ucbd.cascade.evaluation.paired_runs import Columns, Difference, differences, overlap
from ucbd.cascade.evaluation.plots import COVERAGES
from ucbd.cascade.evaluation.ranking import RESAMPLES

SCHEMA = 1
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A report with the name that it goes by, and its records; None where they are not kept."""

    name: str
    report: Mapping[str, Any]
    columns: Columns | None


def compared(runs: Sequence[Run]) -> Json:
    """Every run in short, and each but the first against the first."""
    base, *others = runs
    return {
        "schema": SCHEMA,
        "runs": [_in_short(run) for run in runs],
        "pairs": [_pair(base, run) for run in others],
        "intervals": f"95 %: paired percentile bootstrap by question ({RESAMPLES} draws)",
    }


def _in_short(run: Run) -> Json:
    report = run.report
    policy, calibration = report["policy"], report["calibration"]
    return {
        "name": run.name,
        "models": report["models"],
        "policy": policy["name"] if policy else None,
        "n": report["n"],
        "n_unlabelled": report["n_unlabelled"],
        "accuracy": report["accuracy"],
        "accuracy_ci": report["accuracy_ci"],
        "signals": {
            name: {key: one[key] for key in ("auroc", "auroc_ci", "n", "wrong")}
            for name, one in report["signals"].items()
        },
        "single_cluster_rate": {
            name: {key: one[key] for key in ("scr", "scr_ci", "n")}
            for name, one in report["homogenization"].items()
        },
        "selective_risk": [
            {"coverage": one["coverage"], "risk": 1 - one["accuracy"]}
            for one in report["selective"]
            if round(100 * one["coverage"]) in COVERAGES
        ],
        "calibration": {
            "ece": calibration["ece"],
            "brier": calibration["brier"],
            "platt": {key: calibration["platt"][key] for key in ("ece", "brier")},
        },
        "decisions": report["decisions"],
        "relative_cost": report["cost"]["relative_mean"],
    }


def _pair(base: Run, run: Run) -> Json:
    """What two runs share, and how they differ on it; ``unpaired`` says why there is nothing."""
    names = {"base": base.name, "run": run.name}
    without = [one.name for one in (base, run) if one.columns is None]
    if base.columns is None or run.columns is None:
        return names | _nothing(f"no records.jsonl in {' and '.join(without)}")
    both = overlap(base.columns, run.columns)
    counts = {
        "common": len(both.base),
        "only_base": both.only_base,
        "only_run": both.only_run,
        "other_prompts": both.other_prompts,
    }
    if not both.base:
        return names | counts | _nothing("they share no question (id and prompt)")
    found = [_listed(one) for one in differences(base.columns, run.columns, both)]
    return names | counts | {"unpaired": None, "differences": found}


def _nothing(why: str) -> Json:
    return {"unpaired": why, "differences": []}


def _listed(one: Difference) -> Json:
    found = asdict(one)
    found["ci"] = list(found.pop("interval"))
    return found
