"""Draw the time and memory that the campaign's jobs took per rule, from Snakemake's benchmark files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.style import Drawing, Header

SAMPLE = 2000
"""At most this many benchmark files are read per rule, evenly over its jobs, because there may be 10^5."""

_MEBIBYTE = 1.048576
_MISSING = "-"


def resources(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the time of one job, the core time of all, and the peak memory of each rule.

    The CSV and the axis also give the number of jobs.
    """
    points = resource_table(inputs.one("benchmarks"))
    figure = style.new_figure(8.6, 1.4 + 0.34 * len(points), header)
    time, total, memory = figure.subplots(1, 3, sharey=True)
    _points(time, points, "mean_s", "Time of a job [s]\n(bar: longest)", longest="max_s")
    _points(total, points, "core_hours", "Core time of all jobs\n[core hours]")
    memory.barh(range(len(points)), points["max_memory_mb"], color=style.TEAL, height=0.6)
    memory.set_xlabel("Peak memory\nof a job [MB]")
    names = [style.text(f"{rule} ({jobs})") for rule, jobs in zip(points["rule"], points["jobs"], strict=True)]
    time.set_yticks(range(len(points)), names)
    time.set_ylim(len(points) - 0.5, -0.5)
    time.tick_params(axis="y", which="minor", left=False, right=False)
    return Drawing(figure, points)


def resource_table(folder: str | Path) -> pd.DataFrame:
    """Return a row per rule with jobs, mean and largest time [s], core time of all [h] and peak memory [MB].

    ``folder`` is ``benchmarks`` of the campaign, with a folder or a file for each rule. Raises :class:`DataError`
    if there is no benchmark file.
    """
    rows = [_rule(path) for path in sorted(Path(folder).glob("*"))]
    table = pd.DataFrame([row for row in rows if row])
    if table.empty:
        raise DataError(f"{folder}: no benchmark file of any rule; run the campaign first")
    return table


def _rule(path: Path) -> dict[str, Any]:
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    step = -(-len(files) // SAMPLE) or 1
    found = pd.DataFrame(_read(files[::step]))
    if found.empty:
        return {}
    return {
        "rule": path.name.removesuffix(".jsonl"),
        "jobs": len(files),
        "mean_s": found["s"].mean(),
        "max_s": found["s"].max(),
        "core_hours": found["cpu_time"].mean() * len(files) / 3600,
        "max_memory_mb": found["max_rss"].max() * _MEBIBYTE,
    }


def _read(files: list[Path]) -> Iterator[dict[str, float]]:
    """Yield the numbers of the last run in each file, where a job too short to be measured counts as 0."""
    for path in files:
        try:
            values = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        except (OSError, ValueError, IndexError):
            continue
        yield {name: 0.0 if values[name] == _MISSING else values[name] for name in ("s", "cpu_time", "max_rss")}


def _points(ax: Axes, points: pd.DataFrame, column: str, title: str, longest: str | None = None) -> None:
    """Draw a point per rule on a logarithmic axis."""
    y = range(len(points))
    ax.plot(points[column], y, "o", color=style.TEAL)
    if longest:
        ax.plot(points[longest], y, "|", color=style.VERMILION, ms=10)
    ax.set_xscale("log")
    values = points[[column, longest] if longest else column].to_numpy(dtype=float)
    values = values[values > 0.0]
    if len(values):
        ax.set_xlim(0.7 * values.min(), 1.4 * values.max())
    if ax.get_xlim()[1] < 100.0 * ax.get_xlim()[0]:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(title)
    ax.grid(axis="x", lw=0.4, color=style.GREY)
