"""Snakemake without the second and a half that its imports take: forked from a process that has them behind it.

The tests start it more than a hundred times. All else is as in ``python -m snakemake``: a process of its own that
imports nothing of this project before it is asked to, with its own environment, folder and output.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path


class Server:
    """A process that has imported Snakemake and forks itself for each command."""

    def __init__(self) -> None:
        """Start it; it ends with this process."""
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self._process.terminate)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run ``snakemake`` with ``arguments`` to the end."""
        assert self._process.stdin and self._process.stdout
        with tempfile.TemporaryDirectory() as folder:
            order = {"arguments": arguments, "environment": dict(environment), "output": folder}
            print(json.dumps(order | {"cwd": str(Path.cwd())}), file=self._process.stdin, flush=True)
            status = int(self._process.stdout.readline())
            out, err = (Path(folder, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(["snakemake", *arguments], status, out, err)


@cache
def server() -> Server:
    """Return the one server of this process."""
    return Server()


def _serve() -> None:
    """Fork for each line of the standard input, and say how the command ended."""
    import pydantic  # noqa: F401  not needed here, but there before the fork, as are the others
    import pythia8mc  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.report  # noqa: F401
    from snakemake.cli import get_argument_parser

    get_argument_parser()  # looks for plugins
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


def _run(arguments: Sequence[str], environment: Mapping[str, str], cwd: str, output: str) -> None:
    """Be ``python -m snakemake``."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(output, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv[1:] = arguments
    sys.path[0] = cwd
    added = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[1:1] = [path for path in added if path not in sys.path]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    _serve()
