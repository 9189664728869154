"""Draw the figures of the data set, which show shapes, views of one event, and the matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from rs3l.angles import wrapped
from rs3l.config.blocks import FiguresBlock
from rs3l.dataset.event_rows import whole_events
from rs3l.dataset.manifest import read_counts
from rs3l.errors import DataError
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Shapes, fill, process_files
from rs3l.figures.style import Drawing, Header
from rs3l.types import Floats64

MASS_EDGES = np.linspace(0.0, 240.0, 17)
MULTIPLICITY_EDGES = np.linspace(-0.5, 143.5, 13)
FEWEST_JETS = 10
"""A ratio is drawn where nominal and variant have at least this many jets in the bin; the CSV has all ratios."""

_NOTABLE = 2.0
"""From this many standard deviations on, the number above the ratios is bold."""

_CANDIDATES = ("cand_pt", "cand_eta", "cand_phi", "cand_charge", "cand_pdg_id")
_KINDS = ("charged hadron", "neutral hadron", "photon", "electron or muon")
_KIND_COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.INK)
_TICKS = (-1.0, 0.0, 1.0)
"""Numbers on the axes of a picture of an event, in eta and phi."""
_MARK_PER_GEV = 2.6
"""Area of a candidate [pt^2] per GeV of its pT."""
_AREA_STEP = 1.15
"""Areas of candidates are rounded to powers of this number."""
_SMALLEST_MARK = 3.0
"""Area of the softest candidates [pt^2]."""


def jet_mass(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the jet mass of each process under every variant, with the ratio to the nominal."""
    return _shapes(block, header, inputs, ("jet_mass", "Jet mass [GeV]", MASS_EDGES))


