"""A campaign whose jets exist already, in the workflow: what is planned, what is kept, and the whole of it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from rs3l.config import load_campaign
from rs3l.dataset import Jets, write
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import ConfigError
from support import root_files, toy
from support.places import REPOSITORY
from support.public_files import public_file
from support.workflow import Snakemake

VALUES: dict[str, Any] = {
    "campaign": "mine",
    "source": {"hdf5": "in put/rs3l_*.h5"},
    "dataset": {"splits": {"train": 0.5, "val": 0.25, "test": 0.25}},
    "pretrain": {
        "methods": ["rs3l"], "seeds": 1, "batch": 16, "epochs": 4, "learning_rate": 0.003, "temperature": 0.5,
        "encoder": {"hidden": 8, "representation": 8, "latent": 4}, "on_collapse": "warn",
    },
    "tasks": {"h_vs_qcd": {"signal": "higgs_bb", "background": "qcd"}},
    "finetune": {"modes": ["probe_h"], "labels": [20], "repeats": 2},
    "evaluate": {"bootstrap": 5},
}  # fmt: skip


@pytest.fixture
def snakemake(tmp_path: Path) -> Snakemake:
    for number in (0, 4):
        public_file(tmp_path / "in put" / f"rs3l_{number}.h5", 200, seed=number)
    return Snakemake(tmp_path, VALUES, quick=True)


def test_from_files_to_the_report(snakemake: Snakemake) -> None:
    """All of it on files in the public layout, with linear classifiers on the frozen network alone."""
    planned = snakemake.planned()
    assert {name: planned[name] for name in ("import_file", "import_dataset", "pretrain", "finetune")} == {
        "import_file": 2, "import_dataset": 1, "pretrain": 1, "finetune": 1,
    }  # fmt: skip
    assert not {"merge", "resimulate", "hard_process", "plot_schematic", "plot_matching", "plot_survival"} & set(
        planned
    )
    assert not {name for name in planned if name.startswith("plot_event_views")}
    snakemake()
    assert snakemake.planned() == {}
    root = snakemake.folder / "results" / "mine"
    manifest = read_manifest(root / "dataset" / "manifest.json")
    assert manifest.events() == 380 and set(manifest.processes) == {"higgs_bb", "qcd"}
    metrics = pd.read_csv(root / "evaluation" / "metrics.csv")
    assert set(metrics["mode"]) == {"probe_h"} and metrics["value"].notna().any()
    report = (root / "report.html").read_text(encoding="utf-8")
    for text in (
        "The jets are not simulated here",
        "rs3l_4.h5",
        "Schematic (what each variant changes)",
        "each is 1",
    ):
        assert text in report
    assert "matched, nominal" not in report
    figures = {path.stem for path in (root / "figures").glob("*.svg")}
    assert {"jet_types", "jet_variations_qcd", "latent", "roc_h_vs_qcd", "resources"} <= figures
    _what_changes_runs_again(snakemake)


def _what_changes_runs_again(snakemake: Snakemake) -> None:
    """A held-out variant re-imports nothing; one more file is imported, and what reads it runs again."""
    held_out = {
        "variants": {n: {} for n in ("nominal", "seed", "fsr_hi", "fsr_lo")} | {"herwig": {"use": "held_out"}}
    }
    snakemake.configure({**VALUES, **held_out})
    planned = snakemake.planned()
    assert "import_file" not in planned and planned["import_dataset"] == planned["pretrain"] == 1
    snakemake.configure(VALUES)
    public_file(snakemake.folder / "in put" / "rs3l_2.h5", 40, seed=2)
    planned = snakemake.planned()
    assert planned["import_file"] == planned["import_dataset"] == planned["pretrain"] == 1
    assert planned["embed"] == 2 * 3 or planned["embed"] == 2


def test_finished_files_are_kept(snakemake: Snakemake) -> None:
    """A damaged file fails alone, with its name; when it is mended, only that one is imported."""
    path = snakemake.folder / "in put" / "rs3l_4.h5"
    with h5py.File(path, "r+") as file:
        file["jet_pflow_cands"][150, 2, 9, 0] = np.nan
    result = snakemake("dataset", "--keep-going", check=False)
    assert result.returncode != 0
    root = snakemake.folder / "results" / "mine"
    assert "first in event 150, variant 2" in (root / "logs" / "import_file" / "0004.log").read_text(
        encoding="utf-8"
    )
    assert [p.name for p in (root / "import").glob("*.json")] == ["0000.json"]
    assert sorted(p.name for p in (root / "dataset" / "train").iterdir()) == [
        "higgs_bb-0000.parquet",
        "qcd-0000.parquet",
    ]
    kept = {p: p.stat().st_mtime_ns for p in (root / "dataset" / "train").iterdir()}
    public_file(path, 200, seed=4)
    assert snakemake.planned("dataset") == {"import_file": 1, "import_dataset": 1, "dataset": 1}
    snakemake("dataset")
    assert all(p.stat().st_mtime_ns == time for p, time in kept.items())
    assert len(read_manifest(root / "dataset" / "manifest.json").parts) == 2 * 2 * 3
    assert snakemake.planned("dataset") == {}


def test_a_data_set_is_linked(snakemake: Snakemake) -> None:
    toy.write_dataset(snakemake.folder / "there")
    task = {"t": {"signal": "signal", "background": "background"}}
    source = {"source": {"parquet": "there"}, "tasks": task, "finetune": {**VALUES["finetune"], "labels": [20]}}
    snakemake.configure({**{k: v for k, v in VALUES.items() if k != "dataset"}, **source})
    planned = snakemake.planned()
    assert planned["import_dataset"] == planned["pretrain"] == 1 and "import_file" not in planned
    snakemake("dataset")
    manifest = read_manifest(snakemake.folder / "results" / "mine" / "dataset" / "manifest.json")
    assert all(manifest.path(part).is_symlink() for part in manifest.parts)
    assert "pretrain" in snakemake.planned("models") and snakemake.planned("dataset") == {}


def test_the_public_campaign_is_planned_and_refuses_simulation(snakemake: Snakemake) -> None:
    page = yaml.safe_load((REPOSITORY / "config" / "rs3l_public.yaml").read_text(encoding="utf-8"))
    page["source"]["hdf5"] = "in put/rs3l_*.h5"
    page["finetune"]["labels"] = [20]
    snakemake.configure(page)
    planned = snakemake.planned()
    assert planned["import_file"] == 2 and planned["pretrain"] == 1 and planned["finetune"] == 4
    snakemake.configure({**page, "events_per_shard": 100})
    result = snakemake("--dry-run", check=False)
    assert "events_per_shard: belongs to a simulation, and `source` replaces it" in result.stdout + result.stderr
    page["source"]["hdf5"] = "no/*.h5"
    snakemake.configure(page)
    result = snakemake("--dry-run", check=False)
    assert "source.hdf5: no file matches 'no/*.h5'" in result.stdout + result.stderr


@pytest.fixture
def one_view(tmp_path: Path) -> Snakemake:
    """Return a campaign of jets in JetClass's layout, each of which there is once."""
    jets = [
        Jets(
            root_files.write(
                tmp_path / "files" / f"{split}.root",
                root_files.jets(["Hbb", "QCD"] * events, seed, {"Hbb": 20, "QCD": 8}),
            ),
            split=split,
        )
        for seed, (split, events) in enumerate({"train": 60, "val": 30, "test": 40}.items())
    ]
    write(jets, tmp_path / "jetclass")
    values = {name: value for name, value in VALUES.items() if name not in ("dataset", "pretrain", "finetune")}
    own = {
        "source": {"parquet": "jetclass"},
        "pretrain": {**VALUES["pretrain"], "methods": ["jetclr"]},
        "tasks": {"h_vs_qcd": {"signal": "higgs_bb", "background": "qcd"}},
        "finetune": {"modes": ["probe_h", "scratch"], "labels": [20], "repeats": 2, "on_undertrained": "warn"},
    }
    return Snakemake(tmp_path, {**values, **own}, quick=True)


