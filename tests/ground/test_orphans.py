"""What a killed Snakemake leaves behind: found by processes, logs and locks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import orphans
import resume
from support.workflow import wait_until

PYTHON = "/usr/bin/python3.11"
SCRIPT = "import time; open('started', 'w').close(); time.sleep(600)"


@pytest.mark.parametrize(
    ("line", "schedules", "works"),
    [
        ([PYTHON, "-m", "snakemake", "all", "--profile", "slurm"], True, False),
        ([PYTHON, "/x/bin/snakemake", "--cores", "2"], True, False),
        ([PYTHON, "-u", "/x/snakemake/__main__.py", "-n"], True, False),
        ([PYTHON, "-m", "snakemake", "--target-jobs", "a:", "--mode", "remote"], False, True),
        (["/bin/sh", "-c", "sbatch --parsable --wrap='python -m snakemake --mode remote'"], False, True),
        (["sbatch", "--wrap=python -m snakemake --mode remote"], False, True),
        (["/usr/bin/bash", "-c", "set -e; python /x/workflow/scripts/merge.py --root results/a"], False, True),
        (["python", "/x/workflow/scripts/merge.py", "--root", "results/a"], False, True),
        (["vim", "workflow/scripts/merge.py"], False, False),
        (["bash", "-c", "snakemake --cores 2"], False, False),
        ([PYTHON, "notebook.py", "snakemake", "campaign"], False, False),
    ],
)
def test_command_lines(line: list[str], schedules: bool, works: bool) -> None:
    assert (orphans.is_snakemake(line), orphans.is_job(line)) == (schedules, works)


def write_log(folder: Path, stamp: str, text: str) -> None:
    log = folder / ".snakemake" / "log" / f"{stamp}.snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text, encoding="utf-8")


def lock(folder: Path, stamp: str) -> None:
    """Write a lock that was made at a time, given as in the names of logs."""
    path = folder / ".snakemake" / "locks" / "0.output.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    made = orphans.started(Path(f"{stamp}.snakemake.log"))
    os.utime(path, (made, made))


def test_the_run_that_locked_is_the_last_one_before_the_lock(tmp_path: Path) -> None:
    write_log(tmp_path, "2026-01-01T100000.000001", "\n  Host: early\n")
    write_log(tmp_path, "2026-01-01T110000.000001", "\n  Host: login1\nSLURM run ID: 11-aa\n")
    write_log(tmp_path, "2026-01-01T111500.000001", "Building DAG of jobs...\n")  # a report, say
    write_log(tmp_path, "2026-01-01T120000.000001", "\n  Host: late\nSLURM run ID: campaign_22-bb\n")
    assert orphans.locking_run(tmp_path) is None
    lock(tmp_path, "2026-01-01T113000.000000")
    run = orphans.locking_run(tmp_path)
    assert run and run.host == "login1"
    assert orphans.run_ids(tmp_path) == {"11-aa", "campaign_22-bb"}


def test_a_lock_from_another_machine_is_left_alone(tmp_path: Path) -> None:
    write_log(tmp_path, "2026-01-01T110000.000001", "\n  Host: login1\n")
    lock(tmp_path, "2026-01-01T110001.000000")
    with pytest.raises(orphans.OrphanError, match="was locked on login1.*--any-host"):
        resume.refuse_elsewhere(tmp_path, orphans.locking_run(tmp_path))
    assert orphans.lock_files(tmp_path)


def test_the_folder_is_the_one_that_snakemake_works_in(tmp_path: Path) -> None:
    assert resume.working_folder(["all", "--cores", "2"]) == Path.cwd()
    assert resume.working_folder(["-d", str(tmp_path), "--cores", "2"]) == tmp_path
    assert resume.working_folder(["all", f"--directory={tmp_path}"]) == tmp_path


def test_only_one_resumes(tmp_path: Path) -> None:
    with resume.only_one(tmp_path):
        other = subprocess.run(
            [sys.executable, resume.__file__, "-d", str(tmp_path), "--cores", "1"], capture_output=True, text=True
        )
    assert other.returncode == 1 and "another `make resume`" in other.stderr


@pytest.fixture
def campaign_folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with a step that sleeps; end what is left of it."""
    script = tmp_path / "workflow" / "scripts" / "step.py"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT, encoding="utf-8")
    yield tmp_path
    for process, _ in orphans.working_in(tmp_path):
        process.kill()


def wait_for_start(folder: Path) -> None:
    wait_until((folder / "started").exists)


def test_a_step_that_somebody_runs_is_no_orphan(campaign_folder: Path) -> None:
    step = subprocess.Popen([sys.executable, "workflow/scripts/step.py"], cwd=campaign_folder)
    wait_for_start(campaign_folder)
    jobs = orphans.local_jobs(campaign_folder)
    assert [job.pid for job in jobs] == [step.pid] and not orphans.is_orphan(jobs[0], jobs)
    with pytest.raises(orphans.OrphanError, match=f"processes {step.pid} run steps"):
        resume.end_local(campaign_folder)
    assert step.poll() is None
    step.kill()
    step.wait()


def test_orphans_are_ended_with_their_children(campaign_folder: Path) -> None:
    command = f"bash -c '{sys.executable} workflow/scripts/step.py; true' > /dev/null 2>&1 &"
    subprocess.run(["setsid", "sh", "-c", command], cwd=campaign_folder, check=True)
    wait_for_start(campaign_folder)
    pids = {job.pid for job in orphans.local_jobs(campaign_folder)}
    assert len(pids) == 2
    resume.end_local(campaign_folder)
    assert not orphans.local_jobs(campaign_folder) and not any(psutil.pid_exists(pid) for pid in pids)


def test_processes_of_slurm_jobs_are_left_to_slurm(campaign_folder: Path) -> None:
    environment = {**os.environ, "SLURM_JOB_ID": "12345"}
    step = subprocess.Popen([sys.executable, "workflow/scripts/step.py"], cwd=campaign_folder, env=environment)
    wait_for_start(campaign_folder)
    assert orphans.local_jobs(campaign_folder) == []
    step.kill()
    step.wait()
