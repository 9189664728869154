"""Pre-training on several ranks through `snakemake --profile slurm`: srun's tasks on two nodes, torchrun on one."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cluster
from slurm_site import Clone, Values, accounted, needs_slurm, small, visible_devices

pytestmark = [needs_slurm, pytest.mark.slurm]
RUNS = ("rs3l_s0", "jetclr_s0")
MODEL = "results/test/models/rs3l_s0/model.safetensors"


def local(clone: Clone, *arguments: str) -> str:
    """Run Snakemake in a clone on this machine; return its output."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", "my.yaml"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        command, cwd=clone.folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def site(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Make data set and models in a clone on this machine, each model by one process."""
    result = Clone(tmp_path_factory.mktemp("ranks"), small(test_values))
    local(result, "models", "--cores", "2")
    shutil.copytree(result.root / "models", result.folder / "alone")
    return result


def without_models(clone: Clone, **resources: Any) -> Clone:
    """Return the clone without models, with other resources for pre-training in its profile."""
    shutil.rmtree(clone.root / "models")
    common = {"mem_mb": 4000, "runtime": 20}
    clone.edit_profile(lambda profile: profile["set-resources"].update(pretrain={**common, **resources}))
    return clone


def jobs(clone: Clone) -> list[dict[str, str]]:
    """Return what the accounting knows of the jobs of the last run."""
    return accounted(
        re.findall(r"SLURM run ID: (\S+)", clone.output())[-1], "AllocNodes", "AllocCPUS", "AllocTRES"
    )


def losses(models: Path, run: str) -> list[float]:
    """Return the training loss of each epoch."""
    with (models / run / "metrics.csv").open() as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream)]


def assert_trained_by(ranks: int, clone: Clone, run: str) -> None:
    """Check who trained, and that the loss is that of one process before rounding has grown."""
    record = json.loads((clone.root / "models" / run / "provenance.json").read_text(encoding="utf-8"))
    assert (record["ranks"], record["device"]) == (ranks, "cpu")
    found, expected = losses(clone.root / "models", run), losses(clone.folder / "alone", run)
    assert found[:3] == pytest.approx(expected[:3], rel=1e-3) and len(found) == len(expected)
    log = (clone.root / "logs" / "pretrain" / f"{run}.log").read_text(encoding="utf-8")
    assert log.count(f"epoch {len(expected)}/{len(expected)}:") == 1, "the first rank alone reports"


def test_tasks_of_slurm_on_two_nodes(site: Clone) -> None:
    clone = without_models(site, mpi="srun", tasks=2, nodes=2)
    clone.run("models")
    for run in RUNS:
        assert_trained_by(2, clone, run)
    found = jobs(clone)
    assert [(job["State"], job["AllocNodes"], job["AllocCPUS"]) for job in found] == [("COMPLETED", "2", "2")] * 2
    job = found[0]["JobID"]
    steps = cluster.output("sacct", "-n", "-P", f"--jobs={job}", "--format=JobID,NTasks").splitlines()
    assert f"{job}.0|2" in steps and f"{job}.1" not in str(steps), "one step, of two tasks"
    clone.edit_profile(lambda profile: profile["set-resources"]["pretrain"].update(tasks=3))
    again = local(clone, "models", "--dry-run", "--profile", "slurm")
    assert "Nothing to be done" in again, "the number of ranks does not re-run a training"


def test_torchrun_with_the_devices_of_one_node(site: Clone) -> None:
    """The devices are declared only, and torch sees no GPU: two ranks on the CPU, on purpose."""
    clone = without_models(site, gpu=2, device="cpu", slurm_partition="gpu")
    clone.run(MODEL)
    assert_trained_by(2, clone, "rs3l_s0")
    (job,) = jobs(clone)
    assert "gres/gpu=2" in job["AllocTRES"]
    assert "0,1" in visible_devices(job["JobID"])


def test_tasks_of_slurm_with_a_device_each(site: Clone) -> None:
    clone = without_models(site, mpi="srun", tasks=2, gpu=2, tasks_per_gpu=1, device="cpu", slurm_partition="gpu")
    clone.run(MODEL)
    assert_trained_by(2, clone, "rs3l_s0")
    (job,) = jobs(clone)
    assert "gres/gpu=2" in job["AllocTRES"] and job["AllocCPUS"] == "2"
