"""Draw the figures of the trained networks: training, ROC, label efficiency and stability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
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
    figure = style.new_figure(9.2, 4.2, header)
    losses, ranks = figure.subplots(1, 2)
    looks = style.looks([str(Run.of_file(path)) for path in paths])
    for table in tables:
        run = Run.parse(table["run"].iloc[0])
        colour = looks[run.method, "probe_h"][0]
        name = style.text(short_label(run.method)) + mark_of(table.tail(1))
        first = name not in losses.get_legend_handles_labels()[1]
        losses.plot(table["epoch"], table["val_loss"], color=colour, label=name if first else None)
        losses.plot(table["epoch"], table["train_loss"], color=colour, ls=":", lw=1.0)
        ranks.plot(table["epoch"], table["rank"], color=colour)
    losses.plot([], [], color=style.GREY, ls=":", label="training split")
    losses.set(xlabel="Epoch", ylabel="Loss, validation split")
    ranks.set(xlabel="Epoch", ylabel="Effective rank of z (RankMe)")
    ranks.set_ylim(bottom=0.0)
    for ax in (losses, ranks):
        ax.xaxis.get_major_locator().set_params(integer=True)
    style.legend_below(figure, losses)
    return Drawing(figure, pd.concat(tables, ignore_index=True))


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
    figure = style.new_figure(max(6.0, 4.3 * len(counts) + 0.4), 5.0, header)
    axes = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for count, ax in zip(counts, axes, strict=True):
        for method in compared(block.runs):
            curve = _of_method(table[table["labels"] == count], method)
            if len(curve):
                colour, _, line = style.look(method, looks)
                x, y, error = (curve[name].to_numpy() for name in ("efficiency", "value", "error"))
                label = method_label(method) + mark_of(_of_method(table, method))
                ax.plot(x, y, color=colour, ls=line, label=label)
                ax.fill_between(x, np.maximum(y - error, 0.8), y + error, color=colour, alpha=0.15, lw=0)
        ax.set(xlabel=f"{_label(block, task, 'signal')} efficiency", yscale="log", xlim=(0.0, 1.0))
        style.panel_title(ax, f"{count:,} labels")
    axes[0].set_ylabel(f"{_label(block, task, 'background')} rejection (1 / mistag rate)")
    axes[0].set_ylim(bottom=0.8)
    style.legend_below(figure, axes[-1])
    return Drawing(figure, table)


def label_efficiency(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the rejection at the headline efficiency, and the AUC, over the number of labelled events."""
    path, task = inputs.one("metrics_table"), inputs.task
    table = _of_task(
        path, read_table(path, ["task", "method", "mode", "labels", "metric", "value", "error"]), task
    )
    efficiency = headline_efficiency(block.evaluate.efficiencies)
    metrics = {rejection_name(efficiency): "rejection", "auc": "AUC"}
    figure = style.new_figure(9.2, 4.8, header)
    axes = figure.subplots(1, 2)
    shown = [table.head(0)]
    methods, looks = compared(block.runs), style.looks(block.runs)
    for metric, ax in zip(metrics, axes, strict=True):
        for index, method in enumerate(methods):
            points = _of_method(table[table["metric"] == metric], method).sort_values("labels")
            if len(points):
                colour, marker, line = style.look(method, looks)
                x = points["labels"] * 1.03 ** (index - 0.5 * (len(methods) - 1))
                name = method_label(method) + mark_of(points)
                ax.errorbar(x, points["value"], points["error"], color=colour, marker=marker, ls=line, label=name)
                shown.append(points)
        ax.set(xlabel="Labelled hard events", xscale="log")
        counts = sorted(table["labels"].unique())
        ax.set_xticks(counts, [f"{count:,}" for count in counts])
        ax.set_xticks([], minor=True)
    background, signal = _label(block, task, "background"), _label(block, task, "signal")
    axes[0].set(ylabel=f"{background} rejection at {efficiency:.0%} {signal} efficiency", yscale="log")
    axes[0].yaxis.set_major_formatter(LogFormatter())
    axes[0].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))  # gives plain numbers
    axes[0].set_ylim(bottom=max(0.8, axes[0].get_ylim()[0]))
    axes[1].set_ylabel("AUC")
    style.legend_below(figure, axes[1])
    return Drawing(figure, pd.concat(shown, ignore_index=True))


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
    return block.labels[getattr(block.tasks[task], role)]
