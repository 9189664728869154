"""Commands without the seconds that their imports take: forked from a process that has these behind it.

The tests start Snakemake and the scripts hundreds of times. All else is as in ``python -m snakemake`` and ``python
script.py``: a process of its own, with its own environment, folder and output, that imports nothing of this project
before it is asked to.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

_SNAKEMAKE = ("snakemake.cli", "snakemake.report", "smart_open", "pydantic", "pythia8mc")
SCRIPTS = (
    "dask.dataframe", "fastjet", "matplotlib.pyplot", "pandas", "pyarrow.dataset", "pydantic", "pylhe", "pythia8mc",
    "sklearn.linear_model", "torch",
)  # fmt: skip


class Server:
    """A process that has imported modules and forks itself for each command."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Start it; it ends with this process."""
        command = [sys.executable, __file__, *modules]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self._process.terminate)

    def run(
        self, what: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a module, or the file of a script, to the end."""
        assert self._process.stdin and self._process.stdout
        with tempfile.TemporaryDirectory() as output:
            order = {"what": what, "arguments": arguments, "cwd": str(Path.cwd()), "output": output}
            print(json.dumps(order | {"environment": dict(environment)}), file=self._process.stdin, flush=True)
            status = int(self._process.stdout.readline())
            out, err = (Path(output, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess([what, *arguments], status, out, err)


@cache
def snakemake() -> Server:
    """Return the server of this process that runs Snakemake."""
    return Server(_SNAKEMAKE)


@cache
def scripts() -> Server:
    """Return the server of this process that runs scripts."""
    return Server(SCRIPTS)


def _serve(modules: Sequence[str]) -> None:
    """Fork for each line of the standard input, and say how the command ended."""
    for module in modules:
        importlib.import_module(module)
    if "snakemake.cli" in modules:
        sys.modules["snakemake.cli"].get_argument_parser()  # looks for plugins
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


def _run(what: str, arguments: Sequence[str], environment: Mapping[str, str], cwd: str, output: str) -> None:
    """Be the command, with its output in files."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(output, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    become(what, arguments, environment, cwd)


def become(what: str, arguments: Sequence[str], environment: Mapping[str, str], cwd: str) -> NoReturn:
    """Be a command with the streams of this process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = [what, *arguments]
    first = str(Path(what).parent) if what.endswith(".py") else cwd
    added = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [first, *(path for path in added if path not in sys.path)]
    _end(_status(what))


def _status(what: str) -> int:
    """Run the command in this process and return what it exits with."""
    try:
        if what.endswith(".py"):
            runpy.run_path(what, run_name="__main__")
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(status: int) -> NoReturn:
    """End as Python does, but for tearing down each module that was there before the fork, which takes two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1:])
