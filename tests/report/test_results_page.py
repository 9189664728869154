"""The page of results has the numbers of the tables beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rs3l.dataset.checksum import write_checked
from rs3l.errors import DataError
from rs3l.evaluate.growth import Series, growth_table
from rs3l.evaluate.power_law import Points
from rs3l.evaluate.registry import TABLES as KNOWN
from rs3l.report.page import markdown
from rs3l.report.results_page import KINDS, renewed
from rs3l.report.sections import number
from support.places import REPOSITORY
from support.toy_campaign import campaign, write_results

RESULTS = REPOSITORY / "docs" / "results"
SHIPPED = [RESULTS, RESULTS / "no_interactions"]
TABLES = [name for name, table in KNOWN.items() if table.published]
ABLATION_TABLES = [name for name, table in KNOWN.items() if table.published_of_ablations]
PAGE = """Words.

![Matching](figures/matching.png)

<!-- table: metrics h_vs_qcd auc -->
| old |
<!-- /table -->

More words.
"""
POINTS = Points(np.array([1e3, 2e3, 4e3]), [np.log([0.4, 0.41]), np.log([0.2, 0.21]), np.log([0.1, 0.11])])
ARGUMENTS = {
    "metrics": "h_vs_qcd rejection_0.5", "ratios": "h_vs_qcd rejection_0.5", "differences": "w_vs_qcd auc",
    "pretrained": "h_vs_qcd auc", "pretrained_ratios": "h_vs_qcd rejection_0.5", "savings": "h_vs_qcd auc",
    "matched": "h_vs_qcd", "correlations": "h_vs_qcd background", "across": "auc 20 tuned",
    "stable": "h_vs_qcd probe_h seed", "growth": "h_vs_qcd probe_h",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_results(campaign(), tmp_path_factory.mktemp("toy"))
    (folder / "summary.md").write_text(markdown(campaign(), folder), encoding="utf-8")
    (folder / "ablations").mkdir()
    growing = growth_table([Series("h_vs_qcd", "probe_h", 20, "auc", POINTS)], replicas=20)
    write_checked(folder / "ablations" / "growth.csv", growing.to_csv(index=False))
    for name in ABLATION_TABLES:  # jetclr may stand for an ablation
        shutil.copy(folder / "evaluation" / f"{name}.csv", folder / "ablations")
    return folder


@pytest.fixture(scope="module")
def tables(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    assert publish(results, folder).returncode == 0
    shutil.copy(folder / "tables" / "ablations" / "growth.csv", folder / "tables")
    return folder / "tables"


def publish(results: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / "publish.py"), str(results), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("table", ["evaluation/metrics.csv", "ablations/differences.csv"])
def test_nothing_is_published_of_a_table_that_was_changed(results: Path, tmp_path: Path, table: str) -> None:
    copied = tmp_path / "results"
    shutil.copytree(results, copied)
    write_checked(copied / table, (copied / table).read_text(encoding="utf-8"))
    assert publish(copied, tmp_path / "page").returncode == 0
    (copied / table).write_text(
        (copied / table).read_text(encoding="utf-8").replace("0", "1", 1), encoding="utf-8"
    )
    failed = publish(copied, tmp_path / "other")
    assert failed.returncode == 1
    assert f"{table}: its SHA-256 is not that in" in failed.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_shipped_page_is_in_step_with_its_tables(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert renewed(text, folder / "tables") == text, "run `make publish`"


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_every_figure_that_a_shipped_page_shows_is_there(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    pictures = [part.partition(")")[0] for part in text.split("](figures/")[1:]]
    assert pictures and all((folder / "figures" / name).is_file() for name in pictures)


def test_the_tables_of_the_shipped_pages_are_those_that_are_published() -> None:
    found = [
        {str(path.relative_to(folder / "tables")) for path in (folder / "tables").rglob("*.csv")}
        for folder in SHIPPED
    ]
    main = {f"{name}.csv" for name in TABLES}
    assert found[0] == {*main, *(f"ablations/{name}.csv" for name in [*ABLATION_TABLES, "growth"])}
    own = {f"{folder}/{name}.csv" for folder in ("ablations", "views") for name in ("metrics", "differences")}
    assert found[1] == main | own


def test_publishing_copies_what_is_shown_and_renews_the_page(results: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(PAGE, encoding="utf-8")
    assert publish(results, tmp_path).returncode == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| old |" not in text and text.startswith("Words.") and text.endswith("More words.\n")
    table = pd.read_csv(results / "evaluation" / "metrics.csv", keep_default_na=False)
    lines = table.query("task == 'h_vs_qcd' and method == 'none' and mode == 'scratch' and metric == 'auc'")
    cells = " | ".join(number(dict(line)) for _, line in lines.sort_values("labels").iterrows())
    assert f"| from scratch | {cells} |" in text
    assert (tmp_path / "tables" / "metrics.csv").read_bytes() == (
        results / "evaluation" / "metrics.csv"
    ).read_bytes()
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["matching.png"]
    assert renewed(text, tmp_path / "tables") == text


def test_all_figures_are_copied_where_there_is_no_page(results: Path, tables: Path) -> None:
    found = {path.name for path in (tables.parent / "figures").iterdir()}
    assert found == {path.name for path in (results / "figures").glob("*.png")} and len(found) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_has_lines(tables: Path, kind: str) -> None:
    table = KINDS[kind](tables, *ARGUMENTS[kind].split())
    assert len(table) and not table.isna().to_numpy().any()


def test_tables_of_what_is_pretrained_have_no_baselines(tables: Path) -> None:
    rows = KINDS["pretrained"](tables, "h_vs_qcd", "auc")["method"].tolist()
    assert {"RS3L, fine-tuned", "JetCLR+, fine-tuned"} <= set(rows) and "from scratch" not in rows
    pairs = KINDS["pretrained_ratios"](tables, "h_vs_qcd", "rejection_0.5").iloc[:, 0].tolist()
    assert "RS3L, fine-tuned / JetCLR+, fine-tuned" in pairs and not any("scratch" in pair for pair in pairs)


def test_a_table_across_tasks_has_all_tasks_and_one_mode(tables: Path) -> None:
    table = KINDS["across"](tables, "auc", "20", "tuned")
    assert list(table.columns) == ["method", "h_vs_qcd", "w_vs_qcd"]
    rows = table["method"].tolist()
    assert rows[0] == "RS3L, fine-tuned" and "from scratch" in rows
    assert not any("frozen" in row for row in rows)
    lines = pd.read_csv(tables / "metrics.csv").query("metric == 'auc' and labels == 20 and method == 'rs3l'")
    line = lines.query("mode == 'tuned' and task == 'w_vs_qcd'").iloc[0]
    assert table["w_vs_qcd"][0] == number(dict(line))
    alone = KINDS["across"](tables, "auc", "20", "tuned", "rs3l")
    assert alone["method"].tolist() == ["RS3L, fine-tuned"] and alone["w_vs_qcd"][0] == table["w_vs_qcd"][0]
    with pytest.raises(DataError, match="no line of the method other"):
        KINDS["across"](tables, "auc", "20", "tuned", "rs3l", "other")
    with pytest.raises(DataError, match="no line with {'mode': 'tuned_mlp', 'labels': 20}"):
        KINDS["across"](tables, "auc", "20", "tuned_mlp")


def test_a_power_law_is_shown_with_its_runs_and_what_it_extrapolates_to(tables: Path) -> None:
    (row,) = KINDS["growth"](tables, "h_vs_qcd", "probe_h").to_dict("records")
    assert row["quantity, labels"] == "1 - AUC, 20" and row["floor"] == "none"
    assert row["exponent (95 %)"].startswith("0.9")
    assert [row[f"{number} events"] for number in ("1,000", "2,000", "4,000")] == ["0.405", "0.205", "0.105"]
    assert "…" in row["10,000,000 events, extrapolated (95 %)"]


def test_where_a_floor_can_be_fitted_both_forms_are_shown(tmp_path: Path) -> None:
    values = [np.log([value - 0.01, value + 0.01]) for value in (0.9, 0.5, 0.3, 0.2, 0.15)]
    growing = Series("h_vs_qcd", "probe_h", 20, "auc", Points(1e3 * 2.0 ** np.arange(5), values))
    (table := growth_table([growing], replicas=20)).to_csv(tmp_path / "growth.csv", index=False)
    power, saturating = KINDS["growth"](tmp_path, "h_vs_qcd", "probe_h").to_dict("records")
    (last,) = table.query("form == 'saturating' and extrapolated").to_dict("records")
    assert power["floor"] == "none" and saturating["floor"] == f"{last['floor']:.2g}"
    beyond = f"{last['value']:.2g} ({last['boot_low_95']:.2g} … {last['boot_high_95']:.2g})"
    assert saturating["10,000,000 events, extrapolated (95 %)"] == beyond
    assert power["16,000 events"] == saturating["16,000 events"]


def test_a_table_of_ablations_takes_what_it_lacks_from_the_campaign(tables: Path, tmp_path: Path) -> None:
    shutil.copytree(tables, tmp_path / "tables")
    path = tmp_path / "tables" / "ablations" / "metrics.csv"
    lines = pd.read_csv(path, keep_default_na=False)
    lines[lines["method"] != "jetclr"].to_csv(path, index=False)
    arguments = ("auc", "20", "tuned", "rs3l", "jetclr")
    found = KINDS["across"](path.parent, *arguments)
    assert found["method"].tolist() == ["RS3L, fine-tuned", "JetCLR+, fine-tuned"]
    assert found.equals(KINDS["across"](tables, *arguments))
    shutil.copy(tables / "stability.csv", path.parent / "stability.csv")
    lines = pd.read_csv(path.parent / "stability.csv", keep_default_na=False)
    lines[lines["method"] != "jetclr"].to_csv(path.parent / "stability.csv", index=False)
    of = ("h_vs_qcd", "probe_h", "seed", "rs3l", "jetclr")
    assert KINDS["stable"](path.parent, *of).equals(KINDS["stable"](tables, *of))


def test_stability_is_shown_of_the_variants_and_methods_that_are_named(tables: Path) -> None:
    names = sorted(pd.read_csv(tables / "stability.csv").query("first == 'nominal'")["second"].unique())
    table = KINDS["stable"](tables, "h_vs_qcd", "probe_h", names[-1])
    assert set(table.columns[1:]) == {f"{side}, {names[-1]}" for side in ("signal", "background")}
    assert len(table) > 1
    (row,) = KINDS["stable"](tables, "h_vs_qcd", "probe_h", ",".join(names), "jetclr").to_dict("records")
    assert row["method"] == "JetCLR+, frozen, linear on h" and len(row) == 1 + 2 * len(names)
    with pytest.raises(DataError, match="no line of the variant herwig"):
        KINDS["stable"](tables, "h_vs_qcd", "probe_h", f"{names[0]},herwig")
    with pytest.raises(DataError, match="no line of the method nobody"):
        KINDS["stable"](tables, "h_vs_qcd", "probe_h", names[0], "nobody")


def test_tables_of_a_folder_within(tables: Path) -> None:
    page = "<!-- table: {}metrics h_vs_qcd auc -->\n<!-- /table -->"
    lines = [renewed(page.format(place), tables).splitlines() for place in ("", "ablations/")]
    assert lines[0][1:] == lines[1][1:] and len(lines[0]) > 4


def test_labels_saved_are_limits_where_the_table_says_so(results: Path) -> None:
    shown = KINDS["savings"](results / "evaluation", "h_vs_qcd", "auc").to_csv()
    table = pd.read_csv(results / "evaluation" / "savings.csv", keep_default_na=False)
    limits = table.query("task == 'h_vs_qcd' and metric == 'auc'")["limit"]
    assert shown.count(">") == (limits == "more").sum() and shown.count("<") == (limits == "less").sum()


def test_a_page_with_an_unknown_table_is_refused(results: Path) -> None:
    with pytest.raises(DataError, match="'nothing h_vs_qcd' is not known"):
        renewed("<!-- table: nothing h_vs_qcd -->\n<!-- /table -->", results / "evaluation")
    with pytest.raises(DataError, match="no line with"):
        renewed("<!-- table: metrics h_vs_qcd f1 -->\n<!-- /table -->", results / "evaluation")


def test_an_incomplete_campaign_is_not_published(results: Path, tmp_path: Path) -> None:
    part = shutil.copytree(results, tmp_path / "part")
    (part / "evaluation" / "matched.csv").unlink()
    result = publish(part, tmp_path / "page")
    assert result.returncode == 1 and "matched.csv: missing" in result.stderr
    assert not (tmp_path / "page").exists()
