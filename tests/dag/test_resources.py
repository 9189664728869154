"""Resources that a profile sets decide how a job is started, and re-run nothing."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from support.workflow import Snakemake

TORCHRUN = "python -m torch.distributed.run --standalone --nproc-per-node"


def commands(snakemake: Snakemake, target: str, options: list[str]) -> str:
    """Return what a dry run prints, commands included, with resources set as a profile would."""
    more = ["--set-resources", *options] if options else []
    return snakemake(target, "--dry-run", "--printshellcmds", *more).stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "python"),
        (["pretrain:tasks=1"], "python"),
        (["pretrain:tasks=2"], f"{TORCHRUN}=2"),
        (["pretrain:gpu=4"], f"{TORCHRUN}=4"),
        (
            ["pretrain:mpi=srun", "pretrain:tasks=3"],
            "srun --ntasks=3 --cpus-per-task=1 --kill-on-bad-exit=1 python",
        ),
        (
            ["pretrain:mpi=srun", "pretrain:tasks=8", "pretrain:nodes=2"],
            "srun --nodes=2 --ntasks=8 --cpus-per-task=1 --kill-on-bad-exit=1 python",
        ),
    ],
)
def test_the_launcher_of_a_training(
    tmp_path: Path, test_values: dict[str, Any], options: list[str], expected: str
) -> None:
    output = commands(Snakemake(tmp_path, copy.deepcopy(test_values)), "models", options)
    assert set(re.findall(r"^\s*Shell command: (.*) \S*pretrain\.py --block", output, re.MULTILINE)) == {expected}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ""),
        (["pretrain:gpu=0"], ""),
        (["pretrain:gpu=2"], "--gpus 2 "),
        (["pretrain:gpu=1", "pretrain:device=cpu"], "--gpus 1 --device cpu "),
    ],
)
def test_the_devices_of_a_training(
    tmp_path: Path, test_values: dict[str, Any], options: list[str], expected: str
) -> None:
    output = commands(Snakemake(tmp_path, copy.deepcopy(test_values)), "models", options)
    assert set(re.findall(r"pretrain\.py --block '.*' (.*)--manifest", output)) == {expected}


@pytest.mark.parametrize("rule", ["embed", "finetune", "score"])
def test_other_networks_have_devices_as_well(tmp_path: Path, test_values: dict[str, Any], rule: str) -> None:
    """A GPU that was asked for and is not there is an error, unless the CPU is meant."""
    for options, expected in (
        ([f"{rule}:gpu=0"], ""),
        ([f"{rule}:gpu=1"], "--gpus 1 "),
        ([f"{rule}:gpu=1", f"{rule}:device=cpu"], "--gpus 1 --device cpu "),
    ):
        output = commands(Snakemake(tmp_path, copy.deepcopy(test_values)), "all", options)
        found = re.findall(rf"python \S*/{rule}\.py (.*)", output)
        given = {"".join(re.findall(r"--(?:gpus|device) \S+ ", words)) for words in found}
        assert given == {expected}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "--workers 2"),
        (["merge:dask_jobs=5", "merge:mem_mb=3000", "merge:runtime=90"], "--jobs 5 --memory 3000 --minutes 90"),
    ],
)
def test_the_workers_of_the_merge(
    tmp_path: Path, test_values: dict[str, Any], options: list[str], expected: str
) -> None:
    output = commands(Snakemake(tmp_path, copy.deepcopy(test_values)), "dataset", options)
    assert re.findall(r"merge\.py .* --root \S+ (.*) > ", output) == [expected]


def test_they_rerun_nothing(finished: Snakemake) -> None:
    resources = [
        "pretrain:tasks=2",
        "pretrain:mpi=srun",
        "pretrain:gpu=2",
        "pretrain:device=cpu",
        "finetune:gpu=1",
        "score:gpu=1",
        "merge:dask_jobs=3",
    ]
    assert finished.planned("all", "--set-resources", *resources, "--set-threads", "pretrain=2") == {}
