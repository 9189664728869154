"""Draw the figures of the latent space: a plane, a feature under every variant, all pairs of features, cosines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.evaluate.marks import counts_of, mark_of
from rs3l.evaluate.names import short_label
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Accumulator, Shapes, add_views
from rs3l.figures.latents import (
    Corner,
    Moments,
    Plane,
    Widest,
    by_run,
    intact_latents,
    latents,
    widest_feature,
)
from rs3l.figures.plot_data import draw_shapes, shape_points
from rs3l.figures.plot_results import is_collapsed, read_table
from rs3l.figures.style import Drawing, Header
from rs3l.pretrain.similarity import MEANS, VIEWS
from rs3l.runs import Run

_FEATURE_BINS = 14
"""The figure of the feature that varies most has this many bins."""

CORNER = 8
"""The correlations are those of at most this many dimensions, which are the first ones."""

_PICTURED = 4
"""The corner plot shows this many of them, which are those that vary most."""

_CORNER_JETS = 400
"""A panel of the corner plot has this many dots of each process."""

_CORNER_BINS = 20
"""A panel on the diagonal of the corner plot has this many bins."""

_CORNER_LETTERS = 18
"""Longer texts in the corner plot are smaller."""

_OUTSIDE = 0.002
"""The axis of the feature that varies most leaves out this fraction of the jets at either end."""

_LATENT_JETS = 600
"""The latent figure shows this many jets of each process."""

_LATENT_EVENTS = 3
"""The latent figure joins the views of this many hard events of each process."""

ColourAndLabel = tuple[str, str]


def latent(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the first two principal components of z (on the unit sphere) of test jets, with a panel per run."""
    runs = by_run(inputs.all("latents"))
    figure = style.new_figure(4.2 * len(runs) + 0.4, 4.6, header)
    axes = figure.subplots(1, len(runs), squeeze=False)[0]
    points = []
    for (run, paths), ax in zip(runs.items(), axes, strict=True):
        plane = Plane(list(block.labels), _LATENT_JETS, _LATENT_EVENTS)
        for jets, z in latents(intact_latents(paths)):
            plane.add(jets, z)
        table, fractions = plane.components()
        _draw_latent(ax, table, block.labels)
        ax.set_xlabel(f"Component 1 ({fractions[0]:.0%} of the variance)")
        ax.set_ylabel(f"Component 2 ({fractions[1]:.0%})")
        table = table.assign(run=run, **({"collapsed": 1} if any(map(is_collapsed, paths)) else {}))
        ax.locator_params(nbins=5)
        style.panel_title(
            ax, style.text(f"{short_label(Run.parse(run).method)}, seed {Run.parse(run).seed}") + mark_of(table)
        )
        points.append(table)
    handles, labels = axes[-1].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=8, markerscale=3.0)
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1.0)
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _draw_latent(ax: Axes, table: pd.DataFrame, labels: dict[str, str]) -> None:
    looks = style.processes(labels)
    for process, label in labels.items():
        colour, _ = looks[process]
        chosen = table[table["process"] == process]
        cloud, joined = chosen[~chosen["joined"]], chosen[chosen["joined"]]
        ax.scatter(
            cloud["first"], cloud["second"], s=4, color=colour, alpha=0.45, lw=0, label=label, rasterized=True
        )
        for _, event in joined.groupby("event_id", sort=True):
            ax.plot(
                event["first"],
                event["second"],
                "-o",
                color=style.INK,
                mfc=colour,
                mew=0.7,
                ms=5,
                lw=0.9,
                zorder=3,
            )


