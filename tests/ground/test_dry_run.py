"""A dry run on a cluster: each rule once, in a table; and what is missing to submit, once."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest

from rs3l.dry_run import SLURM_COMMANDS, ResourceTable, missing_slurm, resource_table
from support.places import REPOSITORY


class Event(Enum):
    """Some of Snakemake's events."""

    JOB_INFO = 1
    RUN_INFO = 2


def record(event: Event, **values: object) -> logging.LogRecord:
    return logging.makeLogRecord({"event": event, "msg": "said by Snakemake", **values})


def test_a_rule_is_one_line_whatever_its_jobs_ask_for() -> None:
    jobs = [("resimulate", {"threads": 1, "mem_mb": 1500, "runtime": 180})] * 500
    jobs += [("merge", {"threads": 2, "mem_mb": mb, "slurm_partition": p}) for mb, p in ((90, "a"), (4000, "b"))]
    assert resource_table(jobs).splitlines()[1:] == [
        "rule        jobs  threads   mem_mb  minutes  partition",
        "resimulate   500        1     1500      180          -",
        "merge          2        2  90-4000        -        a/b",
    ]


def test_the_table_takes_the_place_of_the_jobs_and_of_the_second_count() -> None:
    table = ResourceTable(lambda: True, {"merge": 4, "all": None}.get, lambda: "and a note")
    counts = [record(Event.RUN_INFO), record(Event.RUN_INFO)]
    assert table.filter(counts[0]) and counts[0].msg == "said by Snakemake"
    resources = {"mem_mb": 9, "tmpdir": "/tmp", "_cores": 1}
    for rule in ("merge", "all"):
        assert not table.filter(record(Event.JOB_INFO, rule_name=rule, threads=1, resources=resources))
    assert table.filter(counts[1])
    assert counts[1].msg.splitlines()[1:] == [
        "rule   jobs  threads  mem_mb",
        "merge     1        4       9",
        "and a note",
    ]
    assert table.filter(logging.makeLogRecord({"msg": "anything else"}))


def test_without_a_cluster_nothing_is_kept_back() -> None:
    table = ResourceTable(lambda: False, lambda _: 1, lambda: "and a note")
    assert table.filter(record(Event.JOB_INFO, rule_name="merge", threads=1, resources={}))
    counts = record(Event.RUN_INFO)
    assert table.filter(counts) and counts.msg == "said by Snakemake"


def test_what_is_missing_of_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert f"{', '.join(SLURM_COMMANDS)} not found in PATH" in missing_slurm()
    for name in SLURM_COMMANDS:
        (tmp_path / name).touch(mode=0o755)
    assert missing_slurm() == ""
    (tmp_path / "squeue").unlink()
    assert missing_slurm().startswith("Slurm is not on this machine: squeue not found")


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake from the checkout where there is no Slurm, with the profile for it."""
    command = [sys.executable, "-m", "snakemake", "dataset", "--profile", "slurm", "-d", str(folder), *arguments]
    programs = folder / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "which"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(programs)])}
    config = ["--configfile", str(REPOSITORY / "config" / "test.yaml")]
    return subprocess.run([*command, *config], cwd=REPOSITORY, capture_output=True, text=True, env=environment)


def test_a_dry_run_on_slurm_names_each_rule_once(tmp_path: Path) -> None:
    result = snakemake(tmp_path, "-n")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    rows = {
        line.split()[0]: line.split()[1:]
        for line in lines[lines.index(next(filter(_is_head, lines))) + 1 :]
        if line
    }
    assert rows["resimulate"] == ["20", "1", "1500", "180"] and rows["merge"] == ["1", "2", "4000", "240"]
    assert result.stdout.count("Slurm is not on this machine") == 1 and "jobid" not in result.stdout
    assert len(lines) < 70


def _is_head(line: str) -> bool:
    return line.startswith("rule ") and "mem_mb" in line


def test_a_run_without_slurm_says_so_once_and_starts_nothing(tmp_path: Path) -> None:
    result = snakemake(tmp_path)
    said = result.stdout + result.stderr
    assert result.returncode != 0 and said.count("Slurm is not on this machine") == 1, said
    assert "rule hard_process:" not in said and not (tmp_path / "results").exists()