def multiplicity(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the number of candidates of each process under every variant, with the ratio to the nominal."""
    quantity = ("jet_n_constituents", "Candidates in the jet", MULTIPLICITY_EDGES)
    return _shapes(block, header, inputs, quantity)


def _shapes(
    block: FiguresBlock,
    header: Header,
    inputs: Inputs,
    quantity: tuple[str, str, Floats64],
) -> Drawing:
    column, title, edges = quantity
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    n = len(block.labels)
    figure = style.new_figure(3.4 * n + 0.6, 4.8, header)
    axes = figure.subplots(2, n, sharex=True, sharey="row", squeeze=False, height_ratios=(2.4, 1))
    points = []
    for (process, label), (top, bottom) in zip(block.labels.items(), axes.T, strict=True):
        shapes = fill(process_files(inputs.manifest, process), column, variants, edges)
        draw_shapes(top, bottom, shapes, variants)
        style.panel_title(top, f"{label} jets")
        bottom.set_xlabel(title)
        points.append(shape_points(shapes, variants).assign(process=process))
    axes[0, 0].set_ylabel("Fraction of jets per bin")
    axes[1, 0].set_ylabel("Ratio")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[1, 0].set_ylim(0.5, 1.5)
    style.legend_below(figure, axes[0, 0])
    return Drawing(figure, pd.concat(points, ignore_index=True))


def draw_shapes(top: Axes, bottom: Axes, shapes: Shapes, variants: Sequence[str]) -> None:
    """Draw the histograms (with a band for the error of the nominal) above, and the ratios to the nominal below.

    Each ratio is a line in a band of its error. Above them stands by how many standard deviations it differs from
    1 in all of its bins together, in bold from :data:`_NOTABLE` on.
    """
    looks = style.variants(variants)
    significance = shapes.significance(FEWEST_JETS)
    for v, variant in enumerate(variants):
        colour, line = looks[variant]
        fraction = np.where(shapes.jets[v] > 0, shapes.fraction[v], np.nan)
        top.stairs(fraction, shapes.edges, baseline=None, color=colour, ls=line, lw=1.3, label=variant)
        if v == 0:
            sure = np.where(shapes.jets[0] >= FEWEST_JETS, shapes.error[0], np.nan)
            style.band(top, shapes.edges, shapes.fraction[0], sure, colour)
            bottom.axhline(1.0, color=colour, lw=0.8)
            continue
        seen = shapes.jets[[0, v]].min(axis=0) >= FEWEST_JETS
        ratio, error = (np.where(seen, x[v], np.nan) for x in (shapes.ratio, shapes.ratio_error))
        style.band(bottom, shapes.edges, ratio, error, colour)
        bottom.stairs(ratio, shapes.edges, baseline=None, color=colour, ls=line, lw=1.2)
        if np.isfinite(significance[v]):
            x = 0.02 + 0.96 * (v - 1) / max(len(variants) - 1, 4)
            text = f"{significance[v]:.1f}σ"
            weight = "bold" if significance[v] >= _NOTABLE else "normal"
            bottom.text(
                x, 1.02, text, transform=bottom.transAxes, color=colour, size=8.5, weight=weight, va="bottom"
            )


def shape_points(shapes: Shapes, variants: Sequence[str]) -> pd.DataFrame:
    """Return a line per variant and bin."""
    significance = shapes.significance(FEWEST_JETS)
    rows = [
        pd.DataFrame(
            {
                "variant": variant,
                "low": shapes.edges[:-1],
                "high": shapes.edges[1:],
                "fraction": shapes.fraction[v],
                "error": shapes.error[v],
                "ratio": shapes.ratio[v],
                "ratio_error": shapes.ratio_error[v],
                "jets": shapes.jets[v],
                "deviation_sigma": significance[v],
            }
        )
        for v, variant in enumerate(variants)
    ]
    return pd.concat(rows, ignore_index=True)


def event_views(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw all views of one hard event side by side, for a signal and a background event of the first task."""
    task = next(iter(block.tasks.values()))
    processes = (task.signal, task.background)
    n = len(block.variants)
    figure = style.new_figure(2.1 * n + 0.7, 6.2, header)
    axes = figure.subplots(2, n, sharex="row", sharey="row", squeeze=False)
    points = []
    for process, row in zip(processes, axes, strict=True):
        views = _first_complete_event(block, inputs, process)
        half = max(np.abs(_axis(view)).max() for view in views.values()) + 1.05 * block.jets.radius
        for variant, ax in zip(block.variants, row, strict=True):
            candidates = _candidates(views[variant])
            _draw_view(ax, candidates, views[variant], block.jets.radius)
            size = "$p_T$ {jet_pt:.0f}, mass {jet_mass:.0f} GeV".format(**views[variant])
            ax.set_title(f"{variant}\n{size}", size=8.5)
            ax.set(xlim=(-half, half), ylim=(-half, half), xticks=_TICKS, yticks=_TICKS)
            points.append(candidates.assign(process=process, variant=variant, event_id=views[variant]["event_id"]))
        row[0].set_ylabel(f"{block.labels[process]} event\nΔφ to hard particle")
        for ax in row[1:]:
            ax.tick_params(labelleft=False)
    for ax in axes[-1]:
        ax.set_xlabel("Δη to hard particle")
    figure.legend(handles=_view_legend(), loc="outside lower center", ncols=min(6, n + 1))
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _first_complete_event(block: FiguresBlock, inputs: Inputs, process: str) -> dict[str, dict[str, Any]]:
    """Return the views, by variant, of the first event of ``process`` that has a jet under every variant."""
    for path in process_files(inputs.manifest, process):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            ids = file.read_row_group(group, columns=["event_id"])["event_id"].to_numpy()
            events, start, count = np.unique(ids, return_index=True, return_counts=True)
            complete = np.sort(start[count == len(block.variants)])
            if len(events) and len(complete):
                views = file.read_row_group(group).slice(complete[0], len(block.variants)).to_pylist()
                return {view["variant"]: view for view in views}
    raise DataError(f"{inputs.one('manifest')}: no event of {process} has a jet under every variant")


def _candidates(view: Mapping[str, Any]) -> pd.DataFrame:
    """Return pt [GeV], deta, dphi (relative to the anchor) and kind of a view's candidates."""
    pt, eta, phi, charge, code = (np.asarray(view[name]) for name in _CANDIDATES)
    kind = np.select(
        [np.isin(np.abs(code), (11, 13)), np.abs(code) == 22, charge != 0],
        [_KINDS[3], _KINDS[2], _KINDS[0]],
        default=_KINDS[1],
    )
    return pd.DataFrame(
        {
            "pt": pt,
            "deta": eta - view["parton_eta"],
            "dphi": wrapped(phi - view["parton_phi"]),
            "kind": kind,
        }
    )


def _view_legend() -> list[Line2D]:
    """Return the marks of the candidates, of the hard particle and of the jet's axis."""
    dot: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6}
    kinds = zip(_KINDS, _KIND_COLOURS, strict=True)
    return [
        *(Line2D([], [], color=colour, label=kind, **dot) for kind, colour in kinds),
        Line2D([], [], color=style.INK, ls="none", marker="+", ms=10, label="hard particle"),
        Line2D([], [], color=style.GREY, label="edge of the jet"),
    ]


def _draw_view(ax: Axes, candidates: pd.DataFrame, view: Mapping[str, Any], radius: float) -> None:
    """Draw the candidates of one view, the softest on top, around the hard particle."""
    colours = dict(zip(_KINDS, _KIND_COLOURS, strict=True))
    ordered = candidates.sort_values("pt", ascending=False)
    area = _SMALLEST_MARK + _MARK_PER_GEV * ordered["pt"]
    steps = np.round(np.log(area) / np.log(_AREA_STEP))  # marks of one size are one shape in the SVG
    for step, same in ordered.groupby(steps, sort=False):
        ax.scatter(
            same["deta"], same["dphi"], s=_AREA_STEP**step,
            color=[colours[kind] for kind in same["kind"]], alpha=0.75, lw=0.5, edgecolors=style.PAPER,
        )  # fmt: skip
    ax.add_patch(Circle(_axis(view), radius, fill=False, color=style.GREY, lw=1.0))
    ax.plot([0.0], [0.0], marker="+", color=style.INK, ms=14, mew=1.6)
    ax.set_aspect("equal")


