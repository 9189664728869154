"""The look of the figures, and how they are written, such that the same points give the same bytes.

Figures are made without pyplot, so that no display is needed and no state is shared.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rs3l import __version__
from rs3l.evaluate import marks
from rs3l.evaluate.names import Method, baselines_of, methods_of
from rs3l.files import atomic, write_text
from rs3l.types import Floats64

INK = "#1c2126"
"""Text, axes, and the nominal; the report exchanges it for the ink of its reader's light or dark page."""

PAPER = "#fefefe"
"""Open marks are filled with it; the report exchanges it for the background of the page."""

BLUE, VERMILION, GREEN, PURPLE, OCHRE, TEAL, ROSE, BROWN = (
    "#1f77b4", "#d55e00", "#009e73", "#9a55b0", "#9a7b00", "#1a91a0", "#c2447f", "#a0522d",
)  # fmt: skip
"""Colours of medium lightness, with a contrast of at least 3 to white and to the report's dark page."""

SMALLEST = 7.0
"""Size of the smallest words in a figure [pt]."""

GREY = "#7f7f7f"
SLATE = "#6e7b8b"

_VARIANTS = (TEAL, "#c77700", "#8a64c8", "#5b8c2a", "#c0504d", "#4f6bc4", BROWN, GREY)
"""Colours of the variants but the nominal, in their order.

Neighbours differ in their lines too; after the eighth the colours repeat with other lines.
"""

_PROCESSES = ("#6a5acd", SLATE, "#b8860b", ROSE, TEAL, "#5b8c2a", BROWN, GREY)
"""Colours of the processes, in their order; after the eighth they repeat with other markers.

The first three also differ for readers who cannot tell red from green.
"""

LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

Look = tuple[str, str, str]
"""Colour, marker and line."""

_OTHER = (GREY, "P", ":")
_FAMILIES = tuple(
    {"probe_h": (colour, first, "-"), "probe_z": (colour, second, "-."), "tuned": (colour, third, "--")}
    for colour, first, second, third in (
        (BLUE, "o", "P", "s"), (VERMILION, "^", "X", "v"), (ROSE, "D", "h", "d"), ("#7a8b00", "<", "p", ">"),
        ("#4f6bc4", "H", "*", "X"), (BROWN, "P", "s", "^"), (TEAL, "v", "o", "D"), ("#b8860b", "s", "X", "o"),
    )
)  # fmt: skip
"""Looks of the modes of each method, in the campaign's order; after the last they repeat with other lines.

The modes of one method have its colour, and differ in marker and line.
"""

_RESERVED = {"rs3l": 0, "jetclr": 1}
"""These methods look the same in every campaign."""

_SUPERVISED = {
    "scratch": (GREEN, "D", "-"),
    "scratch_views": (GREEN, "*", "--"),
    "random": (GREY, "x", ":"),
    "gbt": (PURPLE, "p", "-."),
    "n2": (OCHRE, "+", ":"),
}


_NAME_SIZE = 9.0
"""Size of the names beside lines [pt]."""

_LEADING = 1.35
"""Height of a line of such a name, in its size."""

_NAME_WIDTH = 24
"""Longest line of such a name, in letters."""

_PLACES = 6
"""Digits of the places of panels, in units of the figure."""


