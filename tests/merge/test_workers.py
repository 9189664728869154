"""Worker jobs of the merge, as far as they can be seen without Slurm: what is asked for, and who may connect."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client

from rs3l.errors import WorkerError
from rs3l.merge import workers
from rs3l.merge.workers import Jobs, compute, own_job, slurm_cluster
from support.places import SCRIPTS
from support.workflow import HANGS

JOB = {"account": "physics", "queue": "long", "job_name": "run 1"}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the job script of a worker of a cluster that is up, over loopback."""
    monkeypatch.setattr(workers, "own_job", lambda environment: JOB)
    settings = {"jobqueue.slurm.interface": "lo", "jobqueue.slurm.job-script-prologue": ["module load python"]}
    with dask.config.set(settings), slurm_cluster(Jobs(2, 1500, 90, tmp_path / "logs"), {}) as cluster:
        yield cluster.job_script()


def test_the_jobs_ask_for_what_the_merge_has(script: str) -> None:
    directives = re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE)
    assert {"-J run 1", "-A physics", "-p long", "-n 1", "--cpus-per-task=1", "--mem=1500M", "-t 90"} <= set(
        directives
    )
    assert "module load python" in script and f"export PYTHONPATH={SCRIPTS}" in script
    assert f"exec {sys.executable} -m" in script, "the worker is the job's own process"
    assert "--no-dashboard --dashboard-address 127.0.0.1:0" in script, "by default it listens on all interfaces"
    assert "--nthreads 1" in script and "--no-nanny" in script and "--interface lo" in script


def test_only_who_has_the_keys_can_connect(script: str, tmp_path: Path) -> None:
    keys = [Path(path) for path in re.findall(r"--tls-\S+ (\S+)", script)]
    assert len(keys) == 3 and "tls://127.0.0.1:" in script
    assert {path.parent for path in keys} == {tmp_path / "logs"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_the_scheduler_listens_where_it_is_told(script: str) -> None:
    assert script
    connections = psutil.Process().net_connections(kind="inet")
    addresses = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}


def test_the_script_starts_a_worker_in_its_place(tmp_path: Path) -> None:
    """Run the job's script as Slurm would: its process is the worker, on loopback alone, and ends when asked to."""
    with (
        dask.config.set({"jobqueue.slurm.interface": "lo"}),
        slurm_cluster(Jobs(1, 500, 5, tmp_path), {}) as cluster,
        Client(cluster) as client,
    ):
        (tmp_path / "job.sh").write_text(cluster.job_script(), encoding="utf-8")
        with subprocess.Popen(["bash", str(tmp_path / "job.sh")], stderr=subprocess.DEVNULL) as job:
            try:
                assert client.submit(os.getpid).result(timeout=HANGS) == job.pid
                listening = psutil.Process(job.pid).net_connections(kind="inet")
                assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
                job.terminate()
                job.wait(timeout=HANGS)
            finally:
                job.kill()


def test_the_keys_are_gone_afterwards(tmp_path: Path) -> None:
    with dask.config.set({"jobqueue.slurm.interface": "lo"}), slurm_cluster(Jobs(1, 500, 5, tmp_path), {}):
        assert len(list(tmp_path.iterdir())) == 3
    assert not list(tmp_path.iterdir())


def test_outside_of_a_job() -> None:
    assert own_job({}) == {"job_name": "rs3l-merge"}


def test_workers_of_this_machine_that_are_killed_are_named() -> None:
    """As the memory limit of the workers, or of the machine, kills them."""
    tasks = [dask.delayed(kill_this_worker)()]
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(WorkerError, match=r"cost several worker processes their life .*use fewer workers"),
    ):
        compute(tasks, 1)


def kill_this_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_without_slurm_the_cause_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert workers.queued_jobs() is None
    with (
        dask.config.set({"jobqueue.slurm.interface": "lo"}),
        pytest.raises(WorkerError, match="could not be submitted: .*sbatch"),
    ):
        compute([dask.delayed(time.sleep)(0)], 0, Jobs(2, 500, 5, tmp_path))
