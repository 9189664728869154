"""`make gpu-check` without a GPU: it says so, and its small version on the CPU agrees with itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from support.places import REPOSITORY

SMALL = ["--pairs", "32", "--steps", "1", "--epochs", "2", "--threads", "1", "--constituents", "8", "--no-compile"]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the check."""
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "gpu_check.py"), *options]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, cwd=REPOSITORY)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_nothing_to_check() -> None:
    result = check()
    assert result.returncode == 1 and "sees no GPU on" in result.stderr
    assert result.stdout == ""


def test_the_check_itself_on_a_cpu() -> None:
    result = check("--device", "cpu", "--encoders", "deepsets", "edgeconv", "--campaign", "none", *SMALL)
    assert result.returncode == 0, result.stderr[-3000:]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()]
    steps = {row[0]: row for row in cells if row[1:4] == ["32", "float32", "no"]}
    assert set(steps) == {"deepsets", "edgeconv"}
    assert all(float(row[5].replace(",", "")) > 0 for row in steps.values())
    assert [row[2:] for row in cells if len(row) == 4 and row[0] in steps] == 2 * [["0.0e+00", "yes"]]
    assert "its last loss differs by 0.0e+00" in result.stdout