def test_jets_with_one_view_go_to_the_report_by_hand_made_views(one_view: Snakemake) -> None:
    planned = one_view.planned()
    assert planned["import_dataset"] == planned["pretrain"] == 1 and planned["finetune"] == 2
    compare = ("stability", "robustness", "mistag_change", "tagger_output", "jet_variations")
    assert not [name for name in planned if name.startswith(tuple(f"plot_{figure}" for figure in compare))]
    one_view()
    assert one_view.planned() == {}
    root = one_view.folder / "results" / "mine"
    metrics = pd.read_csv(root / "evaluation" / "metrics.csv")
    assert set(metrics["method"]) == {"jetclr", "none"} and metrics["value"].notna().all()
    assert pd.read_csv(root / "evaluation" / "stability.csv").empty
    summary = json.loads((root / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["headline"]) == 2 and summary["methods"][0]["paired_correlation"] is None
    report = (root / "report.html").read_text(encoding="utf-8")
    assert "Stability (two views of an event to compare" in report and "nan" not in report.lower().split()


def test_classifiers_on_observables_that_the_jets_lack(one_view: Snakemake) -> None:
    """JetClass has no N2: without a word, such classifiers are left out; those that are asked for are refused."""
    values = yaml.safe_load((one_view.folder / "config.yaml").read_text(encoding="utf-8"))
    del values["finetune"]["modes"]
    found = load_campaign(_written(one_view, values)).finetune.modes
    assert "probe_h" in found and not {"gbt", "n2"} & set(found)
    values["finetune"]["modes"] = ["probe_h", "gbt_h", "n2"]
    with pytest.raises(ConfigError, match="finetune.modes: gbt_h, n2 needs jet_msd and jet_n2.*; leave it out$"):
        load_campaign(_written(one_view, values))


def _written(campaign: Snakemake, values: dict[str, Any]) -> Path:
    source = {"parquet": str(campaign.folder / values["source"]["parquet"])}
    campaign.configure({**values, "source": source})
    return campaign.folder / "config.yaml"


def test_re_simulated_views_need_two(one_view: Snakemake) -> None:
    values = yaml.safe_load((one_view.folder / "config.yaml").read_text(encoding="utf-8"))
    values["pretrain"]["methods"] = ["rs3l", "jetclr"]
    one_view.configure(values)
    result = one_view("--dry-run", check=False)
    said = result.stdout + result.stderr
    assert "pretrain.methods.rs3l: variants: nominal gives no two views of an event" in said
    assert "`views: hand_made`" in said and "pretrain.methods.jetclr" not in said
