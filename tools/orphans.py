"""Finds what a killed Snakemake leaves behind in its folder: a lock, processes of this machine, and jobs in Slurm.

Only :func:`end_processes` and :func:`cancel` change anything.
"""

from __future__ import annotations

import datetime
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

RUN_ID = re.compile(r"SLURM run ID: (\S+)")
HOST = re.compile(r"^ +Host: (\S+)", re.MULTILINE)
PLUGIN_JOB = re.compile(r"(rule|group)_")
"""The comment of a job that Snakemake's Slurm plugin has submitted begins like this."""
OWN_JOB = "rs3l-"
"""The names of jobs that a step itself submits (the workers of the merge) begin with these letters."""
LAUNCHERS = re.compile(r"python[0-9.]*|bash|sh|dash|srun|sbatch|torchrun")
INIT = {"init", "systemd", "tini", "dumb-init", "slurmstepd"}


class OrphanError(Exception):
    """The error for a folder that cannot be made safe; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """A run of Snakemake, with its machine and the time when it began (seconds since 1970)."""

    host: str
    started: float


@dataclass(frozen=True)
class SlurmJob:
    """A job that Slurm has not finished with."""

    id: str
    state: str
    name: str
    comment: str
    folder: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f"Slurm job {self.id} ({self.comment or self.name}, {self.state.lower()})"


# --- what Snakemake has noted in the folder


def logs(folder: Path) -> list[Path]:
    """Return Snakemake's own logs in ``folder``, the oldest first."""
    return sorted((folder / ".snakemake" / "log").glob("*.snakemake.log"))


def run_ids(folder: Path) -> set[str]:
    """Return the names that Snakemake gave to the Slurm jobs of its runs in ``folder``."""
    return {
        run for log in logs(folder) for run in RUN_ID.findall(log.read_text(errors="replace", encoding="utf-8"))
    }


def lock_files(folder: Path) -> list[Path]:
    """Return the files that lock ``folder`` for one Snakemake."""
    return sorted((folder / ".snakemake" / "locks").glob("*.lock"))


def started(log: Path) -> float:
    """Return when the run of a log began (seconds since 1970), which its name says in local time."""
    stamp = log.name.removesuffix(".snakemake.log")
    return datetime.datetime.strptime(stamp, "%Y-%m-%dT%H%M%S.%f").timestamp()


def locking_run(folder: Path) -> Run | None:
    """Return the run that left the lock, which is the last one that began before the lock was made."""
    locks = lock_files(folder)
    made = min((lock.stat().st_mtime for lock in locks), default=0.0)
    for log in reversed(logs(folder)):
        host = HOST.search(log.read_text(errors="replace", encoding="utf-8"))
        if host and started(log) <= made:
            return Run(host[1], started(log))
    return None


# --- processes of this machine


