"""Draw the figures of the jets, which show six quantities by jet type, and under every variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from rs3l.config.blocks import FiguresBlock
from rs3l.config.jets import Jets
from rs3l.dataset.event_rows import whole_events
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Accumulator, Shapes, fill_all, process_files
from rs3l.figures.plot_data import FEWEST_JETS, draw_shapes, shape_points
from rs3l.figures.style import Drawing, Header
from rs3l.types import Floats64

TITLES = {
    "jet_pt": "Jet $p_T$ [GeV]",
    "jet_eta": r"Jet $\eta$",
    "jet_phi": r"Jet $\phi$",
    "jet_energy": "Jet energy [GeV]",
    "jet_msd": r"Jet $m_{\mathrm{SD}}$ [GeV]",
    "jet_n2": "Jet $N_2$",
}
"""The columns that are shown, and the titles of their axes."""

_SMALLEST_N2 = 1e-6
"""Jets of fewer than three candidates, whose N2 is 0, are left out of its bins."""

_TYPES = 4
"""The most frequent types of each process are shown."""

_TYPE_LOOKS = ((style.BLUE, "-"), (style.VERMILION, "--"), (style.GREEN, "-."), (style.GREY, ":"))

_FALLING = ("jet_pt", "jet_energy", "jet_msd")
"""These quantities have a logarithmic axis."""


def bins(jets: Jets) -> dict[str, Floats64]:
    """Return the edges of the histograms, which cover the range of the selection and the tails."""
    return {
        "jet_pt": np.linspace(jets.pt_min, 2.5 * jets.pt_min, 13),
        "jet_eta": np.linspace(-jets.eta_max, jets.eta_max, 13),
        "jet_phi": np.linspace(-np.pi, np.pi, 13),
        "jet_energy": np.linspace(jets.pt_min, 6.0 * jets.pt_min, 13),
        "jet_msd": np.linspace(0.0, 240.0, 13),
        "jet_n2": np.linspace(_SMALLEST_N2, 0.5, 13),
    }


def jet_types(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw six quantities of the nominal jets of each process, with a line per jet type."""
    edges = bins(block.jets)
    found = {
        (process, kind): shapes
        for process in block.labels
        for kind, shapes in _by_type(process_files(inputs.manifest, process), edges).items()
    }
    n = len(block.labels)
    figure = style.new_figure(12.0, 0.6 + 2.0 * n, header)
    axes = figure.subplots(n, len(TITLES), sharex="col", squeeze=False)
    looks = style.processes(block.labels)
    for process, row in zip(block.labels, axes, strict=True):
        types = {kind: shapes for (own, kind), shapes in found.items() if own == process}
        several = _draw_types(row, types, looks[process][0])
        style.panel_title(row[0], f"{block.labels[process]} jets{', by type' if several else ''}")
        row[0].set_ylabel("Fraction of jets")
    for column, ax in zip(TITLES, axes[-1], strict=True):
        ax.set_xlabel(TITLES[column])
    points = [
        shape_points(shapes[column], ["nominal"]).assign(process=process, jet_type=kind, quantity=column)
        for (process, kind), shapes in found.items()
        for column in TITLES
    ]
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _by_type(paths: Iterable[Path], edges: Mapping[str, Floats64]) -> dict[str, dict[str, Shapes]]:
    """Return the histograms of the nominal jets of each jet type, the most frequent type first."""
    found: dict[str, dict[str, Accumulator]] = {}
    counts: dict[str, int] = {}
    for table in whole_events(paths, ["event_id", "variant", "jet_type", "weight", *edges]):
        frame = table.filter(pc.equal(table["variant"], "nominal")).to_pandas()
        for kind, jets in frame.groupby("jet_type"):
            name = str(kind)
            sums = found.setdefault(name, {column: Accumulator(1, b) for column, b in edges.items()})
            counts[name] = counts.get(name, 0) + len(jets)
            for column, result in sums.items():
                result.add(jets[column].to_numpy(dtype=np.float64)[None], jets["weight"].to_numpy())
    order = sorted(found, key=lambda name: (-counts[name], name))
    return {name: {column: sums.shapes() for column, sums in found[name].items()} for name in order}


