"""A campaign in a fresh clone, run with `--profile slurm` on the cluster of :mod:`cluster`, and looks into Slurm."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import cluster
from support.places import REPOSITORY

Values = dict[str, Any]

needs_slurm = pytest.mark.skipif(
    not os.environ.get("RS3L_SLURM"), reason="needs the Slurm that `make test-slurm` and `make test-faults` start"
)
SHORT_WAITS = [
    "--slurm-init-seconds-before-status-checks", "2", "--max-status-checks-per-second", "1", "--latency-wait", "5",
]  # fmt: skip


def small(values: Values) -> Values:
    """Return the miniature campaign with fewer jobs: two processes of one shard, three variants, one task."""
    result = copy.deepcopy(values)
    result["events_per_shard"] = 200
    del result["processes"]["w_qq"], result["tasks"]["w_vs_qcd"], result["variants"]["fsr_hi"]
    return result


def rule_of(comment: str) -> str:
    """Return the rule that the plugin names in a job's comment; groups are named by their first word."""
    rule = comment.split("_wildcards_")[0].removeprefix("rule_").removeprefix("group_")
    return next((group for group in ("figures", "shard") if rule.startswith(f"{group}_")), rule)


@dataclass(frozen=True)
class Job:
    """A job in Slurm: as squeue or sacct tell it."""

    id: str
    comment: str
    state: str
    node: str

    @property
    def rule(self) -> str:
        """Return its rule or group."""
        return rule_of(self.comment)


def queue() -> list[Job]:
    """Return all jobs that Slurm has not finished with."""
    lines = cluster.output("squeue", "--noheader", "--format=%i\t%k\t%T\t%N").splitlines()
    return [Job(*line.split("\t")) for line in lines]


def running(rule: str) -> list[Job]:
    """Return the running jobs of a rule."""
    return [job for job in queue() if job.rule == rule and job.state == "RUNNING"]


def accounted(run: str, *fields: str) -> list[dict[str, str]]:
    """Return what Slurm's accounting knows of the jobs of a run, without their steps."""
    names = ["JobID", "Comment", "State", *fields]
    options = ["--allocations", "--noheader", "--parsable2", "--duplicates", "--delimiter=\t"]
    text = cluster.output(
        "sacct", *options, f"--name={run}", f"--format={','.join(names)}", "--starttime=now-1day"
    )
    return [dict(zip(names, line.split("\t"), strict=True)) for line in text.splitlines()]


def visible_devices(job: str) -> set[str]:
    """Return the values of CUDA_VISIBLE_DEVICES in the tasks of a job (`none` if unset)."""
    lines = (cluster.STATE / "devices").read_text(encoding="utf-8").splitlines()
    return {line.split(" ", 1)[1] for line in lines if line.split(" ", 1)[0] == job}


class Clone:
    """A fresh clone with a campaign, and an empty home folder beside it."""

    def __init__(self, parent: Path, values: Values) -> None:
        """Clone the last commit of this repository into ``parent``; its devices are declared only."""
        self.folder, self.home = parent / "clone", parent / "home"
        self.home.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(self.folder)], check=True)
        self.log = parent / "snakemake.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.root = self.folder / "results" / str(values["campaign"])
        self.configure(values)
        self.edit_profile(lambda profile: profile["set-resources"]["pretrain"].update(device="cpu"))

    def configure(self, values: Values) -> None:
        """Write the configuration."""
        (self.folder / "my.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def edit_profile(self, change: Callable[[Values], None]) -> None:
        """Change the profile, as a site would."""
        path = self.folder / "profiles" / "slurm" / "config.yaml"
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(profile)
        path.write_text(yaml.safe_dump(profile), encoding="utf-8")

    def options(self, *arguments: str) -> list[str]:
        """Return Snakemake's arguments; ``arguments`` begin with the targets."""
        return [*arguments, "--profile", "slurm", "--configfile", "my.yaml", *SHORT_WAITS]

    def start(self, *arguments: str, resume: bool = False) -> subprocess.Popen[bytes]:
        """Start Snakemake, or `tools/resume.py`; all output goes to one log."""
        program = ["tools/resume.py"] if resume else ["-m", "snakemake"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "HOME": str(self.home), "PATH": path, "OMP_NUM_THREADS": "1"}
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *program, *self.options(*arguments)],
                cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Kill what a failed test has left running; it would go on to submit jobs."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def run(self, *arguments: str, resume: bool = False) -> str:
        """Run to the end; return the output, which a failure shows."""
        return self.finish(self.start(*arguments, resume=resume))

    def finish(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for the end, which must be a success; return the output of all runs."""
        code = process.wait(timeout=1200)
        assert code == 0, self.output()[-8000:]
        return self.output()

    def output(self) -> str:
        """Return the output of all runs so far."""
        return self.log.read_text(errors="replace", encoding="utf-8")

    def wait_for(self, process: subprocess.Popen[bytes], what: Callable[[], Any], seconds: float = 300.0) -> Any:
        """Return what ``what`` returns as soon as it is true; fail if Snakemake ends before."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert process.poll() is None, self.output()[-8000:]
            assert time.monotonic() < deadline, self.output()[-8000:]
            time.sleep(0.2)
        return found

    def files(self, *folders: str) -> dict[str, bytes]:
        """Return the results below some folders, but for those that tell of the run itself."""
        return results(self.root, *folders)


def results(root: Path, *folders: str) -> dict[str, bytes]:
    """Return the files below some folders of a campaign by name, without what tells of the run."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.name not in ("provenance.json", ".snakemake_timestamp")
    }
