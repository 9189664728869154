"""Figures in the report follow the page, and stay what they are."""

from __future__ import annotations

import io
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rs3l.figures import style
from rs3l.report.theme import DARK_INK, DARK_PAPER, WIDEST_ON_PHONE, csv_uri, is_narrow, svg_uri, themed

SVG = "{http://www.w3.org/2000/svg}"
LABEL = """<a> & "b's" 0.12345 % #"""
WHITE, DARK_PAGE = "#ffffff", "#15181b"


@pytest.fixture
def svg(tmp_path: object) -> str:
    with style.styled():
        figure = Figure(figsize=(3, 2))
        ax = figure.subplots()
        ax.plot([0.0, 1.0], [0.0, 1.0], color=style.BLUE, marker="o", mfc=style.PAPER)
        ax.set_title(LABEL)
        figure.savefig(f"{tmp_path}/figure.svg")
    with open(f"{tmp_path}/figure.svg", encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize(("more", "narrow"), [(-0.5, True), (0.5, False)])
def test_narrow_figures_are_known_by_their_width(more: float, narrow: bool) -> None:
    buffer = io.StringIO()
    with style.styled():
        Figure(figsize=(WIDEST_ON_PHONE + more, 20.0)).savefig(buffer, format="svg")
    assert is_narrow(buffer.getvalue()) == is_narrow(themed(buffer.getvalue())) == narrow


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours of WCAG 2.1, 1 to 21."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_ink_and_paper_are_those_of_the_page(svg: str) -> None:
    text = themed(svg)
    assert text.count(style.INK) == text.count(style.PAPER) == 1, "in the definition alone"
    assert "var(--ink)" in text and "var(--paper)" in text and style.BLUE in text
    assert "fill: #ffffff" not in text and len(text) < len(svg)


def test_words_stay_to_the_letter(svg: str) -> None:
    root = ElementTree.fromstring(unquote(svg_uri(themed(svg)).partition(",")[2]))
    assert LABEL in ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def test_a_data_uri_needs_no_escape_in_an_attribute() -> None:
    table = 'name,value\n"a<b>&\'c",1%\n'
    assert not set(str(csv_uri(table)).partition(",")[2]) & set('<>"&#\n ')
    assert unquote(csv_uri(table).partition(",")[2]) == table


@pytest.mark.parametrize("names", [("rs3l_s0", "jetclr_s0", "third_s0", "fourth_s0", "none")])
def test_marks_can_be_seen_on_both_pages(names: tuple[str, ...]) -> None:
    looks = [look[0] for look in style.looks(names).values()]
    looks += [colour for colour, _ in style.processes("abcdefgh").values()]
    looks += [colour for name, (colour, _) in style.variants("abcdefgh").items() if name != "nominal"]
    assert min(contrast(colour, page) for colour in looks for page in (WHITE, DARK_PAGE)) >= 3.0
    assert contrast(style.INK, WHITE) > 7.0 and contrast(DARK_INK, DARK_PAPER) > 7.0


def test_modes_of_a_method_share_its_colour_and_processes_differ() -> None:
    looks = style.looks(["rs3l_s0", "jetclr_s0", "none"])
    colours = {method: {looks[key][0] for key in looks if key[0] == method} for method in ("rs3l", "jetclr")}
    assert colours == {"rs3l": {style.BLUE}, "jetclr": {style.VERMILION}}
    assert len({look[:2] for look in looks.values()}) == len(looks)
    assert len({colour for colour, _ in style.processes("abcdefgh").values()}) == 8
    assert style.variants(["nominal", "seed"])["nominal"][0] == style.INK
