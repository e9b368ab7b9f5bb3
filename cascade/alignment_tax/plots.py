"""The page's plots, as SVG: the same runs give the same files. Knows no words of the page."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ucbd.cascade.alignment_tax.chosen import arithmetic, facts, median_of, scr
from ucbd.cascade.alignment_tax.measures import (
    SIGNALS,
    Rate,
    in_stratum,
    mean,
    ranking,
    rate,
    semantic_entropy,
    signal,
    single_by,
)
from ucbd.cascade.alignment_tax.observations import Mask, Observations
from ucbd.cascade.alignment_tax.runs import ARMS, DEFAULT_ARM, STAGES, Run, Runs
from ucbd.cascade.alignment_tax.stages import SHORT, named
from ucbd.cascade.alignment_tax.sums import selected
from ucbd.cascade.alignment_tax.sweeps import of_first, swept
from ucbd.cascade.alignment_tax.variants import SIZES, THRESHOLDS, column

COLOURS = {
    "oracle": "#1d3557",
    "exact": "#8d99ae",
    "jaccard": "#c1121f",
    "embedding": "#e08e0b",
    "nli": "#2a9d8f",
}
MARKS = {"oracle": "o", "exact": "s", "jaccard": "^", "embedding": "D", "nli": "v"}
LINES = {"base": ":", "sft": "--", "dpo": "-"}
INK, FAINT = "#222222", "#d9d9d9"

STYLE: dict[Any, Any] = {  # rcParams' own type is a literal of every name
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "alignment-tax",  # ids that do not change from run to run
    "svg.fonttype": "path",  # looks the same wherever it is read
}


def draw(runs: Runs, folder: Path, suffix: str = "svg") -> list[Path]:
    """Write every plot into ``folder``, each whole or not at all."""
    plots: dict[str, Callable[[Runs], Figure]] = {
        "stages": stages,
        "entropy": entropy,
        "auroc": auroc,
        "selective": selective,
        "arms": arms_plot,
        "sweeps": sweeps,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(STYLE):
        for name, plot in plots.items():
            path = folder / f"{name}.{suffix}"
            partial = folder / f"{name}.{suffix}.partial"
            metadata = {"Date": None} if suffix == "svg" else None
            plot(runs).savefig(partial, format=suffix, dpi=130, metadata=metadata)
            os.replace(partial, path)
            written.append(path)
    return written


def stages(runs: Runs) -> Figure:
    """SCR over base, SFT and DPO: a line per clusterer, thin for each seed, thick in the middle."""
    figure = _figure(6.4, 3.6)
    axes = figure.add_subplot()
    places = np.arange(len(STAGES))
    for clusterer, colour in COLOURS.items():
        each = [[_percent(runs.run(s, seed), clusterer) for s in STAGES] for seed in _seeds(runs)]
        for values in each:
            axes.plot(places, values, color=colour, linewidth=0.8, alpha=0.3)
        middle = [_percent(median_of(runs, stage), clusterer) for stage in STAGES]
        if np.isfinite(middle).any():
            style: dict[str, Any] = {"color": colour, "marker": MARKS[clusterer], "markersize": 5}
            axes.plot(places, middle, linewidth=2, label=named(clusterer), **style)
    axes.set_xticks(places, [SHORT[stage] for stage in STAGES])
    axes.set_xlim(-0.15, len(STAGES) - 0.85)
    axes.set_ylim(0, None)
    axes.set_ylabel("single-cluster rate on facts, %")
    axes.set_title("Thick: the median seed. Thin: every seed.", color="#555555")
    _legend_beside(axes)
    return figure


def entropy(runs: Runs) -> Figure:
    """Mean token entropy and semantic entropies over the stages, the base model's being 100 %."""
    figure = _figure(6.4, 3.4)
    axes = figure.add_subplot()
    places = np.arange(len(STAGES))
    found = [median_of(runs, stage) for stage in STAGES]
    kept = _relative([_mean_token_entropy(run) for run in found])
    axes.plot(places, kept, color=INK, linewidth=2, marker="o", label="token entropy")
    for clusterer, colour in COLOURS.items():
        values = _relative([_mean_semantic_entropy(run, clusterer) for run in found])
        if np.isfinite(values).any():
            label = f"semantic entropy, {named(clusterer)}"
            axes.plot(places, values, "--", color=colour, marker=MARKS[clusterer], label=label)
    axes.axhline(100, color=FAINT, linewidth=1, zorder=0)
    axes.set_xticks(places, [SHORT[stage] for stage in STAGES])
    axes.set_xlim(-0.15, len(STAGES) - 0.85)
    axes.set_ylim(0, None)
    axes.set_ylabel("% of the base model's, facts")
    _legend_beside(axes)
    return figure


def auroc(runs: Runs) -> Figure:
    """AUROC of every signal: facts, facts in one cluster by jaccard, arithmetic."""
    figure = _figure(8.4, 3.6)
    run = median_of(runs, DEFAULT_ARM)
    panels: list[tuple[str, Callable[[Run], tuple[Observations, Mask | None]]]] = [
        ("facts, all", lambda r: (facts(r), None)),
        ("facts, one cluster by jaccard", lambda r: (facts(r), in_stratum(facts(r), "jaccard"))),
        ("arithmetic, all", lambda r: (arithmetic(r), None)),
    ]
    shown = [name for name in SIGNALS if run and np.isfinite(signal(run.table, name)).any()]
    rows: list[Axes] = list(figure.subplots(1, len(panels), sharey=True))
    for axes, (title, part) in zip(rows, panels, strict=True):
        if run:
            _forest(axes, shown, *part(run))
        axes.axvline(0.5, color="#888888", linewidth=0.8)
        axes.set_xlim(0.2, 1.0)
        axes.set_xlabel("AUROC")
        axes.set_title(title)
        axes.grid(visible=False, axis="y")
    rows[0].set_yticks(range(len(shown)), shown)
    rows[0].set_ylim(max(len(shown), 1) - 0.5, -0.5)
    return figure


