"""The miniature campaign, end to end: complete, reproducible to the bit, and safe from SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import parse_campaign
from rs3l.paths import CampaignPaths
from rs3l.report.left_over import left_over
from support.workflow import Snakemake, wait_until

pytestmark = pytest.mark.campaign
Values = dict[str, Any]


def files(folder: Path) -> dict[str, bytes]:
    """Return the files below ``folder`` by name, but for those that tell of the run itself."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def dataset(snakemake: Snakemake) -> dict[str, bytes]:
    """Return the files of the data set."""
    return files(snakemake.folder / "results" / "test" / "dataset")


def test_everything_is_there(finished: Snakemake) -> None:
    root = finished.folder / "results" / "test"
    summary = json.loads((root / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["headline"]) == 3
    for name in ("metrics", "runs", "stability", "training", "roc"):
        assert len((root / "evaluation" / f"{name}.csv").read_text(encoding="utf-8").splitlines()) > 1
    figures = {path.stem for path in (root / "figures").glob("*.svg")}
    assert {"jet_mass", "multiplicity", "event_views"} <= figures
    for figure in figures:
        assert (root / "figures" / f"{figure}.png").stat().st_size > 1000
        assert len((root / "figures" / f"{figure}.csv").read_text(encoding="utf-8").splitlines()) > 1
    assert not list(root.rglob("*.tmp"))
    assert {path.name for path in (root / "benchmarks").iterdir()} >= {"resimulate", "merge.jsonl", "pretrain"}


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to Snakemake and to every job of it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_after(snakemake: Snakemake, jobs: int) -> None:
    """Start the re-simulation, and kill it once so many shards of jets are there."""
    process = subprocess.Popen(
        snakemake.command("dataset"), env=snakemake.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    shards = "results/test/jets/*/*/*.parquet"
    wait_until(lambda: len(list(snakemake.folder.glob(shards))) >= jobs or process.poll() is not None)
    assert process.poll() is None
    kill_group(process)


def test_all_that_the_campaign_made_is_in_its_report(finished: Snakemake, test_values: Values) -> None:
    paths = CampaignPaths(str(finished.folder / "results" / "test"))
    assert left_over(parse_campaign(test_values), paths) == []


def test_neither_kills_nor_shards_nor_cores_change_a_byte(
    finished: Snakemake, test_values: Values, tmp_path: Path
) -> None:
    """One shard per process; SIGKILL twice in the middle of the simulation; unlock, go on with one core, compare."""
    killed = Snakemake(tmp_path, {**test_values, "events_per_shard": 200})
    for jobs in (2, 6):
        kill_after(killed, jobs)
        assert not (tmp_path / "results/test/dataset/manifest.json").exists()
        killed("dataset", "--unlock")
    killed("dataset", "--rerun-incomplete", cores=1)
    assert len(list((tmp_path / "results/test/hard/qcd").iterdir())) == 1
    assert len(list((finished.folder / "results/test/hard/qcd").iterdir())) == 2
    assert dataset(killed) == dataset(finished)


def test_two_runs_in_one_folder_are_refused(test_values: Values, tmp_path: Path) -> None:
    first = Snakemake(tmp_path, test_values)
    process = subprocess.Popen(
        first.command("dataset"), env=first.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: list(tmp_path.glob(".snakemake/locks/*")))
        second = first("hard", check=False)
        assert second.returncode != 0
        assert "cannot be locked" in second.stdout + second.stderr
    finally:
        kill_group(process)