def working_in(folder: Path) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield the processes of this machine whose working directory is ``folder``, with their arguments."""
    own = {process.pid for process in [psutil.Process(), *psutil.Process().parents()]}
    for process in psutil.process_iter():
        try:
            if process.pid in own or Path(process.cwd()) != folder:
                continue
            arguments = process.cmdline()
        except psutil.Error:
            continue
        if arguments:
            yield process, arguments


def is_left_to_slurm(process: psutil.Process) -> bool:
    """Return whether a process belongs to a Slurm job, other than the one that this program may run in."""
    try:
        return process.environ().get("SLURM_JOB_ID") not in (None, os.environ.get("SLURM_JOB_ID"))
    except psutil.Error:
        return False


def is_snakemake(arguments: list[str]) -> bool:
    """Return whether a command line is a Snakemake that schedules, as opposed to one that runs a single job."""
    program, *words = arguments
    while words and words[0].startswith("-") and words[0] != "-m":
        words = words[1:]
    module = words[:2] == ["-m", "snakemake"]
    script = bool(words) and (Path(words[0]).name == "snakemake" or words[0].endswith("snakemake/__main__.py"))
    return Path(program).name.startswith("python") and (module or script) and "--mode" not in words


def is_job(arguments: list[str]) -> bool:
    """Return whether a command line belongs to a job of a campaign, or is about to submit one."""
    text = " ".join(arguments)
    job = "workflow/scripts/" in text or ("snakemake" in text and "--mode" in text)
    return job and LAUNCHERS.fullmatch(Path(arguments[0]).name) is not None


def running_snakemake(folder: Path) -> list[psutil.Process]:
    """Return the Snakemake processes that run in ``folder`` on this machine."""
    return [process for process, arguments in working_in(folder) if is_snakemake(arguments)]


def local_jobs(folder: Path) -> list[psutil.Process]:
    """Return the processes of jobs in ``folder`` on this machine and what they started, without those of Slurm."""
    jobs = [job for job, arguments in working_in(folder) if is_job(arguments) and not is_left_to_slurm(job)]
    found = {process.pid: process for process in jobs}
    for process in jobs:
        try:
            found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def is_orphan(process: psutil.Process, jobs: Iterable[psutil.Process]) -> bool:
    """Return whether the process that started a job is gone; a child of another job counts as its parent does."""
    pids = {job.pid for job in jobs}
    try:
        parent = process.parent()
        while parent is not None and parent.pid in pids:
            parent = parent.parent()
        return parent is None or parent.pid == 1 or parent.name() in INIT
    except psutil.NoSuchProcess:
        return True


def end_processes(processes: list[psutil.Process], seconds: float = 10.0) -> None:
    """Ask processes to end, and kill those that are left after ``seconds``."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    for process in psutil.wait_procs(processes, timeout=seconds)[1]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=seconds)


# --- jobs in Slurm


def slurm(*command: str) -> str:
    """Run a command of Slurm and return its output, or raise :class:`OrphanError`."""
    try:
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=120)
    except FileNotFoundError:
        raise OrphanError(f"{command[0]} is not on this machine; go to where the campaign was started") from None
    except subprocess.TimeoutExpired:
        raise OrphanError(f"{command[0]} does not answer; try again later") from None
    if result.returncode:
        raise OrphanError(f"Slurm does not answer ({result.stderr.strip()}); try again when it does")
    return result.stdout


def slurm_jobs(folder: Path) -> list[SlurmJob]:
    """Return your unfinished jobs in Slurm that write into ``folder``.

    These are the jobs of Snakemake's runs in ``folder`` (by their names). Jobs that have ``folder`` as working
    directory and are of Snakemake or of a step are included too, unless they were sent elsewhere by
    ``--directory``. Without Slurm on this machine there are none, but if a run here has used it, an
    :class:`OrphanError` is raised.
    """
    known = run_ids(folder)
    own = os.environ.get("SLURM_JOB_ID")
    try:
        lines = slurm("squeue", "--me", "--noheader", "--format=%i\t%T\t%j\t%k\t%Z").splitlines()
    except OrphanError:
        if known:
            raise
        return []
    jobs = [SlurmJob(*line.split("\t", 4)) for line in lines]
    return [job for job in jobs if job.id != own and (job.name in known or _works_in(job, folder))]


def _works_in(job: SlurmJob, folder: Path) -> bool:
    if Path(job.folder).resolve() != folder:
        return False
    if job.name.startswith(OWN_JOB):
        return True
    return PLUGIN_JOB.match(job.comment) is not None and _directory(job.id) in (None, folder)


def _directory(job: str) -> Path | None:
    """Return the folder that a job's script names with --directory."""
    script = slurm("scontrol", "write", "batch_script", job, "-")
    option = re.search(r"--directory[ =]('[^']*'|\S+)", script)
    return Path(shlex.split(option[1])[0]).resolve() if option else None


def cancel(jobs: Iterable[SlurmJob]) -> None:
    """Cancel jobs; the caller checks that they are gone."""
    slurm("scancel", *(job.id for job in jobs))


def wait_until_gone(find: Callable[[], list[SlurmJob]], seconds: float) -> None:
    """Wait until ``find`` returns no job; raise :class:`OrphanError` that names them after ``seconds``."""
    deadline = time.monotonic() + seconds
    while jobs := find():
        if time.monotonic() > deadline:
            names = ", ".join(map(str, jobs))
            raise OrphanError(f"not gone after {seconds:.0f} s: {names}; try again later")
        time.sleep(1.0)
