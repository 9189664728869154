"""What is seen in a figure, in a sentence or two, from the numbers of the campaign: its tables and points.

Each kind of figure has a function. What has no table says nothing. The words of comparisons are in
:mod:`rs3l.report.words`: within two standard deviations there is no difference. Paired errors are used where the
tables have them; otherwise errors are added in quadrature, and the sentence says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rs3l.config.models import Campaign
from rs3l.errors import DataError
from rs3l.eval.marks import SIGNS, collapsed_methods, legend
from rs3l.eval.names import short_label
from rs3l.paths import CampaignPaths
from rs3l.report import seen_data, seen_results, seen_training
from rs3l.report.scene import Scene

SEEN: dict[str, Callable[[Scene], str]] = {
    "jet_types": seen_data.jet_types,
    "jet_variations": seen_data.jet_variations,
    "jet_mass": lambda scene: seen_data.shapes(scene, "jet_mass", "GeV"),
    "multiplicity": lambda scene: seen_data.shapes(scene, "multiplicity"),
    "event_views": seen_data.event_views,
    "matching": seen_data.matching,
    "survival": seen_data.survival,
    "training": seen_training.training,
    "similarity": seen_training.similarity,
    "latent": seen_training.latent,
    "latent_feature": lambda scene: seen_data.shapes(scene, "latent_feature"),
    "latent_corner": seen_training.latent_corner,
    "latent_quality": seen_training.latent_quality,
    "roc": seen_results.roc,
    "label_efficiency": seen_results.label_efficiency,
    "tagger_output": seen_data.tagger_output,
    "mistag_change": seen_results.mistag_change,
    "robustness": seen_results.robustness,
    "stability": seen_results.stability,
    "calibration": seen_results.calibration,
    "ablations": seen_results.ablations,
    "resources": seen_data.resources,
}
"""Kind of a figure (or a table: ``calibration``), and what says what is seen in it. A schematic shows no data."""

HEADLINE = ("latent_quality", "stability", "calibration")
HEADLINE_OF_TASK = ("roc", "label_efficiency", "robustness", "mistag_change")
"""Kinds that the summary repeats, of the campaign and of each task."""


def seen(kind: str, item: str, paths: CampaignPaths, config: Campaign) -> str:
    """Return what is seen in a figure as plain text; empty if there is nothing to say, or no table to say it from.

    ``kind``, ``item``: as in :func:`rs3l.report.captions.kind_and_item`.
    """
    if kind not in SEEN:
        return ""
    try:
        text = SEEN[kind](Scene(item, paths, config)).strip()
    except DataError:  # a table that is missing, or of another version
        return ""
    return f"{text} {_marks(text, paths)}".strip() if text else ""


def _marks(text: str, paths: CampaignPaths) -> str:
    """Return what a sentence must not leave unsaid: which of its methods collapsed, and what its signs mean."""
    found = [Path(path) for path in (paths.summary, paths.ablations_summary) if Path(path).is_file()]
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    collapsed = dict.fromkeys(method for summary in summaries for method in collapsed_methods(summary))
    named = [method for method in collapsed if method in text or short_label(method) in text]
    about = f"{SIGNS['collapsed']} Collapsed in pre-training, and used all the same: {', '.join(named)}."
    return f"{about if named else ''} {legend(text.replace(SIGNS['collapsed'], ''))}".strip()


def headlines(paths: CampaignPaths, config: Campaign) -> list[tuple[str, str]]:
    """Return what is seen in the results: name of the figure, and the sentences."""
    items = [(kind, task) for task in config.tasks for kind in HEADLINE_OF_TASK]
    items += [(kind, "") for kind in HEADLINE]
    found = [(f"{kind}_{item}".rstrip("_"), seen(kind, item, paths, config)) for kind, item in items]
    return [(name, text) for name, text in found if text]
