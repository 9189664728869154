"""Draw the figures of tables: robustness, ablations, and quality of the latents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.evaluate.marks import SIGNS, mark_of
from rs3l.evaluate.names import (
    headline_efficiency,
    method_label,
    methods_of,
    rejection_name,
    robust,
    short_label,
    with_panels,
)
from rs3l.evaluate.tables import rows_where
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.plot_data import FEWEST_JETS
from rs3l.figures.plot_results import most_labels, read_table
from rs3l.figures.style import Drawing, Header

EFFICIENCY = 0.7
"""The changes of the mistag rate are shown at the signal efficiency of the table that is nearest to this one."""

_ROBUSTNESS = ["task", "method", "mode", "variant", "use", "class", "quantity", "efficiency", "value", "error"]
_CHANGE = ["method", "mode", "variant", "efficiency", "change", "error", "n_runs", "background_passing"]
_METRICS = ["task", "method", "mode", "labels", "metric", "value", "error"]
OBSERVABLES = {
    "jet_mass": "mass",
    "jet_msd": "soft-drop mass",
    "jet_n2": "N₂",
    "jet_n_constituents": "multiplicity",
    "jet_tau21": "τ₂₁",
    "log jet_pt": "log pT",
}
"""Names of observables for people."""

_SPACES = {"h": "representation h", "z": "latents z (open)"}
_LATENTS = ["method", "space", "quantity", "subject", "value", "error"]


def robustness(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the Wasserstein distance of the score and the change of the mistag rate, relative to the nominal."""
    path, task = inputs.one("robustness_table"), inputs.task
    table = _of_task(path, task, "background_passing")
    efficiencies = table["efficiency"].dropna().unique()
    efficiency = min(efficiencies, key=lambda x: abs(x - EFFICIENCY))
    signal, background = (block.labels[getattr(block.tasks[task], role)] for role in ("signal", "background"))
    at = f"{background} mistag rate at {efficiency:.0%} {signal} efficiency: change"
    panels = {
        ("wasserstein", "signal"): f"{signal}: Wasserstein distance of the score",
        ("wasserstein", "background"): f"{background}: Wasserstein distance of the score",
        ("fpr_change_own", "background"): f"{at},\nthreshold of each variant",
        ("fpr_change_fixed", "background"): f"{at},\nthreshold of the nominal",
    }
    uses = {str(row["variant"]): str(row["use"]) for row in table[["variant", "use"]].to_dict("records")}
    variants = [name for name in block.variants if name in uses]
    figure = style.new_figure(10.4, 2.4 + 0.8 * len(variants), header)
    axes = figure.subplots(2, 2, sharey=True)
    shown = []
    for (quantity, kind), ax in zip(panels, axes.flat, strict=True):
        chosen = table[(table["quantity"] == quantity) & (table["class"] == kind)]
        if quantity != "wasserstein":
            enough = chosen["background_passing"] >= FEWEST_JETS
            chosen = chosen[(chosen["efficiency"] == efficiency) & enough]
            ax.axvline(0.0, color=style.INK, lw=0.8)
        shown.append(_methods(ax, chosen, variants, block.runs))
        ax.set_xlabel(panels[quantity, kind], size=9.5)
        ax.locator_params(axis="x", nbins=7)
        if shown[-1].empty:
            style.note(ax, f"fewer than {FEWEST_JETS} background jets pass")
    _rows(axes[0, 0], [f"{name} (held out)" if uses[name] == "held_out" else name for name in variants])
    style.legend_below(figure, axes[0, 0])
    return Drawing(figure, pd.concat(shown, ignore_index=True))


def _of_task(path: str | Path, task: str, *columns: str) -> pd.DataFrame:
    """Return the lines of a task in the table of robustness."""
    table = read_table(path, [*_ROBUSTNESS, *columns])
    table = table[table["task"] == task]
    if table.empty:
        raise DataError(f"{path}: no lines of task {task!r}; make the table again")
    return table


