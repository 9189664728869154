"""What is seen in a figure, in a sentence or two, from the numbers of the campaign: its tables and points.

Each kind of figure has a function, which the registry names. What has no table says nothing. The words of
comparisons are in :mod:`rs3l.report.words`: within two standard deviations there is no difference. Paired errors
are used where the tables have them; otherwise errors are added in quadrature, and the sentence says so.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.marks import SIGNS, collapsed_methods, legend
from rs3l.evaluate.names import short_label
from rs3l.figures.registry import FIGURES
from rs3l.paths import CampaignPaths
from rs3l.report import seen_results
from rs3l.report.figure_data import FigureData

CALIBRATION = "calibration"
"""A table of which something is said, though no figure shows it."""

HEADLINE = ("latent_quality", "stability", "calibration")
HEADLINE_OF_TASK = ("roc", "label_efficiency", "robustness", "mistag_change")
"""Kinds that the summary repeats, of the campaign and of each task."""


def seen(kind: str, item: str, paths: CampaignPaths, config: Campaign) -> str:
    """Return what is seen in a figure as plain text; empty if there is nothing to say, or no table to say it from.

    ``kind``: name of the figure's kind. ``item``: the task or process that it is of. A schematic shows no data.
    """
    function = _function(kind)
    if function is None:
        return ""
    try:
        text = function(FigureData(item, paths, config)).strip()
    except DataError:  # a table that is missing, or of another version
        return ""
    return f"{text} {_marks(text, paths)}".strip() if text else ""


def _function(kind: str) -> Callable[[FigureData], str] | None:
    """Return what says in words what is seen in a kind of figure; the registry names it."""
    if kind == CALIBRATION:
        return seen_results.calibration
    if kind not in FIGURES or not FIGURES[kind].seen:
        return None
    module, function = FIGURES[kind].seen.split(".")
    return cast(Callable[[FigureData], str], getattr(importlib.import_module(f"rs3l.report.{module}"), function))


def _marks(text: str, paths: CampaignPaths) -> str:
    """Return what a sentence must not leave unsaid: which of its methods collapsed, and what its signs mean."""
    found = [Path(path) for path in (paths.summary, paths.ablations_summary) if Path(path).is_file()]
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    collapsed = dict.fromkeys(method for summary in summaries for method in collapsed_methods(summary))
    named = [method for method in collapsed if method in text or short_label(method) in text]
    about = f"{SIGNS['collapsed']} Collapsed in pre-training, and used all the same: {', '.join(named)}."
    return f"{about if named else ''} {legend(text.replace(SIGNS['collapsed'], ''))}".strip()


def headlines(paths: CampaignPaths, config: Campaign) -> list[tuple[str, str]]:
    """Return what is seen in the results: title of the figure, and the sentences."""
    items = [(kind, task) for task in config.tasks for kind in HEADLINE_OF_TASK]
    items += [(kind, "") for kind in HEADLINE]
    found = [(_heading(kind, item), seen(kind, item, paths, config)) for kind, item in items]
    return [(heading, text) for heading, text in found if text]


def _heading(kind: str, item: str) -> str:
    return FIGURES[kind].heading(item) if kind in FIGURES else kind.capitalize()