def _draw_types(row: Sequence[Axes], found: Mapping[str, Mapping[str, Shapes]], colour: str) -> bool:
    """Draw the quantities of one process side by side, each with its most frequent types.

    Return whether there are several; a single one has the ``colour`` of its process, and needs no name.
    """
    shown = [kind for kind, shapes in found.items() if shapes["jet_pt"].jets.sum() >= FEWEST_JETS][:_TYPES]
    looks = _TYPE_LOOKS if len(shown) > 1 else ((colour, "-"),)
    for column, ax in zip(TITLES, row, strict=True):
        for (ink, line), kind in zip(looks, shown, strict=False):
            shapes = found[kind][column]
            fraction = np.where(shapes.jets[0] >= FEWEST_JETS, shapes.fraction[0], np.nan)
            style.band(ax, shapes.edges, fraction, shapes.error[0], ink)
            ax.stairs(fraction, shapes.edges, baseline=None, color=ink, ls=line, lw=1.5, label=type_name(kind))
        _scale(ax, column, [found[kind][column] for kind in shown])
        _say_if_empty(ax, [found[kind][column] for kind in shown])
        ax.tick_params(labelsize=8.5)
    if len(shown) > 1:
        key = row[1].legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=_TYPES, borderpad=0.0, borderaxespad=0.3,
            fontsize=9, handlelength=2.2,
        )  # fmt: skip
        key.set_in_layout(False)  # it has the height of the title beside it
    return len(shown) > 1


def type_name(kind: str) -> str:
    """Return a jet type as figures show it, with an arrow for the first splitting of a gluon."""
    return style.text(f"g → {kind[2:]}" if kind.startswith("g_") else kind)


def _scale(ax: Axes, column: str, shapes: Sequence[Shapes]) -> None:
    """Make the axis of a falling quantity logarithmic, down to its smallest bin that is drawn."""
    values = np.concatenate([s.fraction[s.jets >= FEWEST_JETS] for s in shapes] or [np.zeros(0)])
    values = values[values > 0.0]
    falling = column in _FALLING and len(values) > 0
    ax.set_yscale("log" if falling else "linear")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(bottom=0.6 * float(values.min()) if falling else 0.0)


def _say_if_empty(ax: Axes, shapes: Sequence[Shapes]) -> None:
    """Say that no jet has a quantity, which jets from files may lack."""
    if not any(s.jets.any() for s in shapes):
        ax.text(0.5, 0.5, "no jet has this quantity", transform=ax.transAxes, ha="center", color=style.GREY)


def jet_variations(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw six quantities of the jets of one process under every variant, with the ratios to the nominal."""
    process = inputs.process
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    found = fill_all(process_files(inputs.manifest, process), bins(block.jets), variants)
    figure = style.new_figure(10.4, 8.4, header)
    axes = figure.subplots(4, 3, height_ratios=(2.0, 1, 2.0, 1))
    for index, (column, shapes) in enumerate(found.items()):
        top, bottom = axes[2 * (index // 3) : 2 * (index // 3) + 2, index % 3]
        draw_shapes(top, bottom, shapes, variants)
        style.stack(top, bottom)
        _scale(top, column, [shapes])
        bottom.set(xlabel=TITLES[column], ylim=(0.5, 1.5))
        _say_if_empty(top, [shapes])
    for top, bottom in ((0, 1), (2, 3)):
        axes[top, 0].set_ylabel("Fraction of jets per bin")
        axes[bottom, 0].set_ylabel("Ratio")
    style.panel_title(axes[0, 0], f"{block.labels[process]} jets")
    style.legend_below(figure, axes[0, 0])
    points = [shape_points(shapes, variants).assign(quantity=column) for column, shapes in found.items()]
    return Drawing(figure, pd.concat(points, ignore_index=True).assign(process=process))
