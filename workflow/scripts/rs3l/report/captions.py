"""Captions of the figures, in Jinja and reStructuredText, written for Snakemake's report and used here as well.

Snakemake fills in the ``params`` and ``wildcards`` of the rule and the whole configuration; here they come from
the configuration.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
from docutils.core import publish_parts
from markupsafe import Markup

from rs3l import figures
from rs3l.config.campaign import Campaign
from rs3l.figures.registry import QUOTES, kind_and_item

FOLDER = Path(figures.__file__).parent / "captions"
"""This folder has a file for each kind of figure."""

_DOCUTILS = {
    "raw_enabled": False,
    "file_insertion_enabled": False,
    "report_level": 5,
    "initial_header_level": 4,
    "embed_stylesheet": False,
    "stylesheet_path": None,
}


def caption(config: Campaign, figure: str) -> Markup:
    """Return the caption of a figure as HTML, or an empty text if there is none."""
    kind, item = kind_and_item(figure)
    if kind is None:
        return Markup("")
    path = FOLDER / f"{kind.name}.rst"
    source = jinja2.Environment(undefined=jinja2.ChainableUndefined, autoescape=False).from_string(
        path.read_text(encoding="utf-8")
    )
    text = source.render(snakemake=_snakemake(config, item))
    return Markup(publish_parts(text, writer="html5", settings_overrides=_DOCUTILS)["body"])


def parts(html: Markup) -> tuple[Markup, Markup]:
    """Return the first paragraph of a caption, which says what is shown, without its tags, and the rest of it."""
    first, _, rest = html.partition("</p>")
    return Markup(first.partition("<p>")[2]), Markup(rest.strip())


def plain(html: str) -> str:
    """Return the first sentence of a caption without tags, for a picture's alternative text."""
    text = " ".join(Markup(html).striptags().split())
    sentence = re.match(r".+?\.(?=\s|$)", text)
    return sentence[0] if sentence else text


def _snakemake(config: Campaign, item: str) -> SimpleNamespace:
    """Return the attributes that the captions read from ``snakemake``."""
    params = {name: of(config) for name, of in QUOTES.items()}
    wildcards = SimpleNamespace(task=item, process=item)
    return SimpleNamespace(params=SimpleNamespace(**params), wildcards=wildcards, config=config.model_dump())
