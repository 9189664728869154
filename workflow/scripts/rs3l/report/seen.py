"""Say what is seen in a figure in a sentence or two, from the tables and points of the campaign.

Each kind of figure has a function, which the registry names. A figure without a table has no text. The words of
comparisons are in :mod:`rs3l.report.words`; a difference within two standard deviations is called no difference.
Paired errors are used where the tables have them. Otherwise errors are added in quadrature, and the sentence says
so.
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
"""This table has a text, although no figure shows it."""


def seen(kind: str, item: str, paths: CampaignPaths, config: Campaign) -> str:
    """Return what is seen in a figure as plain text, or an empty text if nothing can be said.

    ``kind`` is the name of the figure's kind, and ``item`` is its task or process. Nothing can be said if there is
    no table for it, nor of a schematic, which shows no data.
    """
    function = _function(kind)
    if function is None:
        return ""
    try:
        text = function(FigureData(item, paths, config)).strip()
    except DataError:  # a table is missing, or another version made it
        return ""
    return f"{text} {_marks(text, paths)}".strip() if text else ""


def _function(kind: str) -> Callable[[FigureData], str] | None:
    """Return the function, named by the registry, that says in words what is seen in a kind of figure."""
    if kind == CALIBRATION:
        return seen_results.calibration
    if kind not in FIGURES or not FIGURES[kind].seen:
        return None
    module, function = FIGURES[kind].seen.split(".")
    return cast(Callable[[FigureData], str], getattr(importlib.import_module(f"rs3l.report.{module}"), function))


def _marks(text: str, paths: CampaignPaths) -> str:
    """Return the notes that a sentence needs: which of its methods collapsed, and what its signs mean."""
    found = [Path(path) for path in (paths.summary, paths.ablations_summary) if Path(path).is_file()]
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    collapsed = dict.fromkeys(method for summary in summaries for method in collapsed_methods(summary))
    named = [method for method in collapsed if method in text or short_label(method) in text]
    about = f"{SIGNS['collapsed']} Collapsed in pre-training, and used all the same: {', '.join(named)}."
    return f"{about if named else ''} {legend(text.replace(SIGNS['collapsed'], ''))}".strip()


def headlines(paths: CampaignPaths, config: Campaign) -> list[tuple[str, str]]:
    """Return what is seen in the results, as titles of figures with their sentences."""
    kinds = [figure for figure in FIGURES.values() if figure.headline]
    items = [(figure.name, task) for task in config.tasks for figure in kinds if figure.of == "task"]
    items += [*((figure.name, "") for figure in kinds if figure.of == "campaign"), (CALIBRATION, "")]
    found = [(_heading(kind, item), seen(kind, item, paths, config)) for kind, item in items]
    return [(heading, text) for heading, text in found if text]


def _heading(kind: str, item: str) -> str:
    return FIGURES[kind].heading(item) if kind in FIGURES else kind.capitalize()
