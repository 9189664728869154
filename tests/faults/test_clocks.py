"""Clock skew and equal times: nothing runs again without need, and nothing that is needed is left out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disturb import ROOT, copy_of, results
from support.workflow import Snakemake

pytestmark = pytest.mark.faults
Values = dict[str, Any]
HOUR = 3600.0
ORDER = ("hard", "jets", "dataset", "models", "downstream", "evaluation", "summary.json")
"""What the stages write, in their order."""


@pytest.fixture
def campaign(undisturbed: Snakemake, tiny_values: Values, tmp_path: Path) -> Snakemake:
    return copy_of(undisturbed, tmp_path, tiny_values)


def set_times(campaign: Snakemake, time_of: Callable[[int], float]) -> None:
    """Set the time of every result to that of its stage, counted from 0."""
    for stage, name in enumerate(ORDER):
        top = campaign.folder / ROOT / name
        for path in [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]:
            os.utime(path, (time_of(stage), time_of(stage)))


@pytest.mark.parametrize(
    ("first", "step"),
    [(-HOUR, 0.0), (0.0, -HOUR), (HOUR, 0.0)],
    ids=["equal", "outputs older than inputs", "in the future"],
)
def test_times_alone_rerun_nothing(campaign: Snakemake, first: float, step: float) -> None:
    now = time.time()
    set_times(campaign, lambda stage: now + first + stage * step)
    assert campaign.planned("evaluation") == {}


def test_work_goes_on_with_inputs_from_the_future(undisturbed: Snakemake, campaign: Snakemake) -> None:
    """A node whose clock is a day ahead made the hard events; a deleted shard of jets is older than they are."""
    set_times(campaign, lambda stage: time.time() + (24 * HOUR if stage == 0 else 0))
    (campaign.folder / ROOT / "jets/qcd/seed/0000.parquet").unlink()
    assert campaign.planned(f"{ROOT}/jets/qcd/seed/0000.parquet") == {"resimulate": 1}
    campaign("evaluation")
    assert results(campaign) == results(undisturbed)
    assert campaign.planned("evaluation") == {}


def test_a_changed_input_is_seen_if_it_is_newer(campaign: Snakemake) -> None:
    path = campaign.folder / ROOT / "jets/qcd/seed/0000.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert campaign.planned("dataset") == {"merge": 1, "dataset": 1}


def test_a_changed_input_is_not_seen_if_its_time_is_kept(campaign: Snakemake) -> None:
    """Snakemake asks for contents only where the time is newer; the merge would find the damage."""
    path = campaign.folder / ROOT / "jets/qcd/seed/0000.parquet"
    before = path.stat()
    path.write_bytes(path.read_bytes() + b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert campaign.planned("dataset") == {}
    result = campaign("dataset", "--forcerun", "merge", check=False)
    assert result.returncode != 0
    assert f"{ROOT}/jets/qcd/seed/0000.parquet: truncated or damaged" in result.stdout + result.stderr


def test_large_files_go_by_time_alone(campaign: Snakemake) -> None:
    """Above --max-checksum-file-size (1 MB by default), a newer time means work: more than needed, never less."""
    set_times(campaign, lambda stage: time.time() - stage * HOUR)
    planned = campaign.planned("evaluation", "--max-checksum-file-size", "100")
    assert planned["resimulate"] == 8
    assert planned["merge"] == 1
