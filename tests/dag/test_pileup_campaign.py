"""A campaign with pile-up, a held-out fraction, labels apart and pretext tasks, from simulation to the report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rs3l.dataset.manifest import read_manifest
from support.workflow import Snakemake

Values = dict[str, Any]
METHODS = ("rs3l", "mpm", "multiclass", "jepa")


@pytest.fixture
def values(test_values: Values) -> Values:
    result = copy.deepcopy(test_values)
    result["pileup"] = {"mean": 5, "events": 150, "subtraction": "chs"}
    result["detector"] = {"response": "cms"}
    result["variants"] = {
        "nominal": {},
        "seed": {"resample": "shower"},
        "repile": {"like": "repile"},
        "fsr_hi": {"like": "fsr_hi", "use": "held_out", "splits": ["test"], "fraction": 0.8},
    }
    result["processes"] = {name: {**result["processes"][name], "events": 200} for name in ("higgs_bb", "qcd")}
    result["dataset"]["splits"] = {"train": 0.4, "label": 0.2, "val": 0.15, "test": 0.25}
    result["pretrain"] |= {"methods": list(METHODS), "epochs": 3, "on_collapse": "warn"}
    result["tasks"] = {"h_vs_qcd": {"signal": "higgs_bb", "background": "qcd"}}
    result["finetune"] |= {
        "modes": ["probe_h", "quadratic_h", "scratch_views"], "labels": [20], "repeats": 2, "on_undertrained": "warn",
    }  # fmt: skip
    result["evaluate"] |= {"variants": ["nominal", "repile"], "pair": ["nominal", "repile"], "bootstrap": 5}
    return result


def test_from_simulation_to_the_report(tmp_path: Path, values: Values) -> None:
    snakemake = Snakemake(tmp_path, values, quick=True)
    planned = snakemake.planned()
    assert planned["pileup"] == 1 and planned["pretrain"] == len(METHODS)
    snakemake()
    assert snakemake.planned() == {}
    root = tmp_path / "results" / "test"
    manifest = read_manifest(root / "dataset" / "manifest.json")
    assert manifest.events("label") > 0 and set(manifest.variants) == set(values["variants"])
    metrics = pd.read_csv(root / "evaluation" / "metrics.csv")
    assert set(metrics["method"]) == {*METHODS, "none"} and metrics["value"].notna().all()
    stability = pd.read_csv(root / "evaluation" / "stability.csv")
    pair = stability.query("quantity == 'spearman' and first == 'nominal' and second == 'repile'")
    assert len(pair) and pair["value"].notna().all()
    assert set(stability.query("use == 'held_out'")["second"]) == {"fsr_hi"}
    report = (root / "report.html").read_text(encoding="utf-8")
    assert "repile" in report and "pile-up" in report
