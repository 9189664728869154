"""Dask workers, which are processes on this machine, or Slurm jobs through dask-jobqueue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from dask_jobqueue import SLURMCluster
from distributed import Client, LocalCluster, Status, wait
from distributed.scheduler import KilledWorker
from distributed.security import Security
from distributed.utils import get_ip

import rs3l
from rs3l.errors import WorkerError

POLL_SECONDS = 10
"""Seconds between two looks at the worker jobs."""

SPARE_JOBS = 2
"""Worker jobs beyond the number asked for that may end without any task done in the meantime."""


@dataclass(frozen=True)
class Jobs:
    """The number of workers that are Slurm jobs, the resources of each, and the folder of their logs."""

    number: int
    memory_mb: int
    minutes: int
    logs: Path


def compute(tasks: Sequence[Any], workers: int, jobs: Jobs | None = None) -> list[Any]:
    """Return the results of Dask tasks, from ``workers`` processes of this machine or from Slurm ``jobs``.

    The first error of a task is raised as it is. Raises :class:`WorkerError` if worker jobs cannot be submitted,
    or workers keep dying.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)
    if jobs is None:
        return _compute_here(tasks, workers)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # its reports are raised as well
    with lost_workers_are_forgotten(), slurm_cluster(jobs, os.environ) as cluster, Client(cluster) as client:
        return Crew(cluster, jobs).results(client.compute(list(tasks)))


def _compute_here(tasks: Sequence[Any], workers: int) -> list[Any]:
    try:
        with local_cluster(workers) as cluster, Client(cluster):
            return list(dask.compute(*tasks))
    except KilledWorker as error:
        raise WorkerError(
            f"a task has cost several worker processes their life ({error}); most likely the memory ran out: use "
            "fewer workers (threads of the rule), or lower dataset.events_per_part or raise mem_mb of the rule"
        ) from None


def local_cluster(workers: int) -> LocalCluster:
    """Return a cluster of processes with one thread each, bound to the loopback interface."""
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")


def lost_workers_are_forgotten() -> Any:
    """Return a context in which a worker that is lost is taken off the cluster's books at once.

    Otherwise that happens later, and may take a replacement of the same name with it.
    """
    return dask.config.set({"distributed.deploy.lost-worker-timeout": "0s"})