def variants(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the colour and the line of each variant, which are the same in all figures of a campaign."""
    others = (name for name in names if name != "nominal")
    found = {
        name: (_VARIANTS[index % len(_VARIANTS)], LINES[(index + index // len(_VARIANTS)) % len(LINES)])
        for index, name in enumerate(others)
    }
    return {"nominal": (INK, "-"), **found}


def processes(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the colour and the marker of each process, which are the same in all figures of a campaign."""
    return {
        name: (
            _PROCESSES[index % len(_PROCESSES)],
            MARKERS[(index + index // len(_PROCESSES)) % len(MARKERS)],
        )
        for index, name in enumerate(names)
    }


def looks(runs: Sequence[str]) -> dict[Method, Look]:
    """Return how each method of a campaign looks, which is the same in all of its figures."""
    found = {}
    for name, place in _places(methods_of(runs)).items():
        family, again = _FAMILIES[place % len(_FAMILIES)], place // len(_FAMILIES)
        found.update({(name, mode): _shifted(look, again) for mode, look in family.items()})
    for again, name in enumerate(baselines_of(runs)):
        found.update({(name, mode): _shifted(look, again) for mode, look in _SUPERVISED.items()})
    return found


def look(method: Method, known: Mapping[Method, Look]) -> Look:
    """Return how a method looks, with a common look for methods that are not ``known``."""
    return known.get(method, _OTHER)


def _places(names: Sequence[str]) -> dict[str, int]:
    """Return which family each method has.

    Methods with a reserved family have that one, and the others have the next free one.
    """
    taken = {_RESERVED[name] for name in names if name in _RESERVED}
    free = (place for place in count() if place not in taken)
    return {name: _RESERVED[name] if name in _RESERVED else next(free) for name in names}


def _shifted(look: Look, again: int) -> Look:
    """Return a look moved on by ``again`` markers and lines."""
    colour, marker, line = look
    if not again:
        return look
    start = MARKERS.index(marker) if marker in MARKERS else 0
    step = again + again // len(LINES)  # so that the same marker and line come back late
    return colour, MARKERS[(start + step) % len(MARKERS)], LINES[(LINES.index(line) + again) % len(LINES)]


def text(label: str) -> str:
    """Return a label of the configuration so that matplotlib shows it literally.

    A dollar sign begins no formula, a line break becomes a space, and a leading underscore does not hide the label
    in legends.
    """
    shown = " ".join(str(label).split()).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.labelsize": 11,
    "axes.linewidth": 1.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "errorbar.capsize": 0,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "savefig.facecolor": "white",
    "svg.hashsalt": "rs3l",
    "svg.fonttype": "none",  # words stay words: small files, which can be searched and read aloud
}


@dataclass(frozen=True)
class Drawing:
    """A figure and the points that it shows."""

    figure: Figure
    points: pd.DataFrame


@dataclass(frozen=True)
class Header:
    """The text above every figure: the campaign, and the centre-of-mass energy [GeV] if it is known."""

    campaign: str
    ecm: float | None = None

    @property
    def text(self) -> str:
        """Return the right-hand side of the header."""
        energy = "" if self.ecm is None else rf"   $\sqrt{{s}}$ = {self.ecm / 1000:g} TeV"
        return f"{text(self.campaign)}{energy}"


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
    figure.text(
        1.0 - margin, 0.03 / height, f"rs3l {__version__}", size=SMALLEST, color=GREY, ha="right", va="bottom"
    )
    return figure


def footnote(drawing: Drawing) -> Drawing:
    """Say below a figure what the marks of its points mean, if there are any."""
    if text := marks.footnote(drawing.points):
        width, height = drawing.figure.get_size_inches()
        drawing.figure.text(0.12 / width, 0.03 / height, text, size=SMALLEST, va="bottom")
    return drawing


def settled(drawing: Drawing) -> Drawing:
    """Lay out a figure once, with places rounded: the solver's last digits differ from one drawing to the next."""
    figure = drawing.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        ax.set_position(np.round(ax.get_position().bounds, _PLACES).tolist())
    return drawing


def legend_below(figure: Figure, ax: Axes) -> None:
    """Name the lines of a panel below the figure, in as many columns as its width has room for."""
    handles, labels = ax.get_legend_handles_labels()
    widest = 0.5 + 0.07 * max((len(label) for label in labels), default=1)  # inch
    columns = max(1, int(figure.get_figwidth() / widest))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels) or 1))


@dataclass(frozen=True)
class End:
    """The right end of a line, in units of the axes, with the line's name and colour."""

    x: float
    y: float
    name: str
    colour: str


