"""What the first screen of the report shows: facts, one table that is sorted by performance, and one figure."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from rs3l import __version__
from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.names import Method, compared, headline_efficiency, method_label, rejection_name
from rs3l.figures.plot_resources import resource_table
from rs3l.figures.plot_results import read_table
from rs3l.paths import CampaignPaths
from rs3l.report.brief import plain_hours
from rs3l.report.contents import Picture, Section, Table
from rs3l.report.figure_data import KEY, VALUE, ends, first_row
from rs3l.report.known import Known
from rs3l.report.sections import lacking, number
from rs3l.report.words import counted

FIGURES = ("label_efficiency", "roc")
"""The first of these that the campaign has, for its first task, is on the first screen."""

_TASKS = 2
"""The table covers at most this many tasks."""


def facts(paths: CampaignPaths, summary: Mapping[str, Any]) -> list[str]:
    """Return date, events and jets, time, and version of a campaign."""
    counts = summary["dataset"]["processes"].values()
    found = [
        date.fromtimestamp(Path(paths.summary).stat().st_mtime).isoformat(),
        f"{counted(sum(process['hard_events'] for process in counts))} hard events",
        f"{counted(sum(process['jets'] for process in counts))} jets",
    ]
    with contextlib.suppress(DataError):  # some campaigns have no benchmark files
        found.append(f"{plain_hours(float(resource_table(paths.benchmarks)['core_hours'].sum()))} of core time")
    return [*found, f"rs3l {__version__}"]


def main_figure(config: Campaign, sections: Sequence[Section]) -> Picture | None:
    """Return the figure of the first screen, if there is one."""
    pictures = {picture.name: picture for section in sections for picture in section.pictures}
    names = [f"{kind}_{next(iter(config.tasks))}" for kind in FIGURES]
    return next((pictures[name] for name in names if name in pictures), None)


def main_table(config: Campaign, paths: CampaignPaths) -> Table:
    """Return the rejections of the methods at the fewest and the most labels, the best method first.

    The best of each column is bold.
    """
    efficiency = headline_efficiency(config.evaluate.efficiencies)
    columns = [*KEY, "metric", *VALUE, "lower_limit"]
    metrics = Known.of(config).rows(read_table(paths.evaluation("metrics"), columns))
    metrics = metrics[metrics["metric"] == rejection_name(efficiency)]
    tasks = [task for task in config.tasks if task in set(metrics["task"])][:_TASKS]
    cells = [(task, labels) for task in tasks for labels in ends(metrics[metrics["task"] == task])]
    rows = _rows(metrics, compared(blocks.evaluate(config).runs), cells)
    values = {method: [_value(row) for row in lines] for method, lines in rows.items()}
    tops = [max(column) for column in zip(*values.values(), strict=True)]
    lines = [
        [method_label(method), *(_cell(row, top) for row, top in zip(rows[method], tops, strict=True))]
        for method in sorted(values, key=values.__getitem__, reverse=True)
    ]
    heads = ["method", *(_head(config, task, labels) for task, labels in cells)]
    about = "Background jets rejected for each that passes, best first; the best of each column is bold."
    notes = lacking(pd.DataFrame(lines))
    title = f"Rejection at {efficiency:.0%} signal efficiency"
    return Table("best", title, heads, lines, len(lines), f"{about} {notes}".rstrip(), is_open=True)


def _rows(
    metrics: pd.DataFrame, methods: Sequence[Method], cells: Sequence[tuple[str, int]]
) -> dict[Method, list[Mapping[str, Any] | None]]:
    """Return the lines of the table of metrics of each method that has one, in the order of ``cells``."""
    found = {
        method: [first_row(metrics, method, task=task, labels=labels) for task, labels in cells]
        for method in methods
    }
    return {method: rows for method, rows in found.items() if any(rows)}


def _value(row: Mapping[str, Any] | None) -> float:
    return -math.inf if row is None else float(row["value"])


def _cell(row: Mapping[str, Any] | None, best: float) -> str:
    text = "" if row is None else number(row)
    return Markup("<strong>{}</strong>").format(text) if row and _value(row) == best else text


def _head(config: Campaign, task: str, labels: int) -> str:
    names = {name: process.label for name, process in config.processes.items()}
    signal, background = (config.tasks[task].label(role, names) for role in ("signal", "background"))
    return f"{signal} / {background}, {counted(labels)} labels"
