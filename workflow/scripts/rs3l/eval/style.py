"""The look of the figures, and how they are written: the same points give the same bytes.

Figures are made without pyplot: no display is needed, and no state is shared.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from rs3l import __version__
from rs3l.eval import marks
from rs3l.eval.names import Method
from rs3l.files import atomic, write_text

Floats = NDArray[np.float64]

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = COLOURS = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe and Ito's palette: told apart by colour-blind readers."""

GREY = "#7F7F7F"
SERIES = (BLACK, BLUE, VERMILION, SKY, GREEN, PURPLE, ORANGE, GREY)
"""Colours of variants and processes, in their order; repeated with other lines after the eighth."""

LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

METHODS: dict[Method, tuple[str, str, str]] = {
    ("rs3l", "probe_h"): (BLUE, "o", "-"),
    ("rs3l", "probe_z"): (PURPLE, "P", "-."),
    ("rs3l", "tuned"): (SKY, "s", "--"),
    ("jetclr", "probe_h"): (VERMILION, "^", "-"),
    ("jetclr", "probe_z"): (YELLOW, "X", "-."),
    ("jetclr", "tuned"): (ORANGE, "v", "--"),
    ("none", "scratch"): (BLACK, "D", "-"),
    ("none", "scratch_views"): (GREEN, "*", "--"),
    ("none", "random"): (GREY, "x", ":"),
}
"""Colour, marker and line of each method, the same in every figure."""

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.labelsize": 11,
    "axes.linewidth": 1.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "errorbar.capsize": 0,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "savefig.facecolor": "white",
    "svg.hashsalt": "rs3l",
}


@dataclass(frozen=True)
class Drawing:
    """A figure and the points that it shows."""

    figure: Figure
    points: pd.DataFrame


@dataclass(frozen=True)
class Header:
    """What stands above every figure: campaign, and centre-of-mass energy [GeV] if known."""

    campaign: str
    ecm: float | None = None

    @property
    def text(self) -> str:
        """The right-hand side of the header."""
        energy = "" if self.ecm is None else rf"   $\sqrt{{s}}$ = {self.ecm / 1000:g} TeV"
        return f"{self.campaign}{energy}"


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write inside this context."""
    with mpl.rc_context(_RC):
        yield


def new_figure(width: float, height: float, header: Header) -> Figure:
    """Return an empty figure [inch] with the header and the version of this package."""
    layout = ConstrainedLayoutEngine(rect=(0.0, 0.15 / height, 1.0, 1.0 - 0.45 / height))
    figure = Figure(figsize=(width, height), layout=layout)
    top, margin = 1.0 - 0.06 / height, 0.12 / width
    figure.text(margin, top, "Simulation", weight="bold", style="italic", size=11, va="top")
    figure.text(1.0 - margin, top, header.text, size=9, ha="right", va="top")
    figure.text(1.0 - margin, 0.03 / height, f"rs3l {__version__}", size=6, color=GREY, ha="right", va="bottom")
    return figure


def footnote(drawing: Drawing) -> Drawing:
    """Say below a figure what the marks of its points mean, if they have some."""
    if text := marks.footnote(drawing.points):
        width, height = drawing.figure.get_size_inches()
        drawing.figure.text(0.12 / width, 0.03 / height, text, size=6, va="bottom")
    return drawing


def panel_title(ax: Axes, text: str) -> None:
    """Write what a panel shows above it."""
    ax.set_title(text, loc="left", size=10)


def stack(top: Axes, bottom: Axes) -> None:
    """Make ``bottom`` the ratio panel of ``top``: one axis of x, with its numbers below."""
    bottom.sharex(top)
    top.tick_params(axis="x", labelbottom=False)


def band(ax: Axes, edges: Floats, value: Floats, error: Floats, colour: str) -> None:
    """Shade the error of a histogram."""
    low = np.maximum(value - error, 0.0)
    ax.stairs(value + error, edges, baseline=low, fill=True, color=colour, alpha=0.18, lw=0)


def note(ax: Axes, text: str) -> None:
    """Say in the middle of an empty panel why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, size=8.5, color=GREY, ha="center", va="center")


def write(drawing: Drawing, svg: str | Path, png: str | Path, csv: str | Path) -> None:
    """Write the figure twice, and its points, without dates or versions of matplotlib."""
    with styled():
        for path, kind, metadata in (
            (svg, "svg", {"Date": None, "Creator": None}),
            (png, "png", {"Software": None}),
        ):
            buffer = io.BytesIO()
            drawing.figure.savefig(buffer, format=kind, metadata=metadata)
            with atomic(path) as temporary:
                temporary.write_bytes(buffer.getvalue())
    write_text(csv, drawing.points.to_csv(index=False, float_format="%.6g"))
