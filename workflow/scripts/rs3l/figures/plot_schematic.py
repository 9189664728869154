"""Draw the intervention from the configuration: what each variant shares with the nominal and what it redoes."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from rs3l.config.blocks import FiguresBlock, Intervention
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.style import Drawing, Header

STAGES = ("shower", "hadronisation", "detector")
"""The stages after the hard process, in their order."""

_TEXTS = {
    "hard process": "hard process\n(once)",
    "shower": "shower",
    "hadronisation": "hadronisation,\ndecays",
    "detector": "detector",
    "jet": "jet",
}
_SHARED, _REDONE, _CHANGED = "#E6E6E6", "#BFE0F5", "#F8CFA8"
_KINDS = {"as in the nominal": _SHARED, "random numbers of its own": _REDONE, "other settings as well": _CHANGED}
_WIDTH, _HEIGHT = 1.5, 0.62
_LONGEST = 42


def schematic(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw a row of stages for each variant, behind the one hard process."""
    names = block.variants
    figure = style.new_figure(10.4, 1.5 + 0.72 * len(names), header)
    ax = figure.subplots()
    rows = []
    middle = 0.5 * (len(names) - 1)
    _box(ax, 0.0, middle, _TEXTS["hard process"], _SHARED)
    for y, name in enumerate(names):
        kinds = stage_kinds(block.interventions[name])
        _row(ax, y, middle, kinds)
        _name(ax, y, name, block.interventions[name])
        rows += [{"variant": name, "stage": stage, "kind": kind} for stage, kind in kinds.items()]
    ax.set(xlim=(-0.9, 11.6), ylim=(len(names) - 0.4, -0.6))
    ax.axis("off")
    handles = [Patch(facecolor=colour, edgecolor=style.BLACK, label=kind) for kind, colour in _KINDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return Drawing(figure, pd.DataFrame(rows))


def stage_kinds(intervention: Intervention) -> dict[str, str]:
    """Return, for each stage, whether a variant shares it with the nominal, redoes it, or changes it."""
    first = len(STAGES) if intervention.resample is None else STAGES.index(intervention.resample)
    shared, redone, changed = _KINDS
    kinds = {stage: shared if i < first else redone for i, stage in enumerate(STAGES)}
    if intervention.changes:
        kinds[STAGES[min(first, len(STAGES) - 1)]] = changed
    return kinds


def _row(ax: Axes, y: int, middle: float, kinds: dict[str, str]) -> None:
    start = (0.5 * _WIDTH, middle)
    for i, (stage, kind) in enumerate(kinds.items()):
        x = 2.3 + 1.9 * i
        _arrow(ax, start, (x - 0.5 * _WIDTH, y))
        _box(ax, x, y, _TEXTS[stage], _KINDS[kind])
        start = (x + 0.5 * _WIDTH, y)
    _arrow(ax, start, (7.62, y))


def _name(ax: Axes, y: int, name: str, intervention: Intervention) -> None:
    title = f"jet: {name}" + (" (held out)" if intervention.held_out else "")
    text = "; ".join(intervention.changes)
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    ax.text(7.75, y - (0.14 if text else 0.0), title, weight="bold", size=9.5, va="center")
    ax.text(7.75, y + 0.2, style.text(short), size=7.5, va="center")


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    corner = (x - 0.5 * _WIDTH, y - 0.5 * _HEIGHT)
    shape = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=shape, fc=colour, ec=style.BLACK, lw=0.8))
    ax.text(x, y, text, size=8, ha="center", va="center")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    line = {"arrowstyle": "-|>", "color": style.GREY, "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=line)
