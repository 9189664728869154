"""Make the figures of the report follow the light or dark page that shows them.

A figure as a file has dark ink on white paper. In the report its ink and paper are those of the page, and the
background is that of the page. A picture in a page cannot see the page's style, but it does see whether its reader
prefers a dark one.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from markupsafe import Markup

from rs3l.figures.style import INK, PAPER

DARK_INK = "#e4e8ec"
"""Text and axes on a dark page."""
DARK_PAPER = "#1f2429"
"""Open marks on a dark page."""

WIDEST_ON_PHONE = 6.0
"""Figures up to this width [inch] are shown as a whole on a phone."""

_STYLE = (
    f"<style>:root{{--ink:{INK};--paper:{PAPER}}}"
    f"@media(prefers-color-scheme:dark){{:root{{--ink:{DARK_INK};--paper:{DARK_PAPER}}}"
    "[style*='#e6e6e6']{fill:#4a525a!important}[style*='#bfe0f5']{fill:#1d4d70!important}"
    "[style*='#f8cfa8']{fill:#7a4310!important}}</style>"
)
_WIDTH = re.compile(r"""<svg [^>]*?\bwidth=['"]([\d.]+)pt['"]""")
_TAG = re.compile(r"<[^>!?]+>")
_DIGITS = re.compile(r"(?<![\w.#])(-?\d+\.\d{2})\d+")
_NAME = re.compile(r" id='(?:[a-zA-Z0-9]+|matplotlib\.axis)_[\d.]+'")
"""Matplotlib's names of parts, which nothing refers to."""
_UNQUOTED = " !$()*+,-./:;=?@[]^_{|}~'"
"""These characters stand for themselves in a data URI in double quotes."""
_BETWEEN = re.compile(r">\s+<")
_FIRST_WHITE = re.compile(r"fill: #ffffff")
_NEEDLESS = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)


def themed(svg: str) -> str:
    """Return an SVG of matplotlib whose ink and paper follow the page, with coordinates of two decimals.

    The words in it stay as they are; attributes have single quotes.
    """
    start = svg.index("<svg")
    text = _NEEDLESS.sub("", svg[start:])
    text = _FIRST_WHITE.sub("fill: none", text, count=1)
    text = text.replace(INK, "var(--ink)").replace(PAPER, "var(--paper)")
    text = _TAG.sub(_shorter, text).replace("DejaVu Sans", "DejaVu Sans,Verdana,sans-serif")
    end = text.index(">") + 1
    return text[:end] + _STYLE + _BETWEEN.sub("><", text[end:])


def is_narrow(svg: str) -> bool:
    """Return whether a phone shows a figure as a whole; wider ones are swiped."""
    width = _WIDTH.search(svg)
    return width is not None and float(width[1]) <= 72.0 * WIDEST_ON_PHONE


def svg_uri(svg: str) -> Markup:
    """Return an SVG as a data URI for an attribute in double quotes, which is a quarter shorter than base64."""
    return Markup("data:image/svg+xml," + quote(" ".join(svg.split()), safe=_UNQUOTED))


def csv_uri(text: str) -> Markup:
    """Return a CSV table as a data URI for an attribute in double quotes."""
    return Markup("data:text/csv," + quote(text, safe=_UNQUOTED.replace(" ", "")))


def _shorter(tag: re.Match[str]) -> str:
    """Return a tag with coordinates of two decimals; embedded pictures have none."""
    text = tag[0].replace("'", "").replace('"', "'")
    return text if text.startswith("<image") else _DIGITS.sub(r"\1", _NAME.sub("", text))
