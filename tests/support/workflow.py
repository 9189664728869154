"""The workflow in a folder of its own, scripts as a person runs them, and how long tests wait."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from support import quick_python, servers
from support.places import REPOSITORY, SCRIPTS

HANGS = 600
"""Seconds after which what a test waits for will not come. Nothing is expected to be faster than that."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, however long that takes on a busy machine; fail where it hangs."""
    deadline = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < deadline, "hangs"
        time.sleep(0.01)


class Snakemake:
    """Snakemake on this workflow, in a folder of its own."""

    def __init__(
        self, folder: Path, values: dict[str, Any], repository: Path = REPOSITORY, quick: bool = False
    ) -> None:
        """Work in ``folder`` with the configuration ``values`` on the workflow in ``repository``.

        ``quick``: jobs do not wait for the imports of their Python (:mod:`support.quick_python`).
        """
        self.folder = folder
        self.repository = repository
        self.quick = quick
        self.configure(values)

    def configure(self, values: dict[str, Any]) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        """Return the command line; ``arguments`` begin with the targets."""
        return [
            sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(self.repository / "Snakefile"),
            "--directory", str(self.folder), "--cores", str(cores), "--configfile", str(self.folder / "config.yaml"),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return the environment of the jobs: this interpreter first, one thread for the libraries."""
        first = [str(quick_python.folder())] if self.quick else []
        path = os.pathsep.join([*first, str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}

    def __call__(self, *arguments: str, cores: int = 2, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to the end; with ``check``, a failure shows Snakemake's output."""
        result = servers.snakemake().run(
            "snakemake", self.command(*arguments, cores=cores)[3:], self.environment()
        )
        if check and result.returncode:
            raise AssertionError(result.stdout[-6000:] + result.stderr[-6000:])
        return result

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return the number of jobs of each rule that a dry run announces."""
        output = self(*arguments, "--dry-run", "--quiet", "rules").stdout
        return {
            words[0]: int(words[1])
            for line in output.splitlines()
            if len(words := line.split()) == 2 and words[1].isdigit() and words[0] != "total"
        }


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as a person would."""
    return servers.scripts().run(str(SCRIPTS / name), arguments, os.environ)
