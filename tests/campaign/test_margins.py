"""The miniature campaign trains with a margin: on no processor does rounding decide what an alarm says."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from rs3l.config import Campaign
from support.places import REPOSITORY
from support.workflow import Snakemake

pytestmark = pytest.mark.campaign
MARGINS = REPOSITORY / "benchmarks" / "margins.py"


def test_no_alarm_is_near_whatever_the_processor(finished: Snakemake) -> None:
    """Two seeds of each method as every processor that this one can be; the script fails below its margins.

    The whole scan, with two threads, more seeds and the classifiers, is in docs/pretrain.md.
    """
    manifest = finished.folder / "results" / "test" / "dataset" / "manifest.json"
    command = [sys.executable, str(MARGINS), "--manifest", str(manifest), "--seeds", "2", "--threads", "1"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    worst = {line["method"]: line for line in lines if "worst_of" in line}
    processors = {line["capability"] for line in lines if "capability" in line}
    assert "default" in processors
    assert set(worst) == {"rs3l", "jetclr"}
    assert all(line["worst_of"] == 2 * len(processors) for line in worst.values())


def test_no_classifier_needs_half_of_its_epochs(finished: Snakemake, campaign: Campaign) -> None:
    """Nor does rounding decide whether one is under-trained."""
    paths = list((finished.folder / "results" / "test" / "downstream").glob("*/*/history.csv"))
    lines = [line for path in paths for line in csv.DictReader(path.open(encoding="utf-8"))]
    networks = [line for line in lines if line["mode"] in ("tuned", "scratch", "scratch_views")]
    assert len(networks) == 2 * 2 * (2 * 1 + 2)
    assert max(int(line["epochs"]) for line in networks) < 0.5 * campaign.finetune.max_epochs
