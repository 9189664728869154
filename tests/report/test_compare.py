"""Two campaigns side by side: what differs is named, with its significance."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import norm, t

from rs3l.errors import DataError
from rs3l.paths import CampaignPaths
from rs3l.report.compare import compare, metrics_table, settings_table
from support.toy_campaign import ROOT, campaign, write_results


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign whose merge has recorded the re-simulation of one process."""
    root = write_results(campaign(), tmp_path_factory.mktemp("first"))
    resimulation = {"qcd": {name: {"pythia": {"PartonLevel:MPI": False}} for name in ("nominal", "seed")}}
    record = {"block": {"seed": 7}, "resimulation": resimulation, "versions": {"numpy": "2"}, "git": "abc"}
    (root / "dataset" / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    return root


@pytest.fixture
def second(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "second"))


def paths(*folders: Path) -> list[CampaignPaths]:
    return [CampaignPaths(str(folder)) for folder in folders]


def test_a_campaign_does_not_differ_from_itself(first: Path) -> None:
    tables = {table.name: table for table in compare(first, first)}
    assert "settings" not in tables and set(tables) == {"metrics", "counts", "times"}
    significance = tables["metrics"].columns.index("significance")
    assert {row[significance] for row in tables["metrics"].rows} <= {"+0.0 σ", ""}
    assert all(row[2] == row[3] for row in tables["counts"].rows)


def test_settings_that_differ_are_named_once(first: Path, second: Path) -> None:
    path = second / "dataset" / "provenance.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["block"]["min_views"] = 2
    for variant in record["resimulation"]["qcd"].values():
        variant["pythia"]["PartonLevel:MPI"] = True
    path.write_text(json.dumps(record), encoding="utf-8")
    found = settings_table(*paths(first, second)).set_index("setting")
    assert found.loc["resimulation.pythia.PartonLevel:MPI"].tolist() == ["qcd/nominal, qcd/seed", "False", "True"]
    assert found.loc["dataset.min_views"].tolist() == ["", "(none)", "2"]
    assert len(found) == 2
    summary = json.loads((second / "summary.json").read_text(encoding="utf-8"))
    summary["provenance"]["block"]["evaluate"]["bootstrap"] = 3
    (second / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    found = settings_table(*paths(first, second)).set_index("setting")
    assert found.loc["evaluate.evaluate.bootstrap"].tolist() == ["", "20", "3"]


def test_the_significance_is_the_difference_over_both_errors(first: Path, second: Path) -> None:
    path = second / "evaluation" / "metrics.csv"
    metrics = pd.read_csv(path, keep_default_na=False, na_values=[""])
    chosen = (metrics["metric"] == "auc") & (metrics["mode"] == "tuned") & (metrics["method"] == "rs3l")
    metrics.loc[chosen, "error"] = 0.03
    metrics.loc[chosen, "value"] -= 0.1
    metrics.loc[metrics["mode"] == "random", "lower_limit"] = True
    metrics.to_csv(path, index=False)
    other = pd.read_csv(first / "evaluation" / "metrics.csv", keep_default_na=False, na_values=[""])
    error, dof = other.loc[chosen, "error"], other.loc[chosen, "dof"]
    own = metrics.loc[chosen, "dof"]
    both = (error**2 + 0.03**2) ** 2 / (error**4 / dof + 0.03**4 / own)
    sizes = norm.isf(t.sf(0.1 / (error**2 + 0.03**2) ** 0.5, both))
    expected = pd.Series(sizes).map(lambda x: f"{-x:+.1f} σ")
    found = metrics_table(*paths(first, second))
    assert found.loc[
        (found["metric"] == "auc") & (found["method"] == "RS3L, fine-tuned"), "significance"
    ].tolist() == (expected.tolist())
    assert set(found.loc[found["method"].str.startswith("random"), "B - A"]) == {""}  # limits have no difference
    assert set(found["metric"]) == {"auc", "rejection_0.5"}


def test_one_pre_training_has_no_significance(first: Path, second: Path) -> None:
    path = second / "evaluation" / "metrics.csv"
    metrics = pd.read_csv(path, keep_default_na=False, na_values=[""])
    metrics.loc[metrics["method"] == "rs3l", "seed_spread"] = "unknown"
    metrics.to_csv(path, index=False)
    found = metrics_table(*paths(first, second))
    own = found["method"].str.startswith("RS3L") & (found["B - A"] != "")
    assert own.any() and set(found.loc[own, "significance"]) == {"one pre-training: its spread is unknown"}
    assert not found.loc[~own, "significance"].str.contains("unknown").any()


def test_campaigns_of_before_are_compared_as_ever(first: Path, second: Path) -> None:
    path = second / "evaluation" / "metrics.csv"
    metrics = pd.read_csv(path, keep_default_na=False, na_values=[""])
    metrics.drop(columns=["dof", "seed_spread", "repeat_spread"]).to_csv(path, index=False)
    found = metrics_table(*paths(second, second))
    assert set(found["significance"]) <= {"+0.0 σ", ""} and (found["significance"] != "").any()


def test_the_command(first: Path, second: Path, tmp_path: Path) -> None:
    html = tmp_path / "compare.html"
    command = [sys.executable, str(ROOT / "tools" / "compare.py"), str(first), str(second)]
    result = subprocess.run([*command, "--html", str(html)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("# Two campaigns") and "\n## Metrics\n" in result.stdout
    assert "## Settings" not in result.stdout
    assert 'id="table-metrics"' in html.read_text(encoding="utf-8") and "src=" not in html.read_text(
        encoding="utf-8"
    )
    failed = subprocess.run([*command[:2], str(tmp_path), str(second)], capture_output=True, text=True)
    assert failed.returncode == 1 and "no results of a campaign" in failed.stderr
    with pytest.raises(DataError, match=r"summary\.json is missing"):
        compare(first, tmp_path)
