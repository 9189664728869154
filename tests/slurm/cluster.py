"""A Slurm of one machine for the tests: munge, MariaDB, slurmdbd, slurmctld and three nodes, all on loopback.

Needs root and Debian's packages; no systemd. From the repository:

    .venv/bin/python tests/slurm/cluster.py run -- COMMAND    install, start, run with RS3L_SLURM=1, stop in any case
    .venv/bin/python tests/slurm/cluster.py try -- COMMAND    the same, but a success where Slurm cannot be started
    .venv/bin/python tests/slurm/cluster.py install|start|stop|status

Partition `cpu` (default): nodes cpu1 and cpu2; partition `gpu`: node gpu1 with two declared devices. Account:
`campaign`. Slurm drops SLURM_CONF inside jobs, so that the configuration has to lie in /etc/slurm; a configuration
there that these tests have not written is refused. All else lies in /var/lib/rs3l-slurm.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

STATE = Path(os.environ.get("RS3L_SLURM_STATE", "/var/lib/rs3l-slurm"))
ETC = Path("/etc/slurm")
TEMPLATES = Path(__file__).resolve().parent / "etc"
MARK = "Written by the tests of rs3l-campaign"
NODES = ("cpu1", "cpu2", "gpu1")
ACCOUNT = "campaign"
SOCKET = STATE / "mysql.sock"
PACKAGES = {
    "munged": "munge",
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}


class ClusterError(Exception):
    """The test cluster cannot be installed or started."""


# --- commands


def quiet(*command: str) -> bool:
    """Run a command; return whether it succeeded."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def output(*command: str) -> str:
    """Run a command that must succeed; return what it prints."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def wait_for(what: str, check: Callable[[], bool], seconds: float = 180.0) -> None:
    """Wait until ``check`` holds; raise :class:`ClusterError` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain for {what}; see {STATE / 'log'}")
        time.sleep(0.1)


# --- packages


def install() -> None:
    """Install the packages whose programs are missing; their daemons are not started."""
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if not missing:
        return
    print(f"installing {' '.join(missing)}", flush=True)
    policy = Path("/usr/sbin/policy-rc.d")
    created = not policy.exists()
    if created:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
    try:
        for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "-qq", *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    finally:
        if created:
            policy.unlink()


# --- daemons


def pid_file(name: str) -> Path:
    """Return the file with pid and start time of a daemon."""
    return STATE / "pids" / name


def running(name: str) -> psutil.Process | None:
    """Return the daemon's process, or None; a foreign process that has got its pid does not count."""
    try:
        pid, started = pid_file(name).read_text(encoding="utf-8").split()
        process = psutil.Process(int(pid))
        alive = process.status() != psutil.STATUS_ZOMBIE and f"{process.create_time():.2f}" == started
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if alive else None


def spawn(name: str, *command: str, user: str = "root") -> None:
    """Start a daemon detached, with its output in a log file, and record its pid."""
    if running(name):
        return
    with open(STATE / "log" / f"{name}.out", "ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=STATE,
            user=user, group=user, extra_groups=[],
        )  # fmt: skip
    started = psutil.Process(process.pid).create_time()
    pid_file(name).write_text(f"{process.pid} {started:.2f}", encoding="utf-8")


def end(name: str, *, kill: bool = False, seconds: float = 20.0) -> None:
    """Stop a daemon by its recorded pid: ask, then insist. With ``kill``, insist at once.

    As the child of another process, which does not collect it, it stays as a zombie, and is as good as gone.
    """
    process = running(name)
    if process:
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            wait_for(f"the end of {name}", lambda: not running(name), seconds)
        except ClusterError:
            process.kill()
            wait_for(f"the end of {name}", lambda: not running(name), seconds)
    pid_file(name).unlink(missing_ok=True)


# --- the parts of the cluster


