"""SIGKILL in every stage and Ctrl-C: the same command goes on, and the results are the undisturbed ones."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from disturb import (
    ROOT,
    Process,
    checkout,
    end,
    kill_alone,
    kill_group,
    launch,
    members,
    results,
    start,
    temporaries,
    wait_until,
)
from support.workflow import Snakemake

pytestmark = pytest.mark.faults
Values = dict[str, Any]
Condition = Callable[[Path, float], bool]
"""Of the campaign's folder and the time when Snakemake was started."""


def some(pattern: str, count: int = 1) -> Condition:
    """Return the condition that ``count`` files match ``pattern`` in the campaign."""
    return lambda root, since: len(list(root.glob(pattern))) >= count


def working(rule: str) -> Condition:
    """Return the condition that a job of ``rule`` that was begun ``since`` then has read its command line."""

    def condition(root: Path, since: float) -> bool:
        logs = [log for log in [root / f"logs/{rule}.log", *root.glob(f"logs/{rule}/**/*.log")] if log.is_file()]
        times = [
            re.search(r"^(\S+ \S+) INFO command: ", log.read_text(encoding="utf-8"), re.MULTILINE) for log in logs
        ]
        return any(time and datetime.fromisoformat(time[1]).timestamp() >= int(since) for time in times)

    return condition


STAGES: dict[str, Condition] = {
    "hard process": some("hard/*/*.lhe.gz"),
    "re-simulation": some("jets/*/*/*.parquet", 3),
    "merge": some("dataset/.new.*/dataset/*/*.parquet"),
    "pre-training": some("state/*/*.pt"),
    "fine-tuning": working("finetune"),
    "measures": working("measure"),
    "evaluation": working("evaluate"),
}
"""When a stage is in the middle of its work: some of its files are there, and not all."""


@pytest.mark.parametrize("kill", [kill_group, kill_alone])
def test_killed_in_every_stage_and_resumed(
    undisturbed: Snakemake, tiny_values: Values, tmp_path: Path, kill: Callable[[Process], None]
) -> None:
    """Resumed at once: with Snakemake killed alone, its jobs still write while the same jobs run again."""
    killed = Snakemake(tmp_path, tiny_values)
    processes = []
    try:
        for in_the_middle in STAGES.values():
            processes.append(start(killed, "evaluation"))
            since = time.time()
            wait_until(lambda middle=in_the_middle, since=since: middle(tmp_path / ROOT, since), processes[-1])
            kill(processes[-1])
            assert not (tmp_path / ROOT / "summary.json").exists()
            killed("evaluation", "--unlock")
        killed("evaluation")
        wait_until(lambda: not any(members(process.pid) for process in processes))
        assert results(killed) == results(undisturbed)
        assert killed.planned("evaluation") == {}
        if kill is kill_alone:
            assert temporaries(tmp_path) == []
    finally:
        for process in processes:
            end(process)


def test_what_a_killed_snakemake_says(tiny_values: Values, tmp_path: Path) -> None:
    """Without --unlock, the next run is refused, with the remedy."""
    killed = Snakemake(tmp_path, tiny_values)
    process = start(killed, "hard")
    try:
        wait_until(lambda: working("hard_process")(tmp_path / ROOT, 0), process)
        kill_group(process)
        refused = killed("hard", check=False)
        assert refused.returncode != 0
        assert "cannot be locked" in refused.stderr
        assert "--unlock" in refused.stderr
    finally:
        end(process)


def demo(folder: Path) -> Process:
    """Start the demo in a checkout as `make demo` does."""
    environment = Snakemake(
        folder, yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    ).environment()
    command = [sys.executable, "tools/demo.py", "--config", "config.yaml", "--cores", "2"]
    return launch(command, folder, environment)


def test_interrupted_demo_goes_on(undisturbed: Snakemake, tiny_values: Values, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal: all end, nothing is left, the same command goes on.

    If the terminal closes, in place of the second Ctrl-C, all is the same.
    """
    folder = checkout(tmp_path / "checkout")
    interrupted = Snakemake(folder, tiny_values, folder)
    numbers = {"re-simulation": signal.SIGINT, "merge": signal.SIGHUP, "pre-training": signal.SIGINT}
    for stage, number in numbers.items():
        process = demo(folder)
        try:
            wait_until(lambda middle=STAGES[stage]: middle(folder / ROOT, 0), process)
            os.killpg(process.pid, number)
            assert process.wait(timeout=120) != 0
            wait_until(lambda left=process.pid: not members(left), seconds=20)
        finally:
            end(process)
        assert temporaries(folder) == []
        assert (
            "the same command goes on where it was"
            in (folder / "output.txt").read_text(encoding="utf-8").splitlines()[-1]
        )
    process = demo(folder)
    try:
        assert process.wait(timeout=480) == 0, (folder / "output.txt").read_text(encoding="utf-8")[-3000:]
    finally:
        end(process)
    assert results(interrupted) == results(undisturbed)
    assert (folder / ROOT / "report.html").stat().st_size > 100_000


def test_a_cancelled_job_leaves_no_temporary(tiny_values: Values, tmp_path: Path) -> None:
    """SIGTERM to the jobs, as scancel does: Snakemake reports the failure, and another run completes it."""
    cancelled = Snakemake(tmp_path, tiny_values)
    process = start(cancelled, "hard", "--keep-going")
    try:
        wait_until(lambda: working("hard_process")(tmp_path / ROOT, 0), process)
        jobs = [m for m in members(process.pid) if "hard.py" in " ".join(m.cmdline()) and "python" in m.name()]
        assert jobs
        for job in jobs:
            job.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) != 0
    finally:
        end(process)
    assert temporaries(tmp_path) == []
    done = subprocess.run(cancelled.command("hard"), env=cancelled.environment(), capture_output=True)
    assert done.returncode == 0
    assert len(list(tmp_path.glob("results/test/hard/*/*.lhe.gz"))) == 4