def end_labels(ax: Axes, ends: Sequence[End], height: float) -> None:
    """Name lines to the right of their panel, each as near to the end of its line as the other names allow.

    A stroke in the line's colour leads to the name, which has the colour of all words, so that it can be read.
    ``height`` is roughly that of the panel [inch]. The limits of the axes must be final.
    """
    ax.get_xlim(), ax.get_ylim()  # settle limits that follow the lines
    to_axes = ax.transScale + ax.transLimits
    places = to_axes.transform([(end.x, end.y) for end in ends]) if ends else np.zeros((0, 2))
    names = [wrapped_name(end.name) for end in ends]
    sizes = np.array([names_height([end.name]) / height for end in ends])
    stroke: dict[str, Any] = {"arrowstyle": "-", "lw": 1.2, "shrinkA": 2, "shrinkB": 3, "relpos": (0.0, 0.5)}
    for end, name, place, y in zip(ends, names, places, spread(places[:, 1], sizes), strict=True):
        ax.annotate(
            name, tuple(place), (1.03, y), xycoords="axes fraction", textcoords="axes fraction",
            size=_NAME_SIZE, va="center", annotation_clip=False, arrowprops={**stroke, "color": end.colour},
        )  # fmt: skip


def names_height(names: Iterable[str]) -> float:
    """Return how much room names take below each other [inch], wrapped as :func:`end_labels` does."""
    return sum(wrapped_name(name).count("\n") + 1 for name in names) * _NAME_SIZE * _LEADING / 72.0


def wrapped_name(name: str) -> str:
    """Return a name in lines of similar length that are short enough to stand beside a panel."""
    wrapper = textwrap.TextWrapper(_NAME_WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = len(wrapper.wrap(name))
    for wrapper.width in range(max(1, -(-len(name) // max(1, lines))), _NAME_WIDTH + 1):
        if len(found := wrapper.wrap(name)) == lines:
            return "\n".join(found)
    return name


def spread(places: Floats64, sizes: Floats64) -> Floats64:
    """Return the places [N] in 0 ... 1 nearest to ``places`` in which texts of these ``sizes`` [N] do not overlap.

    Their order stays. Texts that would overlap become a block around the mean of their places.
    """
    order = np.argsort(places, kind="stable")
    own = sizes[order]
    offsets = np.concatenate([[0.0], np.cumsum(0.5 * (own[1:] + own[:-1]))])[: len(own)]
    blocks: list[tuple[float, int]] = []
    for value in places[order] - offsets:
        mean, count = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    moved = np.repeat([mean for mean, _ in blocks], [count for _, count in blocks]) if blocks else offsets
    room = max(0.0, 1.0 - float(offsets[-1])) if len(offsets) else 0.0
    result = np.empty_like(offsets)
    result[order] = np.clip(moved, 0.0, room) + offsets
    return result


def panel_title(ax: Axes, text: str) -> None:
    """Write what a panel shows above it."""
    ax.set_title(text, loc="left", size=10)


def stack(top: Axes, bottom: Axes) -> None:
    """Make ``bottom`` the ratio panel of ``top``, with a common x axis whose numbers stand below."""
    bottom.sharex(top)
    top.tick_params(axis="x", labelbottom=False)


def band(ax: Axes, edges: Floats64, value: Floats64, error: Floats64, colour: str) -> None:
    """Shade the error of a histogram."""
    low = np.maximum(value - error, 0.0)
    ax.stairs(value + error, edges, baseline=low, fill=True, color=colour, alpha=0.18, lw=0)


def note(ax: Axes, text: str) -> None:
    """Say in the middle of an empty panel why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, size=8.5, color=GREY, ha="center", va="center")


def write(drawing: Drawing, svg: str | Path, png: str | Path, csv: str | Path) -> None:
    """Write the figure as SVG and PNG, and its points as CSV, without dates or versions of matplotlib."""
    with styled():
        for path, kind, metadata in (
            (svg, "svg", {"Date": None, "Creator": None}),
            (png, "png", {"Software": None}),
        ):
            buffer = io.BytesIO()
            drawing.figure.savefig(buffer, format=kind, metadata=metadata)
            drawing.figure.set_layout_engine("none")  # laid out once because a layout takes as long as a drawing
            with atomic(path) as temporary:
                temporary.write_bytes(buffer.getvalue())
    write_text(csv, drawing.points.to_csv(index=False, float_format="%.6g"))
