"""Go on with a campaign whose Snakemake was killed: end what it left behind, unlock the folder, run again.

    make resume PROFILE=slurm CONFIG=config/paper.yaml
    python tools/resume.py --profile slurm --configfile config/paper.yaml    # any options of Snakemake

A killed Snakemake leaves its jobs running. A second Snakemake would start them a second time, and two jobs
would write one file. So this refuses while a Snakemake runs in the folder; it ends the orphaned processes and
Slurm jobs of the folder, waits until they are gone, and only then removes the lock that the killed one has left.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hang_up
import orphans
from orphans import OrphanError, Run

CANCEL_SECONDS = 600.0
"""Slurm may take this number of seconds to end a cancelled job."""
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def say(text: str) -> None:
    """Print what is done."""
    print(text, file=sys.stderr, flush=True)


def working_folder(arguments: list[str]) -> Path:
    """Return the folder that Snakemake would work in."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-d", "--directory", default=".")
    return Path(parser.parse_known_args(arguments)[0].directory).resolve()


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[int]:
    """Hold a lock that ends with its holders and yield its descriptor.

    Snakemake inherits the descriptor, but its jobs do not.
    """
    path = folder / ".snakemake" / "resume.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OrphanError(f"another `make resume`, or a Snakemake that it started, runs in {folder}") from None
        yield stream.fileno()


def refuse_running(folder: Path) -> None:
    """Raise :class:`OrphanError` if a Snakemake runs in ``folder`` on this machine."""
    pids = ", ".join(str(process.pid) for process in orphans.running_snakemake(folder))
    if pids:
        raise OrphanError(f"Snakemake runs in {folder} (pid {pids}): wait, or stop it with `kill -INT {pids}`")


def refuse_elsewhere(folder: Path, run: Run | None) -> None:
    """Raise :class:`OrphanError` if the lock was made on a machine where this one cannot look."""
    remedy = "make sure that no Snakemake works in this folder anywhere, then add --any-host (ANY_HOST=1)"
    if run is None:
        raise OrphanError(f"{folder} is locked, and no log in .snakemake/log says from where: {remedy}")
    if run.host != platform.node():
        raise OrphanError(f"{folder} was locked on {run.host}, this is {platform.node()}: go there, or {remedy}")


def end_local(folder: Path) -> None:
    """End the orphaned processes; raise :class:`OrphanError` for a job that somebody else runs."""
    jobs = orphans.local_jobs(folder)
    foreign = [str(job.pid) for job in jobs if not orphans.is_orphan(job, jobs)]
    if foreign:
        raise OrphanError(
            f"processes {', '.join(foreign)} run steps in {folder} and were not left by Snakemake: "
            "wait for them, or end them"
        )
    if jobs:
        say(f"ending {len(jobs)} orphaned processes: {', '.join(str(job.pid) for job in jobs)}")
        orphans.end_processes(jobs)


def end_slurm(folder: Path, await_jobs: bool) -> None:
    """Cancel or await the orphaned jobs in Slurm, and return when they are gone."""
    jobs = orphans.slurm_jobs(folder)
    for job in jobs:
        say(f"{'awaiting' if await_jobs else 'cancelling'} {job}")
    if jobs and not await_jobs:
        orphans.cancel(jobs)
    orphans.wait_until_gone(lambda: orphans.slurm_jobs(folder), float("inf") if await_jobs else CANCEL_SECONDS)


def clear(folder: Path, await_jobs: bool) -> None:
    """End everything that writes into ``folder``, until two looks in a row find nothing."""
    while orphans.local_jobs(folder) or orphans.slurm_jobs(folder):
        end_local(folder)
        end_slurm(folder, await_jobs)


def unrecorded(arguments: list[str], folder: Path, since: float) -> list[str]:
    """Return the outputs that jobs have finished after Snakemake was killed.

    No record says what they were made from, so that Snakemake would not notice a changed setting.
    """
    command = [*SNAKEMAKE, *arguments, "--rerun-incomplete", "--summary"]
    table = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace").stdout
    rows = [line.split("\t") for line in table.splitlines()]
    files = [row[0] for row in rows if len(row) == 6 and row[1] != "-" == row[3]]
    return [name for name in files if (folder / name).stat().st_mtime >= since]


def settle(arguments: list[str], folder: Path, since: float, keep: bool) -> None:
    """Remove the outputs that have no record, so that they are made again; with ``keep``, only name them."""
    files = unrecorded(arguments, folder, since)
    if files and keep:
        say(f"kept without a record of their settings (force them if you change any): {' '.join(files)}")
    elif files:
        say(f"making {len(files)} outputs again that were finished after the crash: {' '.join(files)}")
        for name in files:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def resume(arguments: list[str], *, await_jobs: bool, any_host: bool) -> int:
    """Make the folder safe and run Snakemake with ``arguments``; return its exit code."""
    folder = working_folder(arguments)
    with only_one(folder) as lock:
        refuse_running(folder)
        locked, run = bool(orphans.lock_files(folder)), orphans.locking_run(folder)
        if locked and not any_host:
            refuse_elsewhere(folder, run)
        clear(folder, await_jobs)
        refuse_running(folder)
        if locked:  # only then, because a lock made since belongs to somebody else
            settle(arguments, folder, run.started if run else float("inf"), await_jobs)
            say(f"unlocking {folder}")
            subprocess.run([*SNAKEMAKE, *arguments, "--unlock"], check=True, stdout=subprocess.DEVNULL)
        process = hang_up.start([*SNAKEMAKE, *arguments, "--rerun-incomplete"], pass_fds=[lock])
        return wait(process)


def wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for Snakemake, which Ctrl-C reaches and which then ends its jobs."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> int:
    """Parse the command line, of which a few options are its own and all others are Snakemake's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--await", dest="await_jobs", action="store_true", help="let orphaned Slurm jobs end")
    parser.add_argument("--any-host", action="store_true", help="no Snakemake runs on the machine that locked")
    args, arguments = parser.parse_known_args()
    try:
        return resume(arguments, await_jobs=args.await_jobs, any_host=args.any_host)
    except OrphanError as error:
        say(f"error: {error}")
    except subprocess.CalledProcessError as error:
        say(f"error: Snakemake stopped: {' '.join(error.cmd)}\n{error.stderr or ''}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