def latent_feature(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the feature of z that varies most, of each process under every variant, with ratios to the nominal."""
    paths = intact_latents(inputs.all("first_latents"))
    widest = widest_feature(paths, _OUTSIDE)
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    found = _feature_shapes(paths, widest, list(block.labels), variants)
    figure = style.new_figure(3.4 * len(block.labels) + 0.6, 4.8, header)
    axes = figure.subplots(2, len(block.labels), sharex=True, sharey="row", squeeze=False, height_ratios=(2.4, 1))
    points = []
    for (process, label), (top, bottom) in zip(block.labels.items(), axes.T, strict=True):
        draw_shapes(top, bottom, found[process], variants)
        style.panel_title(top, f"{label} jets")
        bottom.set_xlabel(f"Latent $z_{{{widest.feature + 1}}}$")
        points.append(shape_points(found[process], variants).assign(process=process, feature=widest.feature + 1))
    axes[0, 0].set(ylabel="Fraction of jets per bin")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[1, 0].set(ylabel="Ratio", ylim=(0.5, 1.5))
    style.legend_below(figure, axes[0, 0])
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _feature_shapes(
    paths: Sequence[Path], widest: Widest, processes: Sequence[str], variants: Sequence[str]
) -> dict[str, Shapes]:
    """Return the histograms of a feature of each process."""
    edges = np.linspace(widest.low, widest.high, _FEATURE_BINS + 1)
    sums = {process: Accumulator(len(variants), edges) for process in processes}
    for jets, z in latents(paths):
        for process, result in sums.items():
            own = (jets["process"] == process).to_numpy()
            ids, names = jets["event_id"].to_numpy()[own], jets["variant"].to_numpy()[own].astype(str)
            add_views(result, ids, names, variants, z[own, widest.feature], np.ones(int(own.sum())))
    return {process: result.shapes() for process, result in sums.items()}


def latent_corner(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw all features of z against each other, for nominal test jets, with Pearson's r of each process."""
    found = _corners(intact_latents(inputs.all("first_latents")), list(block.labels))
    shown = widest_features([corner.moments for corner in found.values()], _PICTURED)
    d = max(len(shown), 1)
    figure = style.new_figure(1.9 * d + 0.8, 1.8 * d + 1.2, header)
    axes = figure.subplots(d, d, squeeze=False)
    looks = style.processes(block.labels)
    corners = {(looks[process][0], block.labels[process]): corner for process, corner in found.items()}
    for (i, j), ax in np.ndenumerate(axes):
        if shown:
            _corner_panel(ax, corners, shown[j], shown[i], (i == d - 1, j == 0))
    return Drawing(figure, correlations({process: corner.moments for process, corner in found.items()}))


def widest_features(found: Sequence[Moments], most: int) -> list[int]:
    """Return the features that vary most over the jets of all processes, in the order of z."""
    if not found:
        return []
    jets = sum(moments.count for moments in found)
    mean = sum(moments.count * moments.mean for moments in found) / jets
    squares = sum(m.count * (np.diag(m.covariance) + (m.mean - mean) ** 2) for m in found)
    return sorted(int(feature) for feature in np.argsort(-np.asarray(squares), kind="stable")[:most])


def _corners(paths: Sequence[Path], processes: Sequence[str]) -> dict[str, Corner]:
    """Return what is shown of each process that has more than three nominal jets."""
    found: dict[str, Corner] = {}
    for jets, z in latents(paths):
        nominal = (jets["variant"] == "nominal").to_numpy()
        for process in processes:
            corner = found.setdefault(process, Corner(min(z.shape[1], CORNER), _CORNER_BINS, _CORNER_JETS))
            corner.add(z[nominal & (jets["process"] == process).to_numpy()])
    return {process: corner for process, corner in found.items() if corner.moments.count > 3}


def correlations(found: Mapping[str, Moments]) -> pd.DataFrame:
    """Return Pearson's r of each pair of features of each process, with (1 - r^2) / sqrt(n - 3) as its error."""
    rows = []
    for process, moments in found.items():
        r = moments.correlation
        for i, j in combinations(range(len(r)), 2):
            error = (1.0 - r[i, j] ** 2) / np.sqrt(moments.count - 3)
            rows.append((process, i + 1, j + 1, r[i, j], error, moments.count))
    return pd.DataFrame(rows, columns=["process", "first", "second", "pearson_r", "error", "jets"])


def _corner_panel(
    ax: Axes, found: Mapping[ColourAndLabel, Corner], x: int, y: int, edge: tuple[bool, bool]
) -> None:
    """Draw two features against each other, or one feature's distribution.

    ``found`` has the corner of each process by colour and label.
    """
    bottom, left = edge
    ax.tick_params(labelbottom=bottom, labelleft=left and y > x, labelsize=8)
    if x > y:
        _correlation_text(ax, found, x, y)
        return
    for (colour, _), corner in found.items():
        if x == y:
            density = corner.counts[x] / max(1, corner.counts[x].sum())
            ax.stairs(density, corner.edges, color=colour, lw=1.3)
        else:
            dots = corner.dots
            ax.scatter(dots[:, x], dots[:, y], s=4, color=colour, alpha=0.5, lw=0, rasterized=True)
    ax.set(xlim=(-1, 1), xticks=(-0.5, 0.5))
    if x == y:
        ax.set(yticks=[], ylim=(0.0, None))
    else:
        ax.set(ylim=(-1, 1), yticks=(-0.5, 0.5))
    ax.set_xlabel(f"$z_{{{x + 1}}}$" if bottom else "")
    ax.set_ylabel(f"$z_{{{y + 1}}}$" if left else "")


def _correlation_text(ax: Axes, found: Mapping[ColourAndLabel, Corner], x: int, y: int) -> None:
    ax.axis("off")
    for index, ((colour, label), corner) in enumerate(found.items()):
        height = 0.5 + 0.2 * (0.5 * (len(found) - 1) - index)
        text = f"{label}: r = {corner.moments.correlation[x, y]:+.2f}".replace("-", "−")
        size = min(10.0, max(style.SMALLEST, 10.0 * _CORNER_LETTERS / len(text)))
        shown = ax.text(
            0.5, height, text, transform=ax.transAxes, color=colour, size=size, ha="center", va="center"
        )
        shown.set_in_layout(False)  # a long label takes no room from the panels


def similarity(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the cosines of validation latents after each epoch, of the class means and of the views of an event."""
    paths = inputs.all("training")
    tables = {str(Run.of_file(path)): read_table(path, ["epoch"]) for path in paths}
    methods = list(dict.fromkeys(Run.parse(run).method for run in tables))
    figure = style.new_figure(max(6.5, 3.6 * len(methods) + 0.6), 6.0, header)
    axes = figure.subplots(2, len(methods), sharex=True, sharey="row", squeeze=False)
    points = []
    ends: dict[Axes, dict[str, style.End]] = {}
    for run, table in tables.items():
        columns = [name for name in table.columns if name.startswith((MEANS, VIEWS))]
        if not columns:
            raise DataError(f"{paths[0].parent.parent / run}: no column {VIEWS}…; repeat the pre-training")
        column = list(axes[:, methods.index(Run.parse(run).method)])
        for ax, found in zip(column, _cosines(column, table, columns, block.labels), strict=True):
            ends.setdefault(ax, {}).update(found)
        collapsed = {"collapsed": 1} if counts_of(table.tail(1))["collapsed"] else {}
        cosines = table[["epoch", *columns]].melt("epoch", var_name="what", value_name="cosine")
        points.append(cosines.assign(run=run, **collapsed))
    for method, (top, bottom) in zip(methods, axes.T, strict=True):
        lasts = [table.tail(1) for run, table in tables.items() if Run.parse(run).method == method]
        style.panel_title(top, style.text(short_label(method)) + mark_of(pd.concat(lasts)))
        bottom.set_xlabel("Epoch")
        bottom.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylim(min(0.0, axes[0, 0].get_ylim()[0]), 1.03)
    axes[1, 0].set_ylim(-1.05, 1.05)
    axes[0, 0].set_ylabel("Cosine: views of one event")
    axes[1, 0].set_ylabel("Cosine: two processes")
    for ax, found in ends.items():
        style.end_labels(ax, list(found.values()), 2.2)
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _cosines(
    axes: Sequence[Axes], table: pd.DataFrame, columns: Sequence[str], labels: Mapping[str, str]
) -> list[dict[str, style.End]]:
    """Draw the cosines of one run: of the views of an event above, of the means of two processes below.

    Return the end of each line, by panel and name.
    """
    looks, last = style.processes(labels), float(table["epoch"].max())
    ends: list[dict[str, style.End]] = []
    for ax, prefix in zip(axes, (VIEWS, MEANS), strict=True):
        found = {}
        for k, name in enumerate(column for column in columns if column.startswith(prefix)):
            classes = name.removeprefix(prefix).split(":")
            colour = looks.get(classes[0], (style.GREY, ""))[0] if prefix == VIEWS else style.INK
            line = style.LINES[k % len(style.LINES)]
            label = " and ".join(labels.get(p, style.text(p)) for p in classes)
            ax.plot(table["epoch"], table[name], color=colour, ls=line, lw=1.2)
            if np.isfinite(table[name].iloc[-1]):
                found[label] = style.End(last, float(table[name].iloc[-1]), label, colour)
        ax.axhline(0.0, color=style.GREY, lw=0.6)
        ends.append(found)
    return ends
