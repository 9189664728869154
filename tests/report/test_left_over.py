"""The report shows what the configuration defines, and says what lies there from another one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.errors import DataError
from rs3l.figures.draw import draw
from rs3l.figures.style import Header
from rs3l.paths import CampaignPaths
from rs3l.report.left_over import left_over
from rs3l.report.page import markdown, report
from support.drawing import given
from support.toy_campaign import ROOT, write_results

Values = dict[str, Any]


def values(**changes: Any) -> Values:
    found = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    return {**found, **changes}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(parse_campaign(values()), tmp_path_factory.mktemp("toy"), events=30)


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(results, tmp_path / "copy")


def named(config: Campaign, root: Path) -> dict[str, str]:
    """Return the reason for each file, by its path in the folder, in the page and in the summary, too."""
    found = left_over(config, CampaignPaths(str(root)))
    page, summary = report(config, root), markdown(config, root)
    assert all(text in page and f"- {text}" in summary for text in found)
    texts = [text.removeprefix(f"{root}/") for text in found]
    return dict(text.split(": ", 1) for text in texts)


def figure(root: Path, name: str, points: str = "value\n1\n") -> None:
    for suffix in ("svg", "png"):
        shutil.copy(root / "figures" / f"matching.{suffix}", root / "figures" / f"{name}.{suffix}")
    (root / "figures" / f"{name}.csv").write_text(points, encoding="utf-8")


def test_nothing_is_left_over_of_a_campaign_that_did_not_change(copy: Path) -> None:
    config = parse_campaign(values())
    for name in ("roc_h_vs_qcd", "jet_variations_w_qq"):
        figure(copy, name)
    assert named(config, copy) == {}
    page = report(config, copy)
    assert (
        'id="figure-roc_h_vs_qcd"' in page
        and "Not shown" not in page
        and "Not shown" not in markdown(config, copy)
    )


def test_a_task_that_was_renamed(copy: Path) -> None:
    tasks = values()["tasks"]
    config = parse_campaign(values(tasks={"higgs": tasks["h_vs_qcd"], "w_vs_qcd": tasks["w_vs_qcd"]}))
    for name in ("roc_h_vs_qcd", "robustness_h_vs_qcd", "roc_w_vs_qcd"):
        figure(copy, name)
    found = named(config, copy)
    for kind in ("roc", "robustness"):
        assert found[f"figures/{kind}_h_vs_qcd.svg"] == "the configuration has no task h_vs_qcd"
    assert found["evaluation/metrics.csv, in part"] == "the configuration has no task h_vs_qcd"
    assert "run the campaign again" in found["summary.json"]
    page, summary = report(config, copy), markdown(config, copy)
    assert 'id="figure-roc_w_vs_qcd"' in page and 'id="figure-roc_h_vs_qcd"' not in page
    assert (
        "<td>h_vs_qcd</td>" not in page and "<td>w_vs_qcd</td>" in page and 'id="table-h_vs_qcd-auc"' not in page
    )
    assert "Main results" not in page and "## Main results" not in summary


def test_a_process_and_a_variant_that_were_removed(copy: Path) -> None:
    processes, tasks, variants = (values()[key] for key in ("processes", "tasks", "variants"))
    del processes["w_qq"], tasks["w_vs_qcd"], variants["fsr_hi"]
    config = parse_campaign(values(processes=processes, tasks=tasks, variants=variants))
    figure(copy, "jet_variations_w_qq")
    figure(copy, "jet_variations_qcd", "process,variant\nqcd,nominal\nqcd,fsr_hi\n")
    figure(copy, "similarity", "epoch,what,cosine,run\n1,cosine_means:qcd:w_qq,0.1,rs3l_s0\n")
    figure(copy, "latent_corner", "process,first,second\nqcd,1,2\n")
    found = named(config, copy)
    assert found["figures/jet_variations_w_qq.svg"] == "the configuration has no process w_qq"
    assert found["figures/jet_variations_qcd.svg"] == "the configuration has no variant fsr_hi; draw it again"
    assert "process w_qq; no variant fsr_hi" in found["figures/matching.svg"]
    assert found["figures/similarity.svg"] == "the configuration has no process w_qq; draw it again"
    assert (
        found["dataset, in part"]
        == "the configuration has no process w_qq; no variant fsr_hi; run the merge again"
    )
    page = report(config, copy)
    assert 'id="figure-latent_corner"' in page and 'id="figure-matching"' not in page
    assert "<td>w_qq</td>" not in page and "<td>fsr_hi</td>" not in page


def ablated(root: Path, methods: list[str]) -> None:
    (root / "ablations").mkdir()
    lines = [{"task": "h_vs_qcd", "method": name, "mode": "probe_h", "value": 0.5} for name in methods]
    pd.DataFrame(lines).to_csv(root / "ablations" / "metrics.csv", index=False)
    text = f"against {methods[-1]}"
    summary = {"task": "h_vs_qcd", "headline": [{"text": text}], "methods": [{"method": name} for name in methods]}
    (root / "ablations" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    figure(root, "ablations", (root / "ablations" / "metrics.csv").read_text(encoding="utf-8"))


def test_an_ablation_that_was_removed(copy: Path) -> None:
    ablated(copy, ["rs3l", "fewer", "cold"])
    both = {"fewer": {"events": 0.5}, "cold": {"temperature": 0.05}}
    figure(copy, "growth")  # by hand, and its table
    (copy / "ablations" / "growth.csv").write_text("value\n1\n", encoding="utf-8")
    assert named(parse_campaign(values(ablations=both)), copy) == {}
    assert "against cold" in report(parse_campaign(values(ablations=both)), copy)
    config = parse_campaign(values(ablations={"fewer": {"events": 0.5}}))
    found = named(config, copy)
    assert found["ablations/metrics.csv, in part"] == "the configuration has no method cold"
    assert found["figures/ablations.svg"] == "the configuration has no method cold; draw it again"
    assert "run the ablations again" in found["ablations/summary.json"]
    page = report(config, copy)
    assert "<td>fewer</td>" in page and "<td>cold</td>" not in page and "against cold" not in page
    found = named(parse_campaign(values()), copy)
    assert found["ablations"] == found["figures/ablations.svg"] == "the configuration has no ablations"
    assert found["figures/growth.svg"] == "the configuration has no ablations"
    assert '<section id="ablations">' not in report(parse_campaign(values()), copy)


def test_a_method_that_was_removed(copy: Path) -> None:
    config = parse_campaign(values(pretrain={**values()["pretrain"], "methods": ["rs3l"]}))
    found = named(config, copy)
    assert found["evaluation/metrics.csv, in part"] == "the configuration has no method jetclr"
    assert "reference_method jetclr" in found["evaluation/differences.csv, in part"]
    assert "JetCLR" not in report(config, copy) and "JetCLR" not in markdown(config, copy)


def test_other_settings_of_the_evaluation_and_files_of_nobody(copy: Path) -> None:
    config = parse_campaign(values(evaluate={**values()["evaluate"], "bootstrap": 50}))
    figure(copy, "something_else")
    (copy / "evaluation" / "old.csv").write_text("a\n1\n", encoding="utf-8")
    found = named(config, copy)
    assert found["figures/something_else.svg"] == "no figure of this campaign"
    assert found["evaluation/old.csv"] == "no table of the evaluation"
    assert found["summary.json and tables were made with other evaluate"] == "run the campaign again"
    assert "Main results" in report(config, copy)


def test_a_figure_of_a_data_set_of_another_configuration_is_refused(results: Path) -> None:
    manifest = CampaignPaths(str(results)).manifest
    other = values()
    other["processes"]["top"] = other["processes"]["w_qq"]
    block = blocks.figures(parse_campaign(other))
    with pytest.raises(DataError, match=r"manifest\.json: no process 'top' .*; run the merge again"):
        draw("matching", block, Header("toy"), given(manifest=manifest))


def test_only_figures_of_the_campaign_are_published(copy: Path, tmp_path: Path) -> None:
    figure(copy, "roc_renamed")
    figure(copy, "roc_h_vs_qcd")
    (copy / "summary.md").write_text("", encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / "publish.py"), str(copy), str(tmp_path / "page")]
    subprocess.run(command, check=True, capture_output=True)
    names = {path.stem for path in (tmp_path / "page" / "figures").iterdir()}
    assert names == {"schematic", "matching", "roc_h_vs_qcd"}
