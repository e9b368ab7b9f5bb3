"""A run as one self-contained page: the tables, and plots as SVG within it. Loads nothing."""

import html
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.phases import Ran
from loadtest.report import last_line, table

STYLE: dict[Any, Any] = {  # rcParams' own type is a literal of every name
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "grid.color": "#ececec",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "loadtest",  # ids that do not change from run to run
    "axes.prop_cycle": mpl.cycler(
        color=["#1d3557", "#c1121f", "#2a9d8f", "#e08e0b", "#6a4c93", "#8d99ae"]
    ),
}
_POINTS = 4000  # dots of a phase, so that a soak's page can still be opened
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Load test</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222 }}
pre {{ overflow-x: auto; background: #f6f6f6; padding: 1rem; font-size: 12px }}
svg {{ max-width: 100%; height: auto }}
summary {{ cursor: pointer }}
</style>
<h1>Load test</h1>
<p>{about}</p>
<pre>{table}</pre>
{plots}
<details><summary>All numbers</summary><pre>{numbers}</pre></details>
</html>
"""


def page(run: dict[str, Any], ran: Sequence[Ran]) -> str:
    """The page of a run and of the phases that it is made of."""
    about = f"{run['url']}, {run['form']}, seed {run['seed']}, {run['began']}."
    if run.get("capacity"):
        about += f" {run['capacity']['told']}."
    with mpl.rc_context(STYLE):
        plots = "\n".join(_svg(plot) for plot in _plots(run, ran))
    return _PAGE.format(
        about=html.escape(about),
        table=html.escape(table(run["phases"])),
        plots=plots,
        numbers=html.escape(json.dumps(json.loads(last_line(run)), indent=1, ensure_ascii=False)),
    )


def _plots(run: dict[str, Any], ran: Sequence[Ran]) -> list[Callable[[], Figure]]:
    steps = [one.figures for one in ran if one.phase.name.startswith("ramp ")]
    rest = [one for one in ran if not one.phase.name.startswith("ramp ")]
    wanted: list[Callable[[], Figure]] = []
    if len(steps) > 1:
        wanted.append(lambda: _ramp(steps))
    if any(one.tally.answered for one in rest):
        wanted += [lambda: _over_time(rest), lambda: _ranks(rest)]
    if any(len(one.memory) > 2 for one in ran):
        wanted.append(lambda: _memory(ran))
    return wanted


def _svg(plot: Callable[[], Figure]) -> str:
    out = io.StringIO()
    plot().savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def _plain(value: float, _: int) -> str:
    """1000, not 10³."""
    return f"{value:g}"


def _axes(width: float = 8.0, height: float = 3.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def _over_time(ran: Sequence[Ran]) -> Figure:
    """Each answer at the time it was due: bursts, pauses and drift are seen here, not in a mean."""
    figure = Figure(figsize=(8.0, 2.2 * len(ran)))
    for axes, one in zip(figure.subplots(len(ran), squeeze=False)[:, 0], ran, strict=True):
        tally = one.tally
        every = max(1, len(tally.due) // _POINTS)
        latency = [1000 * value for value in tally.latency[::every]]
        axes.plot(tally.due[::every], latency, ".", markersize=2.5, alpha=0.6)
        axes.set(title=one.phase.name, ylabel="latency, ms", ylim=(0, None))
    axes.set_xlabel("seconds from the start of the phase to when the request was due")
    figure.tight_layout()
    return figure


def _ranks(ran: Sequence[Ran]) -> Figure:
    """Latency at every rank; the axis stretches towards the slowest."""
    figure, axes = _axes()
    for one in ran:
        values = sorted(1000 * value for value in one.tally.latency)
        if values:
            ends = [len(values) / (len(values) - place) for place in range(len(values))]
            axes.step(ends, values, where="post", label=one.phase.name, linewidth=1.3)
    axes.set(xscale="log", yscale="log", ylabel="latency, ms", title="Latency by rank")
    axes.set_xticks([1, 2, 10, 20, 100, 1000], ["0 %", "50 %", "90 %", "95 %", "99 %", "99.9 %"])
    axes.set_xlabel("share of the requests that were faster")
    axes.yaxis.set_major_formatter(_plain)
    axes.minorticks_off()
    axes.legend()
    return figure


def _ramp(steps: Sequence[dict[str, Any]]) -> Figure:
    """What was asked for against what came, and what waiting it cost."""
    figure = Figure(figsize=(8.0, 3.2))
    left, right = figure.subplots(1, 2)
    offered = [step["rate"] for step in steps]
    left.plot(offered, offered, ":", color="#8d99ae", label="as offered")
    left.plot(offered, [step["throughput"] for step in steps], "o-", label="answered")
    left.set(xlabel="offered, requests/s", ylabel="answered, requests/s", title="Throughput")
    left.legend()
    for rank in ("p50", "p99"):
        values = [(step["latency"] or {}).get(rank, math.nan) * 1000 for step in steps]
        right.plot(offered, values, "o-", label=rank)
    right.set(xlabel="offered, requests/s", ylabel="ms", yscale="log", title="Latency")
    right.yaxis.set_major_formatter(_plain)
    right.legend()
    figure.tight_layout()
    return figure


def _memory(ran: Sequence[Ran]) -> Figure:
    figure, axes = _axes(height=2.4)
    for one in ran:
        if len(one.memory) > 2:
            at, held = zip(*one.memory, strict=True)
            axes.plot(at, [value / 2**20 for value in held], label=one.phase.name)
    axes.set(xlabel="seconds", ylabel="MiB", title="Memory of the gateway's process")
    axes.legend()
    return figure