def slurm_cluster(jobs: Jobs, environment: Mapping[str, str]) -> SLURMCluster:
    """Return a cluster whose workers will be Slurm jobs, with account, partition and name of this job, if any.

    All jobs of a run of the workflow share the name, so that they can be found and cancelled together. Connections
    are encrypted and authenticated with keys made for this cluster. They use the interface of Dask's setting
    ``jobqueue.slurm.interface``, or the address of this machine's default route. A worker replaces its job's
    shell, so that Slurm knows it, and a cancelled job has not ended before its worker has.
    """
    settings = dask.config.get
    prologue = list(settings("jobqueue.slurm.job-script-prologue", []))
    options = list(settings("jobqueue.slurm.worker-extra-args", []))
    library = shlex.quote(str(Path(rs3l.__file__).parents[1]))
    address = {} if settings("jobqueue.slurm.interface", None) else {"host": get_ip()}
    jobs.logs.mkdir(parents=True, exist_ok=True)
    return SLURMCluster(
        **own_job(environment),
        cores=1,
        processes=1,
        nanny=False,
        memory=f"{jobs.memory_mb} MiB",
        job_mem=f"{jobs.memory_mb}M",
        walltime=str(jobs.minutes),
        log_directory=str(jobs.logs),
        local_directory=tempfile.gettempdir(),
        python=f"exec {shlex.quote(sys.executable)}",
        worker_extra_args=[*options, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        job_script_prologue=[*prologue, f"export PYTHONPATH={library}${{PYTHONPATH:+:$PYTHONPATH}}"],
        security=Security.temporary(),
        shared_temp_directory=str(jobs.logs.resolve()),
        scheduler_options={**address, "dashboard_address": "127.0.0.1:0"},
    )


def own_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return account, partition and name of the Slurm job that this process belongs to, or a name without one."""
    job = environment.get("SLURM_JOB_ID")
    if job is None:
        return {"job_name": "rs3l-merge"}
    values = squeue(f"--jobs={job}", "--format=%a|%P|%j")
    account, queue, name = (values or "||rs3l-merge").strip().split("|", 2)
    found = {"account": account, "queue": queue, "job_name": name}
    return {key: value for key, value in found.items() if value not in ("", "(null)")}


class Crew:
    """The worker jobs of a cluster; those that end early are replaced, unless that happens in vain."""

    def __init__(self, cluster: SLURMCluster, jobs: Jobs) -> None:
        self.cluster = cluster
        self.jobs = jobs
        self.seen: set[str] = set()
        self.spent = 0
        self.done = 0

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """Return the results of ``futures``; raise the first error."""
        self.submit()
        while not self._finished(futures):
            self.look_after(sum(future.done() for future in futures))
        failed = [future for future in futures if future.status == "error"]
        try:
            return [future.result() for future in failed or futures]
        except KilledWorker as error:
            message = f"a task has cost several worker jobs their life ({error}); {self._remedy()}"
            raise WorkerError(message) from None

    def _finished(self, futures: Sequence[Any]) -> bool:
        try:
            wait(futures, timeout=POLL_SECONDS)
        except TimeoutError:
            return any(future.status == "error" for future in futures)
        return True

    def submit(self) -> None:
        """Submit as many jobs as are missing; raises :class:`WorkerError` if Slurm refuses one."""
        self.cluster.scale(jobs=self.jobs.number)
        try:
            self.cluster.sync(self._submitted)
        except (OSError, RuntimeError) as error:
            raise WorkerError(f"a worker job could not be submitted: {error}") from None
        self.seen |= {job.job_id for job in self.cluster.workers.values()}

    async def _submitted(self) -> None:
        """Wait until the jobs are in the queue; a refused job is tried again, and its error is raised."""
        with contextlib.suppress(OSError, RuntimeError):
            await self.cluster
        jobs = list(self.cluster.workers.values())
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for job in jobs:
            if job.job_id is None:
                job.status = Status.failed  # otherwise the cluster refuses to close
        for error in results:
            if isinstance(error, BaseException):
                raise error

    def look_after(self, done: int) -> None:
        """Replace the jobs that are no longer in Slurm's queue; ``done`` tasks are finished.

        Raises :class:`WorkerError` if too many have ended since a task was finished last.
        """
        queue = queued_jobs()
        if queue is None:
            return
        ended = len(self.seen - queue)
        if done > self.done:
            self.done, self.spent = done, ended
        if ended - self.spent > self.jobs.number + SPARE_JOBS:
            raise WorkerError(f"{ended - self.spent} worker jobs ended and no task was done; {self._remedy()}")
        gone = [name for name, job in list(self.cluster.workers.items()) if job.job_id not in queue]
        self.cluster.sync(self.cluster.scale_down, gone)
        if len(self.cluster.workers) < self.jobs.number:
            logging.warning("%d worker jobs have ended early so far; they are replaced", ended)
            self.submit()

    def _remedy(self) -> str:
        return (
            f"see their logs in {self.jobs.logs}. Out of memory or time: raise mem_mb or runtime of the rule; "
            "no connection: set jobqueue.slurm.interface of Dask to the network of the nodes"
        )


def queued_jobs() -> set[str] | None:
    """Return the numbers of this user's jobs that wait or run, or None if Slurm does not answer."""
    numbers = squeue("--me", "--format=%A")
    return None if numbers is None else set(numbers.split())


def squeue(*options: str) -> str | None:
    """Return what squeue prints, or None if Slurm does not answer."""
    command = ["squeue", "--noheader", *options]
    try:
        return str(
            subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout
        )
    except (OSError, subprocess.CalledProcessError):
        return None
