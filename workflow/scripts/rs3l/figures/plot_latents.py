"""Draw the figures of the latent space: one feature under every variant, all pairs of features, and cosines.

In the shapes, D counts the dimensions of z.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.evaluate.marks import counts_of, mark_of
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Accumulator, add_views
from rs3l.figures.plot_data import draw_shapes, shape_points
from rs3l.figures.plot_results import read_latents, read_table
from rs3l.figures.style import Drawing, Header
from rs3l.pretrain.similarity import MEANS, VIEWS
from rs3l.runs import Run
from rs3l.types import Floats64

CORNER = 8
"""The corner plot shows at most this many dimensions, which are the first ones."""

_CORNER_JETS = 400
"""A panel of the corner plot has this many dots of each process."""


def latent_feature(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the feature of z that varies most, of each process under every variant, with ratios to the nominal."""
    jets, z = read_latents(inputs.all("first_latents"))
    feature = int(z.std(axis=0).argmax())
    low, high = (float(x) for x in np.quantile(z[:, feature], (0.002, 0.998)))
    edges = np.linspace(low, high, 26)
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    figure = style.new_figure(3.4 * len(block.labels) + 0.6, 4.8, header)
    axes = figure.subplots(2, len(block.labels), sharex=True, sharey="row", squeeze=False, height_ratios=(2.4, 1))
    points = []
    for (process, label), (top, bottom) in zip(block.labels.items(), axes.T, strict=True):
        chosen = (jets["process"] == process).to_numpy()
        sums = Accumulator(len(variants), edges)
        frame = jets[chosen]
        ids, names = frame["event_id"].to_numpy(), frame["variant"].to_numpy().astype(str)
        add_views(sums, ids, names, variants, z[chosen, feature], np.ones(len(frame)))
        draw_shapes(top, bottom, sums.shapes(), variants)
        style.panel_title(top, f"{label} jets")
        bottom.set_xlabel(f"Latent $z_{{{feature + 1}}}$")
        points.append(shape_points(sums.shapes(), variants).assign(process=process, feature=feature + 1))
    axes[0, 0].set(ylabel="Fraction of jets per bin")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[1, 0].set(ylabel="Ratio", ylim=(0.5, 1.5))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8)
    return Drawing(figure, pd.concat(points, ignore_index=True))


