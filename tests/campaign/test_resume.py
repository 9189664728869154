"""`tools/resume.py` after SIGKILL of Snakemake alone: its jobs go on, and must end before others begin."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_campaign import dataset

import orphans
from support.places import REPOSITORY
from support.workflow import Snakemake, wait_until

pytestmark = [pytest.mark.campaign, pytest.mark.faults]


def resume(snakemake: Snakemake, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `tools/resume.py` with the arguments of the killed run."""
    command = snakemake.command(*arguments)
    program = [command[0], str(REPOSITORY / "tools" / "resume.py"), *command[3:]]
    return subprocess.run(program, capture_output=True, text=True, env=snakemake.environment())


def test_orphans_are_ended_before_the_folder_is_unlocked(
    finished: Snakemake, test_values: dict[str, Any], tmp_path: Path
) -> None:
    killed = Snakemake(tmp_path, test_values)
    process = subprocess.Popen(
        killed.command("dataset"), env=killed.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    jets = "results/test/jets/*/*/*.parquet"
    wait_until(lambda: (list(tmp_path.glob(jets)) and orphans.local_jobs(tmp_path)) or process.poll() is not None)
    assert process.poll() is None
    refused = resume(killed, "dataset")
    assert refused.returncode == 1 and f"(pid {process.pid})" in refused.stderr
    process.kill()
    process.wait()
    left = orphans.local_jobs(tmp_path)
    resumed = resume(killed, "dataset")
    assert resumed.returncode == 0, resumed.stderr[-4000:]
    assert not left or "ending" in resumed.stderr
    assert resumed.stderr.index("unlocking") > resumed.stderr.find("ending")
    assert dataset(killed) == dataset(finished)


def test_nothing_to_end_and_nothing_to_unlock(finished: Snakemake) -> None:
    result = resume(finished)
    assert result.returncode == 0, result.stderr
    assert "Nothing to be done" in result.stdout + result.stderr
    assert "unlocking" not in result.stderr and "ending" not in result.stderr
