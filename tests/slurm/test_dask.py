"""The merge with workers as Slurm jobs: the same data set, and lost workers are replaced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest

import cluster
from rs3l.errors import WorkerError
from rs3l.merge import workers
from rs3l.merge.workers import Jobs, compute
from slurm_site import Clone, Values, accounted, needs_slurm, queue, small
from support.places import SCRIPTS

pytestmark = [needs_slurm, pytest.mark.slurm]
WHERE = ["sh", "-c", "sleep 4; echo $SLURM_JOB_ID"]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Everything listens on loopback, in this process and in Snakemake's jobs; no worker outlives its test."""
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__INTERFACE", "lo")
    monkeypatch.setattr(workers, "POLL_SECONDS", 2)
    with dask.config.set({"jobqueue.slurm.interface": "lo"}):
        yield
    folder = str(tmp_path_factory.getbasetemp())
    cluster.wait_for("the end of all workers", lambda: not worker_processes(folder), 60)


def worker_processes(folder: str) -> list[int]:
    """Return the workers of clusters whose keys are below ``folder``."""
    lines = {process.pid: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
    return [pid for pid, line in lines.items() if "distributed.cli.dask_worker" in line and folder in line]


@pytest.fixture(scope="module")
def site(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Make the data set in a clone on this machine, with workers in the merge's own job."""
    result = Clone(tmp_path_factory.mktemp("dask"), small(test_values))
    command = [sys.executable, "-m", "snakemake", "dataset", "--cores", "2", "--configfile", "my.yaml"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, cwd=result.folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    result.edit_profile(lambda profile: profile["set-resources"]["merge"].update(dask_jobs=2, mem_mb=2000))
    return result


@pytest.fixture(scope="module")
def expected(site: Clone) -> dict[str, bytes]:
    """Return the files of that data set."""
    found = site.files("dataset")
    assert len(found) > 6
    return found


@pytest.fixture
def clone(site: Clone, expected: dict[str, bytes]) -> Clone:
    """Return the clone without a data set: its merge, with two worker jobs, is all there is to do."""
    assert expected
    shutil.rmtree(site.root / "dataset")
    return site


def test_the_data_set_is_that_of_local_workers(clone: Clone, expected: dict[str, bytes]) -> None:
    clone.run("dataset")
    assert clone.files("dataset") == expected
    found = accounted(re.findall(r"SLURM run ID: (\S+)", clone.output())[-1], "Account", "Partition", "ReqMem")
    assert len(found) == 3, "the merge and its two workers bear the name of the run"
    asked = {(job["Account"], job["Partition"], job["ReqMem"]) for job in found}
    assert asked == {(cluster.ACCOUNT, "cpu", "2000M")}
    assert not queue() and not list(clone.root.rglob(".dask-jobqueue*"))


def test_cancelled_workers_of_the_merge_are_replaced(
    clone: Clone, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two are cancelled when they appear in the queue, before they can have done anything."""
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__JOB_SCRIPT_PROLOGUE", "['sleep 5']")
    process = clone.start("dataset")
    cancelled: set[str] = set()

    def both() -> bool:
        for job in queue():
            if not job.comment.startswith("rule_") and len(cancelled | {job.id}) <= 2:
                cluster.output("scancel", job.id)
                cancelled.add(job.id)
        return len(cancelled) == 2

    clone.wait_for(process, both)
    clone.finish(process)
    assert clone.files("dataset") == expected
    assert not list(clone.root.rglob("*.tmp"))
    assert "they are replaced" in (clone.root / "logs" / "merge.log").read_text(encoding="utf-8")


def test_a_worker_that_is_lost_at_work_is_replaced(tmp_path: Path) -> None:
    """Cancel a worker while it holds tasks: they are done by others, one of them its replacement."""
    done: list[Any] = []
    original = workers.Crew.look_after
    cancelled: list[str] = []

    def look_after(crew: Any, finished: int) -> None:
        if finished and not cancelled:
            cancelled.append(next(job.job_id for job in crew.cluster.workers.values()))
            cluster.output("scancel", cancelled[0])
        original(crew, finished)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.Crew, "look_after", look_after)
        tasks = [dask.delayed(subprocess.check_output)(WHERE, pure=False) for _ in range(10)]
        done = [text.decode().strip() for text in compute(tasks, 0, Jobs(2, 1000, 10, tmp_path))]
    assert len(done) == 10 and len(cancelled) == 1
    assert len(set(done) - set(cancelled)) >= 2, "the survivor and the replacement have both worked"


def test_workers_end_when_the_merge_is_killed(tmp_path: Path) -> None:
    """No clean-up runs after SIGKILL: the workers notice that nobody is there."""
    tasks = "[dask.delayed(time.sleep)(300) for _ in range(2)]"
    jobs = f"Jobs(2, 1000, 10, Path({str(tmp_path)!r}))"
    code = "import dask, time; from pathlib import Path; from rs3l.merge.workers import Jobs, compute; "
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    process = subprocess.Popen([sys.executable, "-c", f"{code} compute({tasks}, 0, {jobs})"], env=environment)
    cluster.wait_for("the workers", lambda: sum(job.state == "RUNNING" for job in queue()) == 2)
    cluster.wait_for(
        "their start",
        lambda: sum("Registered to" in log.read_text(encoding="utf-8") for log in tmp_path.glob("*.err")) == 2,
    )
    process.kill()
    process.wait()
    cluster.wait_for("the end of the workers", lambda: not queue(), 90)


def test_workers_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    """1 MB is enough for no worker: Dask may count the losses first, or the crew."""
    causes = "(worker jobs ended and no task was done|cost several worker jobs their life)"
    with pytest.raises(WorkerError, match=f"{causes}.*mem_mb"):
        compute([dask.delayed(time.sleep)(60)], 0, Jobs(1, 1, 10, tmp_path))
    assert not queue()


def test_what_slurm_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "own_job", lambda environment: {"queue": "nowhere"})
    with pytest.raises(WorkerError, match="(?s)could not be submitted.*nvalid partition"):
        compute([dask.delayed(time.sleep)(0)], 0, Jobs(1, 500, 10, tmp_path))