def latent_corner(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw all features of z against each other, for nominal test jets, with Pearson's r of each process."""
    jets, z = read_latents(inputs.all("first_latents"))
    nominal = (jets["variant"] == "nominal").to_numpy()
    found = {p: z[nominal & (jets["process"] == p).to_numpy()] for p in block.labels}
    found = {p: values for p, values in found.items() if len(values) > 3}
    d = min(z.shape[1], CORNER)
    width, height = 1.15 * d + 1.0, 1.15 * d + 1.4
    figure = style.new_figure(width, height, header)
    figure.set_layout_engine(None)  # it would leave room for labels, which inner panels do not have
    figure.subplots_adjust(0.6 / width, 0.8 / height, 1 - 0.15 / width, 1 - 0.4 / height, 0.06, 0.06)
    axes = figure.subplots(d, d, squeeze=False)
    for (i, j), ax in np.ndenumerate(axes):
        _corner_panel(ax, found, j, i, (i == d - 1, j == 0))
    handles = [axes[0, 0].plot([], [], color=_colour(k), lw=3)[0] for k in range(len(found))]
    figure.legend(handles, [block.labels[p] for p in found], loc="lower center", ncols=8)
    return Drawing(figure, correlations(found, d))


def correlations(found: dict[str, Floats64], d: int) -> pd.DataFrame:
    """Return Pearson's r of each pair of features of each process, with (1 - r^2) / sqrt(n - 3) as its error."""
    rows = []
    for process, z in found.items():
        r = np.asarray(np.corrcoef(z[:, :d].T))
        for i, j in combinations(range(d), 2):
            error = (1.0 - r[i, j] ** 2) / np.sqrt(len(z) - 3)
            rows.append((process, i + 1, j + 1, r[i, j], error, len(z)))
    return pd.DataFrame(rows, columns=["process", "first", "second", "pearson_r", "error", "jets"])


def _corner_panel(ax: Axes, found: dict[str, Floats64], x: int, y: int, edge: tuple[bool, bool]) -> None:
    bottom, left = edge
    ax.tick_params(which="both", labelbottom=bottom, labelleft=left and y > 0, labelsize=6)
    ax.minorticks_off()
    if x > y:
        _correlation_text(ax, found, x, y)
        return
    for index, z in enumerate(found.values()):
        if x == y:
            ax.hist(z[:, x], bins=20, range=(-1, 1), density=True, histtype="step", color=_colour(index), lw=1.0)
        else:
            dots = z[:_CORNER_JETS]
            ax.scatter(dots[:, x], dots[:, y], s=1.5, color=_colour(index), alpha=0.5, lw=0, rasterized=True)
    ax.set(xlim=(-1, 1), xticks=(-0.5, 0.5))
    if x == y:
        ax.set_yticks([])
    else:
        ax.set(ylim=(-1, 1), yticks=(-0.5, 0.5))
    ax.set_xlabel(f"$z_{{{x + 1}}}$" if bottom else "", size=9)
    ax.set_ylabel(f"$z_{{{y + 1}}}$" if left else "", size=9)


def _correlation_text(ax: Axes, found: dict[str, Floats64], x: int, y: int) -> None:
    ax.axis("off")
    for index, z in enumerate(found.values()):
        r = np.corrcoef(z[:, x], z[:, y])[0, 1]
        height = 0.5 + 0.2 * (0.5 * (len(found) - 1) - index)
        ax.text(
            0.5,
            height,
            f"{r:+.2f}",
            transform=ax.transAxes,
            color=_colour(index),
            size=8.5,
            ha="center",
            va="center",
        )


def _colour(index: int) -> str:
    return (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.BLACK, style.ORANGE)[index % 6]


def similarity(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the cosines of validation latents after each epoch, of the class means and of the views of an event."""
    paths = inputs.all("training")
    tables = {str(Run.of_file(path)): read_table(path, ["epoch"]) for path in paths}
    figure = style.new_figure(9.6, 4.4, header)
    axes = figure.subplots(1, 2)
    points = []
    for index, (run, table) in enumerate(tables.items()):
        columns = [name for name in table.columns if name.startswith((MEANS, VIEWS))]
        if not columns:
            raise DataError(f"{paths[index]}: no column {VIEWS}…; repeat the pre-training")
        for ax, prefix in zip(axes, (MEANS, VIEWS), strict=True):
            for k, name in enumerate(column for column in columns if column.startswith(prefix)):
                classes = [block.labels.get(p, style.text(p)) for p in name.removeprefix(prefix).split(":")]
                label = f"{style.text(run)}{mark_of(table.tail(1))}: {' and '.join(classes)}"
                ax.plot(table["epoch"], table[name], color=_colour(k), ls=style.LINES[index % 4], label=label)
        collapsed = {"collapsed": 1} if counts_of(table.tail(1))["collapsed"] else {}
        cosines = table[["epoch", *columns]].melt("epoch", var_name="what", value_name="cosine")
        points.append(cosines.assign(run=run, **collapsed))
    axes[0].set(xlabel="Epoch", ylabel="Cosine of the mean latents of two classes")
    axes[1].set(xlabel="Epoch", ylabel="Mean cosine of two views of one event")
    for ax in axes:
        ax.legend(fontsize=7.5)
        ax.set_ylim(-1.05, 1.05)
        ax.axhline(0.0, color=style.GREY, lw=0.6)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return Drawing(figure, pd.concat(points, ignore_index=True))
