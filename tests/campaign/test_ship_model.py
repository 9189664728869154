"""What ships with the package is made anew from a finished campaign, by one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rs3l import models
from rs3l.dataset.frames import read_frame
from rs3l.dataset.manifest import read_manifest
from rs3l.models.model_card import CARD, card_text, read_header
from rs3l.networks.model_file import load_encoder
from support.places import REPOSITORY
from support.workflow import Snakemake

pytestmark = pytest.mark.campaign
EVENTS = ("8", "4", "6")


def ship(campaign: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / "ship_model.py"), str(campaign), "--folder", str(folder)]
    return subprocess.run([*command, "--events", *EVENTS, *more], capture_output=True, text=True)


@pytest.fixture(scope="module")
def root(finished: Snakemake) -> Path:
    return finished.folder / "results" / "test"


@pytest.fixture(scope="module")
def shipped(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    done = ship(root, folder / "small", "--page", str(folder / "page.md"))
    assert done.returncode == 0, done.stderr
    return folder / "small"


def test_the_model_is_that_of_the_campaign(root: Path, shipped: Path) -> None:
    own = load_encoder(shipped / "model.safetensors", given=False).state_dict()
    first = load_encoder(root / "models" / "rs3l_s0" / "model.safetensors").state_dict()
    assert all(np.array_equal(own[name], value) for name, value in first.items())


def test_the_card_has_the_numbers_of_the_campaign(root: Path, shipped: Path) -> None:
    text = (shipped / "card.md").read_text(encoding="utf-8")
    assert text == card_text(shipped) == (shipped.parent / "page.md").read_text(encoding="utf-8")
    card = read_header(shipped / "model.safetensors")[CARD]
    metrics = pd.read_csv(root / "evaluation" / "metrics.csv")
    lines = [line for line in card["results"] if line["name"] == "from scratch"]
    assert {line["task"] for line in lines} == set(metrics["task"])
    for line in lines:
        key = (metrics[name] == line[name] for name in ("task", "labels", "metric"))
        row = metrics[np.logical_and.reduce([*key, metrics["mode"] == "scratch", metrics["method"] == "none"])]
        assert row["value"].tolist() == [line["value"]] and row["error"].tolist() == [line["error"]]
    runs = pd.read_csv(root / "evaluation" / "runs.csv")
    own = runs[(runs["run"] == "rs3l_s0") & (runs["mode"] == "probe_h") & (runs["metric"] == "auc")]
    for line in card["results"]:
        if line["name"].startswith("this file") and line["metric"] == "auc":
            drawn = own[(own["task"] == line["task"]) & (own["labels"] == line["labels"])]
            assert line["value"] == pytest.approx(drawn["value"].mean())
            assert line["error"] >= drawn["bootstrap"].mean() > 0


def test_the_sample_is_of_the_test_split(root: Path, shipped: Path) -> None:
    sample, source = shipped / "sample" / "manifest.json", root / "dataset" / "manifest.json"
    own, whole = read_frame(sample), read_frame(source, "test")
    manifest = read_manifest(sample)
    assert [manifest.events(split, "qcd") for split in ("train", "val", "test")] == list(map(int, EVENTS))
    assert {name: p.use for name, p in manifest.processes.items()} == {"higgs_bb": "pretrain", "qcd": "pretrain"}
    keys = ["event_id", "variant"]
    both = own.merge(whole, on=keys, suffixes=("", "_whole"))
    there = whole["event_id"].isin(own["event_id"]).sum()
    assert len(both) == len(own) == there, "all views of its events"
    assert (both["jet_pt"] == both["jet_pt_whole"]).all()
    for column, absolute, relative in (("cand_eta", 6e-4, 0), ("cand_pt", 0, 1.1e-3), ("cand_d0", 0, 4.4e-3)):
        for few, all_of_them in zip(both[column], both[f"{column}_whole"], strict=True):
            np.testing.assert_allclose(few, all_of_them[: len(few)], atol=absolute, rtol=relative)


def test_the_latents_are_those_of_the_model_on_the_sample(shipped: Path) -> None:
    z = models.latents(read_frame(shipped / "sample" / "manifest.json"), shipped / "model.safetensors")[1]
    stored = pq.read_table(shipped / "latents.parquet")["z"].combine_chunks().flatten().to_numpy()
    np.testing.assert_allclose(stored.reshape(z.shape), z, atol=1e-5)


def test_the_same_campaign_gives_the_same_bytes(root: Path, shipped: Path) -> None:
    again = shipped.parent / "again" / "small"
    assert ship(root, again).returncode == 0
    names = sorted(str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file())
    assert len(names) == 11
    assert all((again / name).read_bytes() == (shipped / name).read_bytes() for name in names)


def test_what_cannot_be_shipped(root: Path, shipped: Path, tmp_path: Path) -> None:
    assert "small: exists already" in ship(root, shipped).stderr
    assert "no such model" in ship(root, tmp_path / "a", "--run", "rs3l_s7").stderr
    many = ship(root, tmp_path / "a", "--events", "4000", "1", "1").stderr
    assert "the test split has fewer than 4002 hard events of higgs_bb; ask for fewer" in many
    for name in ("dataset", "models"):
        shutil.copytree(root / name, tmp_path / "half" / name)
    assert "runs.csv: missing; the campaign is not finished" in ship(tmp_path / "half", tmp_path / "a").stderr
    assert not (tmp_path / "a").exists()
