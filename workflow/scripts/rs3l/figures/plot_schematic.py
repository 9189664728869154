"""Draw the intervention from the configuration: what each variant shares with the nominal and what it redoes."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from rs3l.config.blocks import FiguresBlock, Intervention
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.style import Drawing, Header
from rs3l.seeds import RESAMPLED

_TEXTS = {
    "hard process": "hard process\n(once)",
    "shower": "shower",
    "hadronisation": "hadronisation,\ndecays",
    "pileup": "pile-up",
    "detector": "detector",
    "jet": "jet",
}
_SHARED, _REDONE, _CHANGED = "#e6e6e6", "#bfe0f5", "#f8cfa8"
_KINDS = {"as in the nominal": _SHARED, "random numbers of its own": _REDONE, "other settings as well": _CHANGED}
_WIDTH, _HEIGHT = 1.5, 0.62
_FIRST, _STEP = 2.3, 1.9
_LONGEST = 42


def schematic(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw a row of stages for each variant, behind the one hard process."""
    names = block.variants
    more = _STEP if block.pileup else 0.0
    figure = style.new_figure(10.4 + more, 1.5 + 0.72 * len(names), header)
    ax = figure.subplots()
    rows = []
    middle = 0.5 * (len(names) - 1)
    _box(ax, 0.0, middle, _TEXTS["hard process"], _SHARED)
    for y, name in enumerate(names):
        kinds = stage_kinds(block.interventions[name], block.pileup)
        _row(ax, y, middle, kinds)
        _name(ax, _FIRST + _STEP * len(kinds) - 0.25, y, name, block.interventions[name])
        rows += [{"variant": name, "stage": stage, "kind": kind} for stage, kind in kinds.items()]
    ax.set(xlim=(-0.9, 11.6 + more), ylim=(len(names) - 0.4, -0.6))
    ax.axis("off")
    handles = [Patch(facecolor=colour, edgecolor=style.INK, label=kind) for kind, colour in _KINDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return Drawing(figure, pd.DataFrame(rows))


def stage_kinds(intervention: Intervention, pileup: bool = False) -> dict[str, str]:
    """Return, for each stage, whether a variant shares it with the nominal, redoes it, or changes it.

    The stage of the pile-up is there if some variant has ``pileup``.
    """
    stages = [stage for stage in RESAMPLED if pileup or stage != "pileup"]
    first = len(stages) if intervention.resample is None else stages.index(intervention.resample)
    shared, redone, changed = _KINDS
    kinds: dict[str, str] = {stage: shared if i < first else redone for i, stage in enumerate(stages)}
    of_pileup = [text.startswith("pileup.") for text in intervention.changes]
    if not all(of_pileup):
        kinds[stages[min(first, len(stages) - 1)]] = changed
    if any(of_pileup):
        kinds[stages[max(first, stages.index("pileup"))]] = changed
    return kinds


def _row(ax: Axes, y: int, middle: float, kinds: dict[str, str]) -> None:
    start = (0.5 * _WIDTH, middle)
    for i, (stage, kind) in enumerate(kinds.items()):
        x = _FIRST + _STEP * i
        _arrow(ax, start, (x - 0.5 * _WIDTH, y))
        _box(ax, x, y, _TEXTS[stage], _KINDS[kind])
        start = (x + 0.5 * _WIDTH, y)
    _arrow(ax, start, (_FIRST + _STEP * len(kinds) - 0.38, y))


def _name(ax: Axes, x: float, y: int, name: str, intervention: Intervention) -> None:
    title = f"jet: {name}" + (" (held out)" if intervention.held_out else "")
    text = "; ".join(intervention.changes)
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    ax.text(x, y - (0.14 if text else 0.0), title, weight="bold", size=9.5, va="center")
    ax.text(x, y + 0.2, style.text(short), size=8, va="center")


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    corner = (x - 0.5 * _WIDTH, y - 0.5 * _HEIGHT)
    shape = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=shape, fc=colour, ec=style.INK, lw=0.8))
    ax.text(x, y, text, size=8.5, ha="center", va="center")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    line = {"arrowstyle": "-|>", "color": style.GREY, "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=line)
