"""Scripts as processes of their own that import nothing: forked from a server that has imported torch and the library."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from support.workflow import HANGS

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "forked",
        "rs3l.cli",
        "rs3l.pretrain.pretrain",
        "rs3l.finetune.finetune",
        "rs3l.training.live",
        "test_pretrain",
    ]
)


@dataclass
class Ranks:
    """The processes of one script, and the file of what they print."""

    processes: Sequence[ForkServerProcess]
    log: Path

    def text(self) -> str:
        """Return what they have printed."""
        return self.log.read_text(encoding="utf-8")

    def wait(self) -> int:
        """Wait for all of them; return 0, or the first status that is another."""
        for process in self.processes:
            process.join(HANGS)
            assert process.exitcode is not None, "hangs"
        return next((p.exitcode for p in self.processes if p.exitcode), 0)


@cache
def _start_server() -> None:
    """Start the server with the path of this process: Python 3.11 does not hand it over for what is imported first."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]


def start(ranks: int, script: Path, arguments: Sequence[str], log: Path) -> Ranks:
    """Start a script as so many ranks, with the variables that torchrun would set."""
    _start_server()
    places = [_place(rank, ranks) for rank in range(ranks)]
    port = {"MASTER_PORT": str(_free_port())} if ranks > 1 else {}
    log.touch()
    processes = [_SERVER.Process(target=_run, args=(script, arguments, place | port, log)) for place in places]
    for process in processes:
        process.start()
    return Ranks(processes, log)


def _place(rank: int, ranks: int) -> dict[str, str]:
    names = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
    alone = {} if ranks == 1 else {"TORCHELASTIC_RUN_ID": "tests", "MASTER_ADDR": "127.0.0.1"}
    return {name: str(value) for name, value in names.items()} | alone


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _run(script: Path, arguments: Sequence[str], place: Mapping[str, str], log: Path) -> None:
    """Be the script: its arguments, output, environment, and what it does when it ends."""
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_", "MASTER_"))]:
        del os.environ[name]
    os.environ.update(place)
    sys.argv = [str(script), *arguments]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends without them
