"""Labels are free text: figures, Markdown and HTML show them to the letter, whatever they hold."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml
from docutils.core import publish_parts
from matplotlib.cbook import is_math_text
from matplotlib.text import Text

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.dataset.card import card_text
from rs3l.errors import ConfigError
from rs3l.figures import style
from rs3l.figures.draw import Inputs, draw
from rs3l.markdown import escaped
from rs3l.paths import CampaignPaths
from rs3l.report.contents import read_json
from rs3l.report.page import markdown, report
from support.drawing import given
from support.toy_campaign import ROOT, write_latents, write_results, write_training

TASK = "h_vs_qcd"
LABELS = {
    "higgs_bb": "$\\frac{<script>alert(1)</script>\\",
    "qcd": "_q|c*d*\n$\\$&lt;",
    "w_qq": "`W` [a](http://b) ~~c~~ _d_ |",
}
SHOWN = {name: " ".join(label.split()) for name, label in LABELS.items()}
FIGURES = (
    "jet_mass", "jet_types", "jet_variations", "event_views", "survival", "matching", "latent", "latent_feature",
    "latent_corner", "similarity", "roc", "label_efficiency", "stability", "robustness", "mistag_change", "ablations",
    "tagger_output",
)  # fmt: skip


@pytest.fixture(scope="module")
def config() -> Campaign:
    values = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    for name, label in LABELS.items():
        values["processes"][name]["label"] = label
    return parse_campaign({**values, "tasks": {TASK: values["tasks"][TASK]}})


@pytest.fixture(scope="module")
def results(config: Campaign, tmp_path_factory: pytest.TempPathFactory) -> CampaignPaths:
    root = tmp_path_factory.mktemp("toy")
    (root / "dataset").mkdir()
    return CampaignPaths(str(write_results(config, root, events=40)))


@pytest.fixture(scope="module")
def inputs(results: CampaignPaths, config: Campaign) -> Inputs:
    tables = ("roc", "metrics", "stability", "robustness")
    latents = write_latents(config, Path(results.root), "rs3l_s0")
    return given(
        manifest=results.manifest,
        latents=latents,
        first_latents=latents,
        training=[write_training(Path(results.model_metrics("rs3l_s0")))],
        measures=[results.measures(TASK, run) for run in blocks.evaluate(config).runs],
        ablations_table=results.evaluation("metrics"),
        task=TASK,
        process="qcd",
        **{f"{name}_table": results.evaluation(name) for name in tables},
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_show_labels_to_the_letter(figure: str, config: Campaign, inputs: Inputs, tmp_path: Path) -> None:
    drawing = draw(figure, blocks.figures(config), style.Header("toy", 13000.0), inputs)
    if figure in ("matching", "similarity", "robustness"):
        with style.styled():
            drawing.figure.savefig(tmp_path / "figure.png", dpi=20)
    texts = [text.get_text() for text in drawing.figure.findobj(Text)]  # type: ignore[arg-type]
    labelled = [text for text in texts if any(part in text for part in ("script", "c*d"))]
    assert labelled and not any(map(is_math_text, labelled))
    shown = [text.replace(r"\$", "$") for text in labelled]
    assert all(SHOWN["higgs_bb"] in text or SHOWN["qcd"] in text for text in shown)


def test_names_of_points_keep_labels_that_begin_with_an_underscore(config: Campaign, inputs: Inputs) -> None:
    names = draw("matching", blocks.figures(config), style.Header("toy"), inputs).figure.axes[0].texts
    shown = [" ".join(text.get_text().split()).replace(r"\$", "$") for text in names]
    assert shown == list(SHOWN.values())


@pytest.mark.parametrize("text", ["$", "a$b$c", r"\$x\$", r"$\nosuch{$", "_x", "50 $ < 60 €"])
def test_text_is_no_formula_and_no_hidden_label(text: str) -> None:
    assert not is_math_text(style.text(text))
    assert style.text(text).replace(r"\$", "$").strip() == text and not style.text(text).startswith("_")
    assert is_math_text(rf"{style.text(text)} of $p_T$")  # the formula beside it is one


MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[`*|$]|<[A-Za-z/!?]|(?<!\\)\]\(|&\w+;")
"""What Markdown would take for markup in a text of one line."""


@pytest.mark.parametrize("text", ["\0", "H\x01", "\x7f", "\ufffe"])
def test_a_label_has_no_character_that_svg_and_html_may_not_have(test_values: dict[str, Any], text: str) -> None:
    values = copy.deepcopy(test_values)
    values["processes"]["qcd"]["label"] = text
    with pytest.raises(ConfigError, match=r"processes.qcd.label: a label has no control characters"):
        parse_campaign(values)


@pytest.mark.parametrize("text", [*LABELS.values(), "<b>", "a\n# b", "![x](y)", "[a][b]", "&amp;", "\\|", "~~~"])
def test_escaped_text_has_no_markup(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line and not MARKUP.search(line.replace("&lt;", "").replace("&amp;", ""))
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", line).replace("&lt;", "<").replace("&amp;", "&")
    assert plain == " ".join(text.split())


def test_plain_text_stays_as_it_is() -> None:
    for text in ("RS3L, frozen, linear on h", "9.1 ± 0.3 (+2.1 σ)", "> 5", "< 0.2", "pT-hat [GeV]", "fsr_hi"):
        assert escaped(text) == text


def cells(line: str) -> int:
    """Return the number of cells of a line of a table."""
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1


def widths(text: str) -> list[set[int]]:
    """Return the numbers of cells of the lines of each table; a sound table has one."""
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    return [{cells(line) for line in lines} for lines in tables]


def card(paths: CampaignPaths) -> str:
    manifest: dict[str, Any] = read_json(paths.manifest)
    manifest |= {"pythia": "8", "detector": "none", "seed": 1, "min_views": 2, "schema": {"event_id": "int64"}}
    return card_text(manifest)


def summary(paths: CampaignPaths, config: Campaign) -> str:
    return markdown(config, paths.root)


@pytest.mark.parametrize("page", [lambda paths, config: card(paths), summary], ids=["card", "summary"])
def test_markdown_has_no_html_and_whole_tables(
    page: Callable[[CampaignPaths, Campaign], str], results: CampaignPaths, config: Campaign
) -> None:
    text = page(results, config)
    assert "<script" not in text and "&lt;script" in text
    assert widths(text) and all(len(width) == 1 for width in widths(text))
    assert all(f"| {escaped(label)} |" in text for label in LABELS.values())


class Tags(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_report_has_one_script_and_the_labels_as_text(results: CampaignPaths, config: Campaign) -> None:
    page = Tags(report(config, results.root))
    assert page.tags.count("script") == 1
    assert all(label in page.words for label in LABELS.values())


def test_the_overview_of_snakemakes_report_shows_labels(config: Campaign) -> None:
    source = (ROOT / "workflow" / "report" / "overview.rst").read_text(encoding="utf-8")
    text = jinja2.Template(source).render(snakemake=SimpleNamespace(config=config.model_dump()))
    body = publish_parts(text, writer="html5", settings_overrides={"report_level": 5})["body"]
    page = Tags(body)
    words = " ".join(page.words.split())
    assert "script" not in page.tags and "system-message" not in body and "problematic" not in body
    assert all(f"({label})" in words for label in SHOWN.values())
