"""What has failed and was used all the same is marked wherever its numbers appear."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.text
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks
from rs3l.dataset.checksum import COLLAPSED, write_sealed
from rs3l.evaluate.marks import footnote, mark, marked, warnings
from rs3l.evaluate.measures import SAMPLE
from rs3l.figures.draw import Inputs, draw
from rs3l.figures.style import Drawing, Header
from rs3l.paths import CampaignPaths
from rs3l.report import results_page
from rs3l.report.compare import compare
from rs3l.report.contents import read_json
from rs3l.report.page import markdown, report
from rs3l.report.sections import sections
from support.drawing import given
from support.toy_campaign import campaign, write_latents, write_results, write_training

SIGNS = "RankMe 1.20 < 3.00"
BLOCK = blocks.figures(campaign())


def spoil(histories: list[Path]) -> None:
    """One pre-training of RS3L collapsed; a network from scratch of the first task is under-trained."""
    for path in histories:
        table = pd.read_csv(path).assign(converged=True, collapsed="")
        if path.parent.name == "rs3l_s1":
            table["collapsed"] = SIGNS
        if (path.parent.parent.name, path.parent.name) == ("h_vs_qcd", "none"):
            chosen = (table["mode"] == "scratch") & (table["labels"] == 20) & (table["repeat"] == 1)
            table.loc[chosen, "converged"] = False
        table.to_csv(path, index=False)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(campaign(), tmp_path_factory.mktemp("spoiled"), qualities=True, spoil=spoil)


def table(root: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(root / "evaluation" / f"{name}.csv", keep_default_na=False, na_values=[""])


def marks(frame: pd.DataFrame, by: list[str]) -> dict[object, tuple[int, int]]:
    """Return the marks of each group of lines, which must be the same in all of them."""
    groups = frame.groupby(by)[["collapsed", "undertrained"]]
    assert (groups.nunique() == 1).all().all()
    return {
        key: tuple(values) for key, values in zip(groups.first().index, groups.first().to_numpy(), strict=True)
    }


@pytest.mark.parametrize("name", ["metrics", "calibration", "stability", "roc", "robustness"])
def test_every_line_counts_what_failed_behind_it(spoiled: Path, name: str) -> None:
    found = marks(table(spoiled, name), ["task", "method", "mode", "labels"])
    for (task, method, mode, labels), counts in found.items():
        short = (task, method, mode, labels) == ("h_vs_qcd", "none", "scratch", 20)
        assert counts == (int(method == "rs3l"), int(short)), (task, method, mode, labels)
    assert any(method == "rs3l" for _, method, _, _ in found)


def test_a_run_counts_its_own(spoiled: Path) -> None:
    runs = table(spoiled, "runs")
    assert set(runs.loc[runs["collapsed"] > 0, "run"]) == {"rs3l_s1"}
    short = runs[runs["undertrained"] > 0][["task", "mode", "labels", "repeat"]].drop_duplicates()
    assert short.to_numpy().tolist() == [["h_vs_qcd", "scratch", 20, 1]]


def test_a_comparison_counts_its_reference(spoiled: Path) -> None:
    differences, savings = table(spoiled, "differences"), table(spoiled, "savings")
    assert (differences["collapsed"] == 1).all() and (differences["reference_collapsed"] == 0).all()
    short = differences[differences["reference_undertrained"] > 0]
    key = short[["task", "reference_method", "reference_mode", "labels"]].drop_duplicates()
    assert key.to_numpy().tolist() == [["h_vs_qcd", "none", "scratch", 20]]
    assert set(savings.loc[savings["reference_undertrained"] > 0, "task"]) == {"h_vs_qcd"}


def test_latents_count_the_pretrainings(spoiled: Path) -> None:
    latents = table(spoiled, "latents")
    assert latents.groupby("method")["collapsed"].max().to_dict() == {"jetclr": 0, "rs3l": 1}


def test_a_table_without_failures_has_zeros_and_says_nothing() -> None:
    training = pd.DataFrame({"run": ["a_s0"], "task": "t", "mode": "m", "labels": 1, "repeat": 0})
    training = training.assign(converged=True, collapsed="")
    found = marked(pd.DataFrame({"task": ["t"], "method": ["a"], "mode": "m", "labels": 1}), training)
    assert found[["collapsed", "undertrained"]].to_numpy().tolist() == [[0, 0]]
    assert footnote(found) == mark(found.iloc[0].to_dict()) == "" and warnings({"classifiers": 3}) == []


def test_summary_and_report_begin_with_it(spoiled: Path) -> None:
    summary = read_json(CampaignPaths(str(spoiled)).summary)
    assert summary["collapsed"] == {"rs3l_s1": SIGNS}
    assert summary["undertrained"] == ["h_vs_qcd/none scratch, 20 labels, repeat 1"]
    assert re.search(r"\d † \(RS3L, frozen, linear on h\) against \S+ \+- \S+ ‡", summary["headline"][0]["text"])
    said = warnings(summary)
    page, text = report(campaign(), spoiled), markdown(campaign(), spoiled)
    assert len(said) == 2 and all(f"**{warning}**" in text for warning in said)
    assert page.count('<p class="warning"') == 2
    assert re.search(r"\| RS3L, frozen, linear on h \| 20 \| [^|]+ † \|", text)


def test_tables_of_the_report_have_marks_and_their_meaning(spoiled: Path) -> None:
    tasks = next(s for s in sections(campaign(), CampaignPaths(str(spoiled))) if s.name == "tasks")
    shown = {table.name: table for table in tasks.tables}
    auc = {row[0]: row[1:] for row in shown["h_vs_qcd-auc"].rows}
    assert all(cell.endswith(" †") for cell in auc["RS3L, fine-tuned"])
    assert [cell.endswith(" ‡") for cell in auc["from scratch"]] == [True, False]
    assert not any("†" in cell or "‡" in cell for cell in auc["JetCLR+, fine-tuned"])
    for name in ("h_vs_qcd-auc", "h_vs_qcd-paired"):
        assert "on_collapse" in shown[name].about and "on_undertrained" in shown[name].about
    assert "‡" not in shown["w_vs_qcd-auc"].about
    paired = {tuple(row[:3]): row[3] for row in shown["h_vs_qcd-paired"].rows}
    assert paired["RS3L, fine-tuned", "from scratch", "20"].endswith(" †‡")


def test_what_is_seen_names_the_collapsed_method(spoiled: Path) -> None:
    assert re.search(r"\*\*ROC: h_vs_qcd\.\*\* .*Collapsed in pre-training.*rs3l", markdown(campaign(), spoiled))


def test_comparisons_and_pages_of_results_have_marks(spoiled: Path) -> None:
    metrics = next(t for t in compare(spoiled, spoiled) if t.name == "metrics")
    column = metrics.columns.index("A")
    for row in metrics.rows:
        assert ("†" in row[column]) == row[1].startswith("RS3L"), row
    page = results_page.metrics(spoiled / "evaluation", "h_vs_qcd", "auc").set_index("method")
    assert page.loc["RS3L, fine-tuned"].str.endswith(" †").all()
    ratios = results_page.differences(spoiled / "evaluation", "h_vs_qcd", "auc")
    assert ratios["20 labels"].str.contains("†").all()


def texts(drawing: Drawing) -> list[str]:
    """Return the words of a figure."""
    return [found.get_text().replace("\n", " ") for found in drawing.figure.findobj(matplotlib.text.Text)]


@pytest.fixture(scope="module")
def inputs(spoiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    paths, folder = CampaignPaths(str(spoiled)), tmp_path_factory.mktemp("inputs")
    training = [write_training(folder / run / "metrics.csv") for run in ("rs3l_s1", "jetclr_s0")]
    rows = pd.read_csv(training[0]).assign(collapsed=[3, 2, 1, 1])
    rows.to_csv(training[0], index=False)
    latents = [path for run in ("rs3l_s1", "jetclr_s0") for path in write_latents(campaign(), folder, run)]
    measures = [Path(paths.measures("h_vs_qcd", run)) for run in blocks.evaluate(campaign()).runs]
    for path in (latents[0], next(path for path in measures if path.parent.name == "rs3l_s0")):
        sign(path)
    return given(
        task="h_vs_qcd", training=list(training), latents=list(latents), measures=list(measures),
        **{f"{name}_table": paths.evaluation(name) for name in ("metrics", "roc", "stability", "robustness", "latents")},
        ablations_table=paths.evaluation("metrics"),
    )  # fmt: skip


def sign(path: Path) -> None:
    """Mark a file as its stage does."""
    found = pq.read_metadata(path).metadata
    own = {key: value for key, value in found.items() if key in (SAMPLE.encode(), b"rs3l.latents")}
    write_sealed(path, pq.read_table(path).replace_schema_metadata({**own, COLLAPSED: SIGNS}))


@pytest.mark.parametrize(
    ("name", "failed", "healthy"),
    [
        ("roc", "RS3L, fine-tuned", "JetCLR+, frozen, linear on h"),
        ("label_efficiency", "RS3L, fine-tuned", "JetCLR+, frozen, linear on h"),
        ("stability", "RS3L, fine-tuned", "JetCLR+, frozen, linear on h"),
        ("robustness", "RS3L, fine-tuned", "JetCLR+, frozen, linear on h"),
        ("mistag_change", "RS3L, fine-tuned", "from scratch"),
        ("ablations", "RS3L, fine-tuned", "JetCLR+, fine-tuned"),
        ("latent_quality", "RS3L, h", "JetCLR+, h"),
        ("tagger_output", "RS3L, fine-tuned", "from scratch"),
        ("training", "RS3L", "JetCLR+"),
        ("similarity", "RS3L", "JetCLR+"),
        ("latent", "RS3L, seed 1", "JetCLR+, seed 0"),
    ],
)
def test_legends_have_marks_and_figures_say_what_they_mean(
    inputs: Inputs, name: str, failed: str, healthy: str
) -> None:
    drawing = draw(name, BLOCK, Header("toy"), inputs)
    words = texts(drawing)
    named = {who: [text for text in words if text.startswith(who)] for who in (failed, healthy)}
    assert all(named.values())
    assert all(text.startswith(f"{failed} †") for text in named[failed])
    assert not any("†" in text for text in named[healthy])
    assert any(text.startswith("† a pre-training") for text in words)
    assert drawing.points["collapsed"].max() >= 1


def test_a_healthy_figure_has_no_footnote(inputs: Inputs, tmp_path: Path) -> None:
    healthy = given(training=[inputs.all("training")[1]])
    drawing = draw("training", BLOCK, Header("toy"), healthy)
    assert not any("†" in text for text in texts(drawing)) and "collapsed" not in drawing.points
