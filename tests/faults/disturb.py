"""What the tests of faults share: start, wait, kill, copy, compare."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from support.places import REPOSITORY
from support.workflow import Snakemake

ROOT = Path("results/test")
AFTER_SIMULATION = ("dataset", "models", "downstream", "evaluation", "summary.json")
"""What stages 3 to 6 write below the campaign's folder."""

Process = subprocess.Popen[bytes]


def start(snakemake: Snakemake, *arguments: str) -> Process:
    """Start Snakemake in a session of its own; its messages go to ``output.txt`` in its folder."""
    return launch(snakemake.command(*arguments), snakemake.folder, snakemake.environment())


def listen() -> None:
    """Let SIGINT and SIGHUP end this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def launch(command: list[str], folder: Path, environment: dict[str, str]) -> Process:
    """Start a command in a session of its own; its messages are appended to ``output.txt`` in ``folder``.

    It listens to Ctrl-C and to a terminal that closes even if the tests, run in the background of a shell or by
    nohup, do not.
    """
    with open(folder / "output.txt", "ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=output,
            stderr=output,
            preexec_fn=listen,
        )


def wait_until(condition: Callable[[], Any], process: Process | None = None, seconds: float = 180) -> None:
    """Wait for ``condition``; it must come true before ``process`` ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the process ended before it was disturbed"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def members(session: int) -> list[psutil.Process]:
    """Return the living processes of a session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def end(process: Process) -> None:
    """Kill what is left of a session, whatever became of the test."""
    for member in members(process.pid):
        member.kill()
    process.wait()


def kill_group(process: Process) -> None:
    """Send SIGKILL to Snakemake and its jobs."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not members(process.pid))


def kill_alone(process: Process) -> None:
    """Send SIGKILL to Snakemake alone: its jobs go on."""
    process.kill()
    process.wait()


def temporaries(folder: Path) -> list[Path]:
    """Return temporary files that nobody renamed or removed."""
    return list(folder.rglob(".*.tmp"))


def results(snakemake: Snakemake) -> dict[str, Any]:
    """Return the data set and the tables byte by byte, and the summary but for the commit of the workflow.

    Temporary files are hidden from every reader, and left out here.
    """
    root = snakemake.folder / ROOT
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in ("dataset", "evaluation")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.name != "provenance.json" and "/." not in str(path.relative_to(root))
    }
    summary = json.loads((root / "summary.json").read_text(encoding="utf-8"))
    del summary["provenance"]["git"]
    assert len(files) > 20
    return {**files, "summary": summary}


def copy_of(
    snakemake: Snakemake, folder: Path, values: dict[str, Any], without: tuple[str, ...] = ()
) -> Snakemake:
    """Copy a finished campaign with its times and records, ``without`` the results of some stages."""
    shutil.copytree(snakemake.folder, folder, dirs_exist_ok=True)
    for name in without:
        path = folder / ROOT / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Snakemake(folder, values)


def checkout(folder: Path) -> Path:
    """Copy the workflow as a checkout has it, without results and environment."""
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    for name in ("workflow", "config", "profiles", "envs", "tools"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def in_namespace(script: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a bash script that may mount: its mounts are seen by nobody else and end with it."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--mount", "bash", "-euc", script, "bash", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def can_mount() -> bool:
    """Return whether this machine lets us mount in a namespace of our own."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return in_namespace("mount -t tmpfs tmpfs /mnt", environment=dict(os.environ)).returncode == 0