def mistag_change(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the relative change of the false-positive rate under each variant, at the variant's own threshold."""
    path, task = inputs.one("robustness_table"), inputs.task
    table = _of_task(path, task, "n_runs", "background_passing")
    table = table[table["quantity"] == "fpr_change_own"].rename(columns={"value": "change"})
    table = table[[*_CHANGE, *(column for column in SIGNS if column in table)]]
    methods = dict.fromkeys(zip(table["method"], table["mode"], strict=True))
    panels = [method for method in with_panels(block.runs) if method in methods]
    if not panels:
        known = ", ".join(dict(with_panels(block.runs)))
        raise DataError(f"{path}: no method that is shown: {known}; make the table again")
    variants = [name for name in block.variants if name != "nominal"]
    figure = style.new_figure(max(6.0, 2.1 * len(panels) + 0.7), 4.2, header)
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    shown = []
    for method, ax in zip(panels, axes, strict=True):
        points = table[(table["method"] == method[0]) & (table["mode"] == method[1])]
        _changes(ax, points, variants)
        ax.set_title(method_label(method) + mark_of(points), loc="left", size=8.5)
        ax.set_xlabel(f"{block.labels[block.tasks[task].signal]} efficiency")
        shown.append(points)
    axes[0].set_ylabel(f"{block.labels[block.tasks[task].background]} mistag rate: variant / nominal − 1")
    style.legend_below(figure, axes[0])
    return Drawing(figure, pd.concat(shown, ignore_index=True))


def _changes(ax: Axes, points: pd.DataFrame, variants: Sequence[str]) -> None:
    """Draw the changes of one method over the signal efficiency, with the variants side by side."""
    efficiencies = np.sort(points["efficiency"].unique())
    step = float(np.diff(efficiencies).min()) if len(efficiencies) > 1 else 0.1
    ax.axhline(0.0, color=style.INK, lw=0.8)
    enough = points[points["background_passing"] >= FEWEST_JETS]
    looks = style.variants(variants)
    for v, variant in enumerate(variants):
        chosen = enough[enough["variant"] == variant]
        x = chosen["efficiency"] + 0.7 * step * ((v + 0.5) / len(variants) - 0.5)
        marker, colour = style.MARKERS[v % 8], looks[variant][0]
        ax.errorbar(x, chosen["change"], chosen["error"], fmt=marker, color=colour, ms=4, label=variant)
    if enough.empty:
        style.note(ax, f"fewer than {FEWEST_JETS} background jets pass")
    ax.set(xticks=efficiencies, xlim=(efficiencies[0] - 0.6 * step, efficiencies[-1] + 0.6 * step))
    ax.tick_params(axis="x", which="minor", bottom=False, top=False)


def _methods(ax: Axes, table: pd.DataFrame, variants: Sequence[str], runs: Sequence[str]) -> pd.DataFrame:
    """Draw a point per method and variant, and return what is shown."""
    parts = [table.head(0)]
    methods, looks = robust(runs), style.looks(runs)
    step = min(0.12, 0.84 / len(methods))
    for index, method in enumerate(methods):
        points = table[(table["method"] == method[0]) & (table["mode"] == method[1])]
        points = points[points["variant"].isin(variants)]
        if points.empty:
            continue
        colour, marker, _ = style.look(method, looks)
        y = _places(points["variant"], variants) + step * (index - 0.5 * (len(methods) - 1))
        x, error = points["value"], points["error"]
        label = method_label(method) + mark_of(points)
        ax.errorbar(x, y, xerr=error, fmt=marker, color=colour, ms=4.5, label=label)
        parts.append(points)
    return pd.concat(parts, ignore_index=True)


def _places(names: Iterable[str], order: Sequence[str]) -> NDArray[np.float64]:
    """Return the row of each of ``names``."""
    return np.array([order.index(name) for name in names], dtype=np.float64)


def _rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure of points, from the top."""
    ax.set_yticks(range(len(names)), [style.text(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    for panel in ax.get_shared_y_axes().get_siblings(ax):
        for y in np.arange(0.5, len(names) - 1):
            panel.axhline(y, color=style.GREY, lw=0.4)


def ablations(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the rejection at the headline efficiency of every pre-training and mode, at the most labels."""
    path = inputs.one("ablations_table")
    table = read_table(path, _METRICS)
    efficiency = headline_efficiency(block.evaluate.efficiencies)
    metric = rejection_name(efficiency)
    table = most_labels(table[table["metric"] == metric])
    tasks = [task for task in block.tasks if task in set(table["task"])]
    if not tasks:
        raise DataError(f"{path}: no {metric} of any task; make the table again")
    groups = sorted(set(zip(table["mode"], table["method"], strict=True)))
    own = methods_of(block.runs)[0]
    names = [
        method_label((method, mode)) + mark_of(rows_where(table, {"method": method, "mode": mode}))
        for mode, method in groups
    ]
    figure = style.new_figure(3.6 * len(tasks) + 2.6, 1.6 + 0.3 * len(groups), header)
    axes = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for task, ax in zip(tasks, axes, strict=True):
        for y, (mode, method) in enumerate(groups):
            chosen = (table["task"] == task) & (table["mode"] == mode) & (table["method"] == method)
            for row in table[chosen].itertuples():
                colour = style.BLUE if method == own else style.INK
                ax.errorbar(row.value, y, xerr=row.error, fmt="o", color=colour)
        most = table.loc[table["task"] == task, "labels"].max()
        style.panel_title(ax, f"{task}, {most:,} labels")
        ax.set_xlabel(f"{block.labels[block.tasks[task].background]} rejection at {efficiency:.0%}")
    _rows(axes[0], names)
    return Drawing(figure, table)


def latent_quality(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the event retrieval, linear fits, jet type and effective rank for h and z of each method."""
    path = inputs.one("latents_table")
    table = read_table(path, _LATENTS)
    titles = {
        "retrieval": "Nearest view is of the same event (fraction)",
        "r2": "$R^2$ of a linear fit to the jet's …",
        "type_accuracy": "Jet type found (balanced accuracy)",
        "effective_rank": "Effective number of dimensions (RankMe)",
    }
    quantities = [name for name in titles if name in set(table["quantity"])]
    if not quantities:
        raise DataError(f"{path}: no known quantity; make the table again")
    figure = style.new_figure(10.4, 6.4, header)
    axes = list(figure.subplots(2, 2, height_ratios=(2, 1)).flat)
    order = {name: place for place, name in enumerate(methods_of(block.runs))}
    spaces = sorted(
        dict.fromkeys(zip(table["method"], table["space"], strict=True)),
        key=lambda pair: (order.get(pair[0], len(order)), pair[1]),
    )
    looks = style.looks([f"{method}_s0" for method, _ in spaces])
    for quantity, ax in zip(quantities, axes, strict=False):
        chosen = table[table["quantity"] == quantity].fillna({"subject": ""})
        present = list(dict.fromkeys(chosen["subject"]))
        subjects = [name for name in block.variants if name in present] or present
        for index, (method, space) in enumerate(spaces):
            points = chosen[(chosen["method"] == method) & (chosen["space"] == space)]
            y = _places(points["subject"], subjects) + 0.6 * ((index + 0.5) / len(spaces) - 0.5)
            colour, marker, _ = style.look((method, "probe_h"), looks)
            sign = mark_of(rows_where(table, {"method": method}))
            ax.errorbar(
                points["value"], y, xerr=points["error"], fmt=marker, ms=5.5, color=colour,
                mfc=colour if space == "h" else style.PAPER,
                label=style.text(f"{short_label(method)}, {_SPACES.get(space, space)}") + sign,
            )  # fmt: skip
            if len(subjects) == 1:
                _beside(ax, points, y, style.text(f"{short_label(method)}, {space}") + sign, colour)
        _rows(ax, [OBSERVABLES.get(name, name) for name in subjects] if len(subjects) > 1 else [""])
        ax.set_xlabel(titles[quantity])
        if len(subjects) == 1:
            ax.set_yticks([])
            ax.margins(x=0.12)
            ax.locator_params(axis="x", nbins=5)
    for ax in axes[len(quantities) :]:
        ax.set_visible(False)
    style.legend_below(figure, axes[0])
    return Drawing(figure, table)


def _beside(ax: Axes, points: pd.DataFrame, y: NDArray[np.float64], text: str, colour: str) -> None:
    """Name a point beside it."""
    for x, height in zip(points["value"], y, strict=True):
        ax.annotate(text, (x, height), (0, 5), textcoords="offset points", size=8, color=colour, ha="center")