def write_configuration() -> None:
    """Fill in the templates; refuse to replace the configuration of a real cluster."""
    target = ETC / "slurm.conf"
    if target.exists() and MARK not in target.read_text(encoding="utf-8"):
        raise ClusterError(f"{target} belongs to another Slurm; run these tests elsewhere, e.g. in a container")
    for folder in (ETC, *(STATE / name for name in ("", "log", "pids", "run", "slurmctld", "munge", "mysql"))):
        folder.mkdir(parents=True, exist_ok=True)
    values = {"host": socket.gethostname().split(".")[0], "state": str(STATE)}
    for template in TEMPLATES.iterdir():
        path = (STATE if template.name == "task_prolog" else ETC) / template.name
        path.write_text(string.Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        path.chmod({"task_prolog": 0o755, "slurmdbd.conf": 0o600}.get(path.name, 0o644))
    for device in (STATE / "gpu0", STATE / "gpu1"):
        if not device.exists() and not quiet("mknod", str(device), "c", "1", "3"):
            device.touch()


def remove_configuration() -> None:
    """Remove what :func:`write_configuration` wrote: with it, every client would wait for a controller that is gone.

    Snakemake's Slurm plugin is such a client, each time that Snakemake starts.
    """
    target = ETC / "slurm.conf"
    if target.exists() and MARK in target.read_text(encoding="utf-8"):
        for template in TEMPLATES.iterdir():
            (ETC / template.name).unlink(missing_ok=True)


def start_munge() -> None:
    """Start munge with a key of its own, unless one answers already: all clients of Slurm ask the usual socket."""
    if quiet("munge", "-n"):
        return
    folder, sockets = STATE / "munge", Path("/run/munge")
    sockets.mkdir(exist_ok=True)
    key = folder / "key"
    if not key.exists():
        key.write_bytes(os.urandom(1024))
    for path, mode in ((sockets, 0o755), (folder, 0o700), (key, 0o400)):
        shutil.chown(path, "munge", "munge")
        path.chmod(mode)
    options = [f"--{name}-file={folder / name}" for name in ("key", "log", "seed", "pid")]
    spawn("munged", "munged", "--foreground", "--force", *options, user="munge")
    wait_for("munge", lambda: quiet("munge", "-n"))


def start_accounting() -> None:
    """Start MariaDB and slurmdbd; create the cluster, the account and its user."""
    data = STATE / "mysql"
    if not (data / "mysql").is_dir():
        output(
            "mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
    spawn(
        "mariadbd", "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={SOCKET}",
        "--bind-address=127.0.0.1", "--port=16806", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=64M",
        "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=2",
    )  # fmt: skip
    sql = ["mariadb", "--no-defaults", "-uroot", f"--socket={SOCKET}", "-e"]
    wait_for("MariaDB", lambda: quiet(*sql, "select 1"))
    output(
        *sql,
        "create database if not exists slurm_acct_db; "
        "create user if not exists slurm@'127.0.0.1' identified by 'slurm'; "
        "create user if not exists slurm@localhost identified by 'slurm'; "
        "grant all on slurm_acct_db.* to slurm@'127.0.0.1', slurm@localhost;",
    )
    spawn("slurmdbd", "slurmdbd", "-D")
    wait_for("slurmdbd", lambda: quiet("sacctmgr", "-n", "list", "cluster"))
    for entity in (
        ["cluster", "rs3l"],
        ["account", ACCOUNT, "Cluster=rs3l"],
        ["user", "root", f"DefaultAccount={ACCOUNT}"],
    ):
        quiet("sacctmgr", "-i", "-n", "add", *entity)


def start_controller() -> None:
    """Start slurmctld and wait until it answers."""
    spawn("slurmctld", "slurmctld", "-D")
    wait_for("slurmctld", lambda: quiet("squeue"))


def start_node(node: str) -> None:
    """Start the slurmd of one node."""
    (STATE / f"slurmd.{node}").mkdir(exist_ok=True)
    spawn(f"slurmd.{node}", "slurmd", "-D", "-N", node)


def ready_nodes() -> set[str]:
    """Return the nodes that take jobs."""
    lines = output("sinfo", "-h", "-N", "-o", "%N %t").split("\n")
    return {line.split()[0] for line in lines if line and line.split()[1] in ("idle", "mix", "alloc")}


def all_nodes_ready() -> bool:
    """Return whether all nodes take jobs; undrain the others: a controller that was killed drains what it forgot."""
    waiting = set(NODES) - ready_nodes()
    for node in waiting:
        quiet("scontrol", "update", f"NodeName={node}", "State=RESUME")
    return not waiting


def start() -> None:
    """Start everything that is not running, and wait until all nodes take jobs."""
    if os.geteuid() != 0:
        raise ClusterError("the daemons of Slurm need root")
    began = time.monotonic()
    write_configuration()
    start_munge()
    start_accounting()
    start_controller()
    for node in NODES:
        start_node(node)
    wait_for("the nodes", all_nodes_ready)
    print(f"Slurm is up after {time.monotonic() - began:.1f} s", flush=True)


def stop() -> None:
    """Cancel all jobs and stop the daemons, each by its recorded pid, in reverse order."""
    if running("slurmctld"):
        quiet("scancel", "--user=root")
        try:
            wait_for("the jobs to end", lambda: not output("squeue", "-h"), 30)
        except ClusterError as error:
            print(error, file=sys.stderr)
    for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"):
        end(name)
    remove_configuration()
    print("Slurm is stopped", flush=True)


def is_up() -> bool:
    """Return whether the controller of this cluster runs."""
    return running("slurmctld") is not None


def impossible() -> str:
    """Return why this machine cannot run the cluster, or nothing."""
    if os.geteuid() != 0:
        return "the daemons of Slurm need root"
    if not all(map(shutil.which, PACKAGES)) and not shutil.which("apt-get"):
        return "Slurm is not installed, and there is no apt-get to install it"
    return ""


def run(command: Sequence[str], *, optional: bool = False) -> int:
    """Run a command with the cluster up; stop the cluster afterwards if it was not up before.

    With ``optional``, a machine on which the cluster cannot be installed or started is no failure.
    """
    ours = not is_up()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        try:
            install()
            start()
        except (ClusterError, OSError, subprocess.CalledProcessError) as error:
            if not optional:
                raise
            print(f"SKIPPED: {error}")
            return 0
        return subprocess.run(command, env={**os.environ, "RS3L_SLURM": "1"}).returncode
    finally:
        if ours:
            stop()


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["install", "start", "stop", "status", "run", "try"])
    parser.add_argument("command", nargs=argparse.REMAINDER, help="with run and try: what to run, after --")
    args = parser.parse_args()
    try:
        if args.action == "try" and (reason := impossible()):
            print(f"SKIPPED: {reason}")
            return 0
        if args.action in ("run", "try"):
            return run(args.command[args.command[:1] == ["--"] :], optional=args.action == "try")
        if args.action == "status":
            print("up" if is_up() else "down")
            return 0 if is_up() else 1
        {"install": install, "start": start, "stop": stop}[args.action]()
    except (ClusterError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
