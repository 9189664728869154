"""Show each rule's resources once in a dry run on a cluster, in a table and not in a paragraph for each job.

This module knows Snakemake only by the records of its logger.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

SLURM_COMMANDS = ("sbatch", "squeue", "scancel", "sacct")
"""The commands that Snakemake's plugin for Slurm calls."""

_JOB, _STATS = "JOB_INFO", "RUN_INFO"
_JOBS = (_JOB, "SHELLCMD", "GROUP_INFO")
_HIDDEN = ("_cores", "_nodes", "tmpdir", "mem", "mem_mib", "disk", "disk_mib", "disk_mb", "events", "serial")
_FIRST = ("mem_mb", "runtime")
_HEADS = {"mem_mb": "mem_mb", "runtime": "minutes", "slurm_partition": "partition", "slurm_account": "account"}


class ResourceTable(logging.Filter):
    """Filter of a handler of Snakemake's logger that keeps the jobs back and shows a table of them in the end."""

    def __init__(
        self, wanted: Callable[[], bool], threads: Callable[[str], int | None], note: Callable[[], str]
    ) -> None:
        """Act if ``wanted``; all three are asked after the jobs are planned.

        ``threads`` returns the threads of a rule, because a dry run itself has one core and says so of every job,
        or None for a rule that has nothing to run. ``note`` returns a text that follows the table.
        """
        super().__init__()
        self._wanted, self._threads, self._note = wanted, threads, note
        self._jobs: list[tuple[str, dict[str, Any]]] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether ``record`` is shown; the counts of jobs in the end become the table."""
        event = getattr(getattr(record, "event", None), "name", "")
        if event in _JOBS and self._wanted():
            if event == _JOB:
                self._note_job(record.__dict__["rule_name"], record.__dict__["resources"] or {})
            return False
        if event == _STATS and self._jobs:
            record.msg = "\n".join(filter(None, [resource_table(self._jobs), self._note()]))
            record.args = ()
        return True

    def _note_job(self, rule: str, resources: Mapping[str, Any]) -> None:
        threads = self._threads(rule)
        if threads is not None:
            shown = {name: value for name, value in dict(resources).items() if name not in _HIDDEN}
            self._jobs.append((rule, {"threads": threads, **shown}))


def resource_table(jobs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return a line per rule of ``jobs`` with their number and resources, as ``1-4`` where these differ."""
    rules = list(dict.fromkeys(rule for rule, _ in jobs))
    names = list(dict.fromkeys(name for _, resources in jobs for name in resources if name != "threads"))
    columns = ["threads", *(name for name in _FIRST if name in names), *sorted(set(names) - set(_FIRST))]
    rows = [["rule", "jobs", *(_HEADS.get(name, name) for name in columns)]]
    for rule in rules:
        own = [resources for name, resources in jobs if name == rule]
        rows.append([rule, str(len(own)), *(_range(r.get(name) for r in own) for name in columns)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join(["What each job asks for, in its first attempt (-p names every job):", *lines])


def _range(values: Iterable[Any]) -> str:
    found = {str(value): value for value in values if value is not None}
    if len(found) > 1 and all(isinstance(value, int | float) for value in found.values()):
        return f"{min(found.values())}-{max(found.values())}"
    return "/".join(found) or "-"


def missing_slurm() -> str:
    """Return what is missing to submit jobs to Slurm from this machine, with the remedy, or nothing."""
    missing = [name for name in SLURM_COMMANDS if shutil.which(name) is None]
    if not missing:
        return ""
    return (
        f"Slurm is not on this machine: {', '.join(missing)} not found in PATH. A dry run needs none of them; "
        "start the campaign on a login node, or without `--profile slurm` on this machine alone (docs/cluster.md)."
    )
