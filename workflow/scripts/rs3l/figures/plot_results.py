"""Draw the figures of the trained networks: training, ROC, label efficiency and stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from rs3l.config.blocks import FiguresBlock
from rs3l.dataset.checksum import COLLAPSED
from rs3l.errors import DataError
from rs3l.evaluate.marks import counts_of, mark_of
from rs3l.evaluate.names import (
    compared,
    headline_efficiency,
    method_label,
    rejection_name,
    short_label,
    with_panels,
)
from rs3l.evaluate.tables import read_csv
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.style import Drawing, Header
from rs3l.runs import Run

_PANEL = 2.6
"""Rough height of the panels whose lines have their names beside them [inch]."""


def read_table(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return a CSV table.

    Raises :class:`DataError` if it cannot be read or lacks one of ``columns``.
    """
    return read_csv(path, columns, "make the table again", keep_default_na=False, na_values=[""])


def training(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the losses and the effective rank of the latents after each epoch of every pre-training run."""
    paths = inputs.all("training")
    columns = ["epoch", "train_loss", "val_loss", "rank"]
    tables = [_epochs(path, columns).assign(run=str(Run.of_file(path))) for path in paths]
    figure = style.new_figure(9.2, 4.0, header)
    losses, ranks = figure.subplots(1, 2)
    looks = style.looks([str(Run.of_file(path)) for path in paths])
    names: dict[str, tuple[str, str]] = {}
    for table in tables:
        run = Run.parse(table["run"].iloc[0])
        colour = looks[run.method, "probe_h"][0]
        names[table["run"].iloc[0]] = style.text(short_label(run.method)) + mark_of(table.tail(1)), colour
        losses.plot(table["epoch"], table["val_loss"], color=colour)
        losses.plot(table["epoch"], table["train_loss"], color=colour, ls=":", lw=1.0)
        ranks.plot(table["epoch"], table["rank"], color=colour)
    losses.set(xlabel="Epoch", ylabel="Loss (dotted: training split)")
    ranks.set(xlabel="Epoch", ylabel="Effective rank of z (RankMe)")
    ranks.set_ylim(bottom=0.0)
    for ax, column in ((losses, "val_loss"), (ranks, "rank")):
        ax.xaxis.get_major_locator().set_params(integer=True)
        _name_runs(ax, tables, column, names)
    return Drawing(figure, pd.concat(tables, ignore_index=True))


def _name_runs(
    ax: Axes, tables: Sequence[pd.DataFrame], column: str, names: Mapping[str, tuple[str, str]]
) -> None:
    """Name the runs of each method at the mean of their last points; ``names`` has name and colour of each run."""
    lasts: dict[tuple[str, str], list[pd.Series]] = {}
    for table in tables:
        lasts.setdefault(names[table["run"].iloc[0]], []).append(table.iloc[-1])
    found = []
    for (name, colour), rows in lasts.items():
        y = [float(row[column]) for row in rows if np.isfinite(row[column])]
        if y:
            found.append(style.End(max(float(row["epoch"]) for row in rows), float(np.mean(y)), name, colour))
    style.end_labels(ax, found, _PANEL)


def _epochs(path: str | Path, columns: list[str]) -> pd.DataFrame:
    """Return these columns of the metrics of a run, with the number of alarms if the run collapsed."""
    table = read_table(path, columns)
    alarms = counts_of(table.tail(1))["collapsed"]
    return table[columns].assign(**({"collapsed": alarms} if alarms else {}))


def is_collapsed(path: str | Path) -> bool:
    """Return whether a file of latents or predictions is marked because its pre-training collapsed."""
    return COLLAPSED.encode() in (pq.read_metadata(path).metadata or {})


def roc(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the background rejection over the signal efficiency, at the fewest and the most labels."""
    path, task = inputs.one("roc_table"), inputs.task
    table = read_table(path, ["task", "method", "mode", "labels", "efficiency", "value", "error"])
    table = _of_task(path, table, task)
    counts, looks = sorted(table["labels"].unique()), style.looks(block.runs)
    names = [method_label(method) for method in compared(block.runs)]
    height = max(4.4, 1.5 + style.names_height(names))
    figure = style.new_figure(max(6.0, 3.6 * len(counts) + 2.5), height, header)
    axes = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    middle = headline_efficiency(block.evaluate.efficiencies)
    for count, ax in zip(counts, axes, strict=True):
        heights = {}
        for method in compared(block.runs):
            curve = _of_method(table[table["labels"] == count], method)
            if len(curve):
                colour, _, line = style.look(method, looks)
                x, y, error = (curve[name].to_numpy() for name in ("efficiency", "value", "error"))
                label = method_label(method) + mark_of(_of_method(table, method))
                (drawn,) = ax.plot(x, y, color=colour, ls=line, label=style.wrapped_name(label))
                ax.fill_between(x, np.maximum(y - error, 0.8), y + error, color=colour, alpha=0.15, lw=0)
                heights[drawn] = float(y[np.argmin(np.abs(x - middle))])
        ax.set(xlabel=f"{_label(block, task, 'signal')} efficiency", yscale="log", xlim=(0.0, 1.0))
        style.panel_title(ax, f"{count:,} labels")
    axes[0].set_ylabel(f"{_label(block, task, 'background')} rejection (1 / mistag rate)")
    axes[0].set_ylim(bottom=0.8)
    figure.legend(
        handles=sorted(heights, key=heights.__getitem__, reverse=True),
        title=f"in their order at {counts[-1]:,}\nlabels, {middle:.0%} efficiency",
        loc="outside right center", handlelength=2.6, alignment="left", title_fontsize=8.5,
    )  # fmt: skip
    return Drawing(figure, table)


def label_efficiency(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the rejection at the headline efficiency, and the AUC, over the number of labelled events."""
    path, task = inputs.one("metrics_table"), inputs.task
    table = _of_task(
        path, read_table(path, ["task", "method", "mode", "labels", "metric", "value", "error"]), task
    )
    efficiency = headline_efficiency(block.evaluate.efficiencies)
    panel = max(2.1, 1.05 * style.names_height(method_label(method) for method in compared(block.runs)))
    figure = style.new_figure(5.8, 1.4 + 2.0 * panel, header)
    axes = dict(zip((rejection_name(efficiency), "auc"), figure.subplots(2, 1, sharex=True), strict=True))
    shown = [table.head(0)]
    ends = {metric: _over_labels(ax, table, metric, block, shown) for metric, ax in axes.items()}
    rejection, auc = axes.values()
    counts = sorted(table["labels"].unique())
    auc.set(xlabel="Labelled hard events", xscale="log", ylabel="AUC")
    auc.set_xticks(counts, [f"{count:,}" for count in counts])
    auc.set_xticks([], minor=True)
    background, signal = _label(block, task, "background"), _label(block, task, "signal")
    rejection.set(ylabel=f"{background} rejection\nat {efficiency:.0%} {signal} efficiency", yscale="log")
    rejection.yaxis.set_major_formatter(LogFormatter())
    rejection.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))  # gives plain numbers
    rejection.set_ylim(bottom=max(0.8, rejection.get_ylim()[0]))
    for metric, ax in axes.items():
        style.end_labels(ax, ends[metric], panel)
    return Drawing(figure, pd.concat(shown, ignore_index=True))


def _over_labels(
    ax: Axes, table: pd.DataFrame, metric: str, block: FiguresBlock, shown: list[pd.DataFrame]
) -> list[style.End]:
    """Draw one metric of every method, add its points to ``shown``, and return the ends of the lines."""
    methods, looks = compared(block.runs), style.looks(block.runs)
    ends = []
    for index, method in enumerate(methods):
        points = _of_method(table[table["metric"] == metric], method).sort_values("labels")
        if len(points):
            colour, marker, line = style.look(method, looks)
            x = points["labels"] * 1.03 ** (index - 0.5 * (len(methods) - 1))
            ax.errorbar(x, points["value"], points["error"], color=colour, marker=marker, ls=line)
            shown.append(points)
            if np.isfinite(points["value"].iloc[-1]):
                name = method_label(method) + mark_of(points)
                ends.append(style.End(float(x.iloc[-1]), float(points["value"].iloc[-1]), name, colour))
    return ends


def stability(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the correlation of the scores of one hard event showered twice against the AUC, at the most labels."""
    path, pair = inputs.one("stability_table"), block.evaluate.pair
    assert pair is not None, "the figure is left out of a campaign without a pair"
    table = read_table(
        path, ["task", "method", "mode", "labels", "class", "quantity", "first", "second", "value", "error", "auc"]
    )
    table = most_labels(table[table["quantity"] == "spearman"])
    table = table[(table["first"] == pair[0]) & (table["second"] == pair[1])]
    tasks = [task for task in block.tasks if task in set(table["task"])]
    if not tasks:
        raise DataError(f"{path}: no paired correlation; too few events have a jet under both of evaluate.pair")
    looks = style.looks(block.runs)
    shown = [method for method in with_panels(block.runs) if len(_of_method(table, method))]
    figure = style.new_figure(4.3 * len(tasks) + 0.4, 4.8, header)
    axes = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for task, ax in zip(tasks, axes, strict=True):
        for method in shown:
            colour, marker, _ = style.look(method, looks)
            for kind, fill in (("signal", colour), ("background", style.PAPER)):
                points = _of_method(table[(table["task"] == task) & (table["class"] == kind)], method)
                label = method_label(method) + mark_of(_of_method(table, method)) if kind == "signal" else None
                ax.errorbar(
                    points["auc"], points["value"], points["error"], points["auc_error"],
                    fmt=marker, color=colour, mfc=fill, ms=6, label=label,
                )  # fmt: skip
        signal, background = (_label(block, task, role) for role in ("signal", "background"))
        style.panel_title(ax, f"{signal} (filled), {background} (open)")
        ax.set_xlabel(f"AUC, {signal} against {background}")
        ax.locator_params(axis="x", nbins=5)
    axes[0].set_ylabel(f"Spearman correlation, {' and '.join(pair)}")
    style.legend_below(figure, axes[0])
    return Drawing(figure, table)


def most_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of each task with its largest number of labels."""
    return table[table["labels"] == table.groupby("task")["labels"].transform("max")]


def _of_task(path: str | Path, table: pd.DataFrame, task: str) -> pd.DataFrame:
    found = table[table["task"] == task]
    if found.empty:
        raise DataError(f"{path}: no lines of task {task!r}; it has {', '.join(sorted(set(table['task'])))}")
    return found


def _of_method(table: pd.DataFrame, method: tuple[str, str]) -> pd.DataFrame:
    return table[(table["method"] == method[0]) & (table["mode"] == method[1])]


def _label(block: FiguresBlock, task: str, role: str) -> str:
    return block.tasks[task].label(role, block.labels)