def _axis(view: Mapping[str, Any]) -> tuple[float, float]:
    """Return eta and phi of the jet's axis relative to the hard particle."""
    delta = float(wrapped(np.asarray(view["jet_phi"] - view["parton_phi"])))
    return view["jet_eta"] - view["parton_eta"], delta


def survival(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the pT of the nominal jet, before and after a jet is demanded under every variant."""
    edges = np.geomspace(block.jets.pt_min, 3.0 * block.jets.pt_min, 13)
    figure = style.new_figure(3.4 * len(block.labels) + 0.6, 4.8, header)
    axes = figure.subplots(2, len(block.labels), sharex=True, squeeze=False, height_ratios=(1.6, 1))
    points, colours = [], style.processes(block.labels)
    for (process, label), (top, bottom) in zip(block.labels.items(), axes.T, strict=True):
        counts = _survivors(process_files(inputs.manifest, process), len(block.variants), edges)
        _draw_survival(top, bottom, counts, edges, colours[process][0])
        bottom.set_ylim(0.0, 1.05)
        style.panel_title(top, f"{label} jets")
        bottom.set_xlabel("Nominal jet $p_T$ [GeV]")
        points.append(counts.assign(process=process))
    axes[0, 0].set_ylabel("Hard events per bin")
    axes[1, 0].set_ylabel("Remaining fraction")
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _survivors(files: Sequence[Path], variants: int, edges: Floats64) -> pd.DataFrame:
    """Return the numbers of events with a nominal jet, and with a jet under all variants, per bin of its pT."""
    before, after = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for rows in whole_events(files, ["event_id", "variant", "jet_pt"]):
        table = rows.to_pandas()
        views = table.groupby("event_id")["variant"].transform("size").to_numpy()
        nominal = (table["variant"] == "nominal").to_numpy()
        pt = table["jet_pt"].to_numpy()
        before += np.histogram(pt[nominal], edges)[0]
        after += np.histogram(pt[nominal & (views == variants)], edges)[0]
    frame = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "nominal_jet": before, "all_variants": after})
    frame["fraction"] = frame["all_variants"] / frame["nominal_jet"].where(frame["nominal_jet"] > 0)
    frame["error"] = np.sqrt(frame["fraction"] * (1.0 - frame["fraction"]) / frame["nominal_jet"])
    return frame


def _draw_survival(top: Axes, bottom: Axes, counts: pd.DataFrame, edges: Floats64, colour: str) -> None:
    top.stairs(counts["nominal_jet"], edges, color=style.INK, lw=1.3)
    top.stairs(counts["all_variants"], edges, color=colour, fill=True, alpha=0.35)
    top.set_ylim(0.0, 1.4 * max(1.0, float(counts["nominal_jet"].max())))
    words = "line: nominal jet\nfilled: jet under every variant"
    top.text(0.98, 0.98, words, transform=top.transAxes, size=8.5, ha="right", va="top")
    centre, enough = 0.5 * (edges[1:] + edges[:-1]), counts["nominal_jet"] >= FEWEST_JETS
    bottom.errorbar(
        centre[enough], counts["fraction"][enough], counts["error"][enough],
        xerr=np.diff(edges)[enough] / 2, fmt=".", color=colour, lw=1.2,
    )  # fmt: skip


def matching(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the fraction of hard events with a matched jet under each variant, under any two, and under all."""
    names = [*block.variants, "any two", "all"]
    rows = []
    processes = read_counts(inputs.one("manifest")).processes
    for process in block.labels:
        entry = processes[process]
        values = [entry.matching_efficiency[variant] for variant in block.variants]
        values += [entry.matching_efficiency_two_variants, entry.matching_efficiency_all_variants]
        rows += [
            {"process": process, "what": name, "efficiency": value, "hard_events": entry.hard_events}
            for name, value in zip(names, values, strict=True)
        ]
    points = pd.DataFrame(rows)
    points["error"] = np.sqrt(points["efficiency"] * (1.0 - points["efficiency"]) / points["hard_events"])
    figure = style.new_figure(max(6.0, 1.6 + 0.8 * len(names)), 4.0, header)
    ax, looks = figure.subplots(), style.processes(block.labels)
    step = min(0.18, 0.7 / len(block.labels))
    ends = []
    for p, (process, label) in enumerate(block.labels.items()):
        chosen = points[points["process"] == process]
        colour, marker = looks[process]
        x = np.arange(len(names)) + step * (p - 0.5 * (len(block.labels) - 1))
        ax.errorbar(
            x,
            chosen["efficiency"],
            chosen["error"],
            fmt=marker,
            color=colour,
            ms=6,
        )
        ends.append(style.End(float(x[-1]), float(chosen["efficiency"].iloc[-1]), label, colour))
    ax.axvline(len(block.variants) - 0.5, color=style.GREY, lw=0.8, ls=":")
    ax.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    ax.tick_params(axis="x", which="minor", bottom=False, top=False)
    ax.set(ylabel="Hard events with a matched jet", ylim=(0.0, 1.05))
    style.end_labels(ax, ends, 2.8)
    return Drawing(figure, points)
