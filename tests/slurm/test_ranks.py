"""Pre-training on several ranks through `snakemake --profile slurm`: srun's tasks on two nodes, torchrun on one."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cluster
from conftest import Snakemake
from slurm_site import Clone, Values, accounted, needs_slurm, small, visible_devices

pytestmark = [needs_slurm, pytest.mark.slurm]
RUNS = ("rs3l_s0", "jetclr_s0")


@pytest.fixture(scope="module")
def alone(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Snakemake:
    """Make the data set and the models here, each in one process."""
    local = Snakemake(tmp_path_factory.mktemp("alone"), small(test_values))
    local("models")
    return local


def clone_with(alone: Snakemake, values: Values, folder: Path, **resources: Any) -> Clone:
    """Return a clone that has the data set, and a profile with other resources for pre-training."""
    clone = Clone(folder, small(values))
    shutil.copytree(alone.folder / "results", clone.folder / "results", ignore=shutil.ignore_patterns("models"))
    shutil.copytree(alone.folder / ".snakemake", clone.folder / ".snakemake")
    common = {"mem_mb": 4000, "runtime": 20}
    clone.edit_profile(lambda profile: profile["set-resources"].update(pretrain={**common, **resources}))
    return clone


def jobs(clone: Clone) -> list[dict[str, str]]:
    """Return what the accounting knows of the jobs of the last run."""
    return accounted(
        re.findall(r"SLURM run ID: (\S+)", clone.output())[-1], "AllocNodes", "AllocCPUS", "AllocTRES"
    )


def losses(root: Path, run: str) -> list[float]:
    """Return the training loss of each epoch."""
    with (root / "models" / run / "metrics.csv").open() as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream)]


def assert_trained_by(ranks: int, clone: Clone, alone: Snakemake, run: str) -> None:
    """Check who trained, and that the loss is that of one process before rounding has grown."""
    root = alone.folder / "results" / "test"
    record = json.loads((clone.root / "models" / run / "provenance.json").read_text())
    assert (record["ranks"], record["device"]) == (ranks, "cpu")
    expected = losses(root, run)
    assert losses(clone.root, run)[:3] == pytest.approx(expected[:3], rel=1e-3)
    assert len(losses(clone.root, run)) == len(expected)
    log = (clone.root / "logs" / "pretrain" / f"{run}.log").read_text()
    assert log.count(f"epoch {len(expected)}/{len(expected)}:") == 1, "the first rank alone reports"


def test_tasks_of_slurm_on_two_nodes(alone: Snakemake, test_values: Values, tmp_path: Path) -> None:
    clone = clone_with(alone, test_values, tmp_path, mpi="srun", tasks=2, nodes=2)
    clone.run("models")
    for run in RUNS:
        assert_trained_by(2, clone, alone, run)
    found = jobs(clone)
    assert [(job["State"], job["AllocNodes"], job["AllocCPUS"]) for job in found] == [("COMPLETED", "2", "2")] * 2
    steps = cluster.output(
        "sacct", "-n", "-P", f"--jobs={found[0]['JobID']}", "--format=JobID,NTasks"
    ).splitlines()
    assert f"{found[0]['JobID']}.0|2" in steps, "one step of two tasks, and no other step below it"
    again = [sys.executable, "-m", "snakemake", "models", "-n", "--profile", "slurm", "--configfile", "my.yaml"]
    clone.edit_profile(lambda profile: profile["set-resources"]["pretrain"].update(tasks=3))
    result = subprocess.run(again, cwd=clone.folder, capture_output=True, text=True)
    assert "Nothing to be done" in result.stdout + result.stderr, "the number of ranks does not re-run a training"


def test_torchrun_with_the_devices_of_one_node(alone: Snakemake, test_values: Values, tmp_path: Path) -> None:
    """The devices are declared only, and torch sees no GPU: two ranks on the CPU."""
    clone = clone_with(alone, test_values, tmp_path, gpu=2, slurm_partition="gpu")
    clone.run("results/test/models/rs3l_s0/model.safetensors")
    assert_trained_by(2, clone, alone, "rs3l_s0")
    (job,) = jobs(clone)
    assert "gres/gpu=2" in job["AllocTRES"]
    assert "0,1" in visible_devices(job["JobID"])


def test_tasks_of_slurm_with_a_device_each(alone: Snakemake, test_values: Values, tmp_path: Path) -> None:
    resources = {"mpi": "srun", "tasks": 2, "gpu": 2, "tasks_per_gpu": 1, "slurm_partition": "gpu"}
    clone = clone_with(alone, test_values, tmp_path, **resources)
    clone.run("results/test/models/rs3l_s0/model.safetensors")
    assert_trained_by(2, clone, alone, "rs3l_s0")
    (job,) = jobs(clone)
    assert "gres/gpu=2" in job["AllocTRES"] and job["AllocCPUS"] == "2"