def selective(runs: Runs) -> Figure:
    """Accuracy against coverage on arithmetic by several signals."""
    figure = _figure(6.4, 3.6)
    axes = figure.add_subplot()
    run = median_of(runs, DEFAULT_ARM)
    coverages = [percent / 100 for percent in range(10, 101, 2)]
    colours = {
        "mean_token_entropy": INK,
        "max_token_entropy": "#8a8a8a",
        "p_true": "#7b2cbf",
        "answer_length": "#2a9d8f",
        "semantic_entropy:jaccard": COLOURS["jaccard"],
        "semantic_entropy:embedding": COLOURS["embedding"],
    }
    for name, colour in colours.items():
        if not run:
            continue
        values = selected(arithmetic(run), name, coverages)
        if any(value is not None for value in values):
            width = 2.2 if name == "mean_token_entropy" else 1.2
            percent = [100 * v if v is not None else np.nan for v in values]
            axes.plot(
                [100 * c for c in coverages], percent, color=colour, linewidth=width, label=name
            )
    axes.set_xlim(10, 100)
    axes.set_xlabel("answers given, % (the least uncertain first)")
    axes.set_ylabel("right among them, %")
    _legend_beside(axes)
    return figure


def arms_plot(runs: Runs) -> Figure:
    """SCR of every arm: a mark per clusterer at the median seed, faint for each seed."""
    rows = ["base", "sft", *ARMS]
    figure = _figure(7.2, 0.34 * len(rows) + 1.1)
    axes = figure.add_subplot()
    shown = [c for c in COLOURS if c != "nli"]
    for place, stage in enumerate(rows):
        middle = median_of(runs, stage)
        if not middle:
            axes.annotate("not run", (0.5, place), va="center", fontsize=8, color="#888888")
        for i, clusterer in enumerate(shown):
            y = place + (i - 1.5) * 0.16
            style: dict[str, Any] = {"marker": MARKS[clusterer], "linestyle": ""}
            style["color"] = COLOURS[clusterer]
            each = [_percent(run, clusterer) for run in runs.seeds(stage)]
            axes.plot(each, [y] * len(each), markersize=4, alpha=0.3, markeredgewidth=0, **style)
            label = named(clusterer) if place == 0 else None
            axes.plot([_percent(middle, clusterer)], [y], markersize=5.5, label=label, **style)
    for place in range(len(rows) - 1):
        axes.axhline(place + 0.5, color="#ececec", linewidth=0.7)
    axes.grid(visible=False, axis="y")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-1, None)
    axes.set_xlabel("single-cluster rate on facts, % (faint: every seed)")
    _legend_beside(axes)
    return figure


def sweeps(runs: Runs) -> Figure:
    """SCR by temperature, by number of samples and by threshold; a line per stage and clusterer."""
    figure = _figure(8.4, 3.4)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    for stage in STAGES:
        run = median_of(runs, stage)
        for clusterer in ("oracle", "jaccard", "embedding"):
            style: dict[str, Any] = {"color": COLOURS[clusterer], "linestyle": LINES[stage]}
            style["marker"] = "."
            sweep = swept(runs, stage)
            heat = [_percent(one, clusterer) for one in sweep]
            left.plot([one.temperature for one in sweep], heat, **style)
            if not run:
                continue
            sizes = [_share(of_first(run, clusterer, n)) for n in SIZES]
            label = f"{named(clusterer)}, {SHORT[stage]}"
            middle.plot(SIZES, sizes, label=label, **style)
            if clusterer in THRESHOLDS:
                names = [column(clusterer, t) for t in THRESHOLDS[clusterer]]
                values = [_share(rate(single_by(facts(run), name))) for name in names]
                right.plot(THRESHOLDS[clusterer], values, **style)
    for axes, what in ((left, "temperature"), (middle, "samples"), (right, "threshold")):
        axes.set_xlabel(what)
        axes.set_ylim(0, None)
    left.set_ylabel("single-cluster rate on facts, %")
    middle.set_xticks(SIZES)
    handles, labels = middle.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _forest(axes: Axes, shown: Sequence[str], found: Observations, within: Mask | None) -> None:
    for place, name in enumerate(shown):
        area = ranking(found, name, within)
        colour = INK if "token_entropy" in name else "#8d99ae"
        if area:
            axes.plot([area.low, area.high], [place, place], color=colour, linewidth=1.4)
            axes.plot([area.value], [place], marker="o", markersize=4.5, color=colour)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _legend_beside(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _seeds(runs: Runs) -> list[int]:
    return sorted({run.seed for stage in STAGES for run in runs.seeds(stage)})


def _percent(run: Run | None, clusterer: str) -> float:
    return _share(scr(run, clusterer)) if run else np.nan


def _share(found: Rate | None) -> float:
    return 100 * found.value if found else np.nan


def _relative(values: Sequence[float | None]) -> list[float]:
    """Percent of the first; all NaN without it."""
    first = values[0]
    return [100 * v / first if v is not None and first else np.nan for v in values]


def _mean_token_entropy(run: Run | None) -> float | None:
    return mean(facts(run).number("mean_token_entropy")) if run else None


def _mean_semantic_entropy(run: Run | None, clusterer: str) -> float | None:
    return mean(semantic_entropy(facts(run), clusterer)) if run else None
