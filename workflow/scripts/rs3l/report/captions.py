"""Captions of the figures: Jinja in reStructuredText, written for Snakemake's report and used here as well.

Snakemake fills in the ``params`` and ``wildcards`` of the rule, and the whole configuration; here they come from
the configuration.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
from docutils.core import publish_parts
from markupsafe import Markup

from rs3l.config import blocks
from rs3l.config.models import Campaign
from rs3l.eval.figures import FIGURES
from rs3l.eval.names import losses_text, methods_text, subject_text

FOLDER = Path(__file__).resolve().parents[3] / "report"
"""``workflow/report``: a file for each kind of figure."""

_DOCUTILS = {
    "raw_enabled": False,
    "file_insertion_enabled": False,
    "report_level": 5,
    "initial_header_level": 4,
    "embed_stylesheet": False,
    "stylesheet_path": None,
}


def kind_and_item(figure: str) -> tuple[str, str]:
    """Return the kind of a figure's file, e.g. ``roc``, and the task or process it belongs to (or nothing)."""
    kinds = [kind for kind in known_kinds() if figure == kind or figure.startswith(f"{kind}_")]
    kind = max(kinds, key=len, default=figure)
    return kind, figure[len(kind) + 1 :]


def known_kinds() -> set[str]:
    """Return the kinds of figures that have a caption, or a function that draws them."""
    return {*FIGURES, *(path.stem for path in FOLDER.glob("*.rst"))}


def caption(config: Campaign, figure: str) -> Markup:
    """Return the caption of a figure as HTML; empty if there is none."""
    kind, item = kind_and_item(figure)
    path = FOLDER / f"{kind}.rst"
    if not path.is_file():
        return Markup("")
    source = jinja2.Environment(undefined=jinja2.ChainableUndefined, autoescape=False).from_string(
        path.read_text(encoding="utf-8")
    )
    text = source.render(snakemake=_snakemake(config, item))
    return Markup(publish_parts(text, writer="html5", settings_overrides=_DOCUTILS)["body"])


def plain(html: str) -> str:
    """Return the first sentence of a caption without tags, for a picture's alternative text."""
    text = " ".join(Markup(html).striptags().split())
    sentence = re.match(r".+?\.(?=\s|$)", text)
    return sentence[0] if sentence else text


def _snakemake(config: Campaign, item: str) -> SimpleNamespace:
    """Return what the captions ask of ``snakemake``."""
    params: dict[str, Any] = {
        "jets": config.jets.model_dump(),
        "evaluate": config.evaluate.model_dump(),
        "loss": losses_text(config),
        "methods": methods_text(config),
        "subject": subject_text(config),
        "run": blocks.runs(config)[0],
        "energy": f"{config.generator.ecm:g}",
    }
    wildcards = SimpleNamespace(task=item, process=item)
    return SimpleNamespace(params=SimpleNamespace(**params), wildcards=wildcards, config=config.model_dump())
