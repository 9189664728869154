"""The report: self-contained, escaped, with what is there and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest

from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.names import method_label, task_text
from rs3l.evaluate.registry import TABLES
from rs3l.evaluate.tables import rows_where
from rs3l.figures.plot_results import read_table
from rs3l.figures.registry import FIGURES, kind_and_item
from rs3l.paths import CampaignPaths
from rs3l.report.brief import findings
from rs3l.report.captions import FOLDER, caption, plain
from rs3l.report.contents import SECTIONS, read_json
from rs3l.report.first_screen import facts, main_table
from rs3l.report.graph import graph_svg, layout, rule_graph
from rs3l.report.page import markdown, report
from rs3l.report.sections import results_table
from rs3l.report.theme import svg_uri, themed
from support.toy_campaign import ROOT, campaign, write_results
from support.workflow import run_script


class Page(HTMLParser):
    """Identifiers, links, pictures and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        if tag == "img":
            self.sources.append((values["src"], values["alt"]))


@pytest.fixture(scope="module")
def config() -> Campaign:
    return campaign()


@pytest.fixture(scope="module")
def results(config: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(config, tmp_path_factory.mktemp("toy"))


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(results, tmp_path / "copy")


def test_the_page_needs_nothing_else(config: Campaign, results: Path) -> None:
    page = Page(report(config, results))
    assert len(page.ids) == len(set(page.ids))
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert inner <= set(page.ids) and {"overview", "dataset", "provenance", "figure-matching"} <= inner
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert all(source.startswith("data:") for source, _ in page.sources)
    assert "script" in page.tags and "iframe" not in page.tags


def test_pictures_are_the_figures_and_have_words(config: Campaign, results: Path) -> None:
    page = Page(report(config, results))
    svg = (results / "figures" / "matching.svg").read_text(encoding="utf-8")
    alternatives = dict(page.sources)
    assert alternatives[svg_uri(themed(svg))].startswith("Fraction of the hard events with a matched jet")
    points = (results / "figures" / "matching.csv").read_text(encoding="utf-8")
    found = [unquote(link.partition(",")[2]) for link in page.links if link.startswith("data:text/csv")]
    assert points in found


def test_captions_say_what_is_shown_and_what_is_seen(config: Campaign, results: Path) -> None:
    text = report(config, results)
    assert "Expect" not in text
    matching = text.split('<figure id="figure-matching">')[1].split("</figure>")[0]
    shown = matching.split("<figcaption>")[1].split("</p>")[0]
    assert "under each variant, under any two of them, and under all." in shown
    assert "<strong>Seen:</strong> A variant leaves a jet in" in shown


def test_the_first_screen_has_findings_facts_and_a_sorted_table(config: Campaign, results: Path) -> None:
    paths = CampaignPaths(str(results))
    sentences = findings(paths, config)
    assert [sentence.split(",")[0] for sentence in sentences[:2]] == ["H against QCD", "W against QCD"]
    assert len(sentences) == 3 and "showered twice" in sentences[2]
    summary = read_json(paths.summary)
    events = sum(process["hard_events"] for process in summary["dataset"]["processes"].values())
    assert f"{events:,} hard events" in facts(paths, summary)
    table = main_table(config, paths)
    values = [float(re.sub(r"<[^>]+>|>\s*|&gt;", "", row[1]).split()[0]) for row in table.rows if row[1]]
    assert values == sorted(values, reverse=True)
    assert table.rows[0][1].startswith("<strong>") and len(table.columns) == len(table.rows[0])


def test_numbers_are_those_of_the_tables(config: Campaign, results: Path) -> None:
    text = report(config, results)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    for entry in summary["headline"]:
        assert entry["text"].replace("+-", "±").replace(">", "&gt;") in text
    metrics = pd.read_csv(results / "evaluation" / "metrics.csv", keep_default_na=False)
    assert {f"table-{task}-auc" for task in metrics["task"]} <= set(Page(text).ids)
    assert summary["provenance"]["versions"]["numpy"] in text
    assert "events_per_shard: 120" in text  # the whole configuration


def test_text_of_a_configuration_is_escaped(config: Campaign, results: Path) -> None:
    bad = "<img src=x onerror=alert(1)>"
    processes = {**config.processes, "qcd": config.processes["qcd"].model_copy(update={"label": bad})}
    text = report(config.model_copy(update={"processes": processes}), results)
    assert bad not in text and "&lt;img src=x" in text


def test_sections_appear_with_their_files(config: Campaign, copy: Path) -> None:
    config = config.model_copy(update={"ablations": {"fewer": {"events": 0.5}}})
    assert "ablations" not in Page(report(config, copy)).ids
    (copy / "ablations").mkdir()
    (copy / "ablations" / "summary.json").write_text(
        json.dumps({"headline": [{"text": "No ablation is better"}]}), encoding="utf-8"
    )
    (copy / "ablations" / "metrics.csv").write_text("method,value\nfewer,0.5\nrs3l,0.6\n", encoding="utf-8")
    (copy / "evaluation" / "robustness.csv").write_text("variant,distance\nfsr_hi,0.25\n", encoding="utf-8")
    text = report(config, copy)
    robustness = text.split('<section id="robustness">')[1].split("</section>")[0]
    ablations = text.split('<section id="ablations">')[1].split("</section>")[0]
    assert "<td>fsr_hi</td><td>0.25</td>" in robustness
    assert "No ablation is better" in ablations and "<td>fewer</td><td>0.5</td>" in ablations


def test_a_campaign_that_is_not_finished_is_refused(config: Campaign, copy: Path) -> None:
    (copy / "summary.json").unlink()
    with pytest.raises(DataError, match=r"summary\.json: cannot be read .* to its end first"):
        report(config, copy)


def test_every_kind_of_figure_has_its_caption(config: Campaign) -> None:
    for figure, kind in FIGURES.items():
        html = caption(config, f"{figure}_h_vs_qcd")
        assert kind_and_item(f"{figure}_h_vs_qcd") == (kind, "h_vs_qcd")
        assert "snakemake" not in html and "{{" not in html and len(plain(html)) > 40, figure
        assert not re.search(r"&gt;\s+GeV|= ,|=\s+\.", html), figure  # a value is missing
    assert {path.stem for path in FOLDER.glob("*.rst")} == set(FIGURES)
    assert "300" in caption(config, "jet_types") and "h_vs_qcd" in caption(config, "roc_h_vs_qcd")


def test_tables_of_results_begin_with_the_best_method(results: Path) -> None:
    metrics = read_table(results / "evaluation" / "metrics.csv")
    for metric in ("auc", "rejection_0.5"):
        table = results_table(metrics, "h_vs_qcd", metric)
        assert list(table.columns) == ["method", "20 labels", "200 labels"]
        values = rows_where(metrics, {"task": "h_vs_qcd", "metric": metric, "labels": 200}).sort_values(
            "value", ascending=False, kind="stable"
        )
        names = [method_label((row["method"], row["mode"])) for row in values.to_dict("records")]
        assert table["method"].tolist()[: len(names)] == names
    assert results_table(metrics, "h_vs_qcd", "nothing").empty


def test_a_task_is_named_by_its_labels_if_they_are_its_own(config: Campaign) -> None:
    assert task_text(config, "h_vs_qcd") == "H against QCD"
    twice = {"one": config.tasks["h_vs_qcd"], "two": config.tasks["h_vs_qcd"]}
    assert task_text(config.model_copy(update={"tasks": twice}), "two") == "two"


def test_every_figure_and_table_has_its_section() -> None:
    sections = {kind.section for kind in (*FIGURES.values(), *TABLES.values())}
    assert sections == set(SECTIONS)
    assert kind_and_item("something_new") == (None, "")


def test_the_graph_shows_the_rules_from_left_to_right(config: Campaign) -> None:
    graph = rule_graph(config)
    assert ("resimulate", "merge") in graph.edges
    assert ("resimulate", "figures") not in graph.edges, "implied"
    places = layout(graph)
    assert places["resimulate"][0] < places["merge"][0] < places["figures"][0] < places["report"][0]
    root = ElementTree.fromstring(graph_svg(config))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(map(str, texts)) == sorted(graph)


def test_the_summary_in_markdown(config: Campaign, results: Path) -> None:
    text = markdown(config, results)
    assert text.startswith("# Campaign test\n\n- Rejection of QCD at 50% H efficiency with 20 labels")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count(" | ") for line in rows if line.startswith(("| method", "| RS3L"))} == {4}
    assert "| higgs_bb | H | pretrain | 40 |" in text


def test_the_script(copy: Path) -> None:
    config = str(ROOT / "config" / "test.yaml")
    result = run_script("report.py", "--config", config, "--root", str(copy))
    assert result.returncode == 0, result.stderr
    assert "figure-schematic" in (copy / "report.html").read_text(encoding="utf-8")
    assert (copy / "summary.md").read_text(encoding="utf-8").startswith("# Campaign test")
    (copy / "summary.json").unlink()
    failed = run_script("report.py", "--config", config, "--root", str(copy))
    assert failed.returncode == 1 and "error: " in failed.stderr and "summary.json" in failed.stderr
