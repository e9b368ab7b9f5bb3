"""The plots of growth, from the files that were measured: the same files give the same plots."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.page import STYLE

MIB = 2**20
X = {
    "concurrency": "requests at a time",
    "samples": "samples of a request",
    "length": "tokens of the answer",
    "index": "entries of the reference index",
    "uptime": "requests since the start",
}
LOG = ("concurrency", "length", "index")
"""Axes that span decades. On these a line of slope 1 is growth in proportion."""


def draw(folder: Path) -> list[Path]:
    """Write ``AXIS-ENGINE.svg`` beside each file, each whole or not at all."""
    written = []
    with mpl.rc_context(STYLE):
        for file in sorted(folder.glob("*-*.json")):
            told = json.loads(file.read_text("utf-8"))
            path, part = file.with_suffix(".svg"), file.with_suffix(".part")
            _figure(told).savefig(part, format="svg", metadata={"Date": None})
            part.replace(path)
            written.append(path)
    return written


def _figure(told: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8.0, 2.8))
    left, right = figure.subplots(1, 2)
    x = [row["x"] for row in told["rows"]]
    series = {"p50": "latency, p50", "p99": "latency, p99", "cpu": "CPU of the gateway"}
    series |= {"stage": "stage density, p50"} if "stage" in told["rows"][0] else {}
    for name, label in series.items():
        left.plot(x, [1000 * row[name] for row in told["rows"]], "o-", markersize=3, label=label)
    left.set(title="Milliseconds a request", yscale="log")
    left.yaxis.set_major_formatter(_plain)
    memory = [row["memory"] / MIB for row in told["rows"]]
    right.plot(x, memory, "o-", markersize=3)
    right.set(title="MiB of the gateway's process", ylim=(0, 1.15 * max(memory)))
    for axes in (left, right):
        _scale(axes, told["axis"], x)
    figure.legend(loc="upper center", ncols=len(series))
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    return figure


def _scale(axes: Axes, axis: str, x: list[float]) -> None:
    if axis in LOG:
        axes.set_xscale("log")
        axes.set_xticks(x)
    axes.xaxis.set_major_formatter(_plain)
    axes.minorticks_off()
    axes.set_xlabel(X[axis])


def _plain(value: float, _: int) -> str:
    """1,000, not 10³."""
    return f"{value:,.10g}"
