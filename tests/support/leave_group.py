"""Train a step of a network whose gradients are averaged, and write the threads of gloo that are left at the end.

torchrun starts several of this script. Arguments: the folder to write to, and "stop" to end as on a signal.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import sys
from pathlib import Path

import torch
from torch import nn

from rs3l.errors import StoppedError
from rs3l.training.distributed import Ranks, join

EXITING = 4
"""A flag of the kernel: a thread that was joined may still be listed until it has run to its very end."""


def threads() -> list[str]:
    """Return the names of this process's threads that belong to gloo."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            _, name, rest = re.split(r" \((.*)\) ", (task / "stat").read_text(encoding="utf-8"))
            if "gloo" in name and not int(rest.split()[6]) & EXITING:
                names.append(name)
    return names


def step(ranks: Ranks) -> None:
    """Take the gradients of a small network."""
    ranks.averaging(nn.Linear(3, 1))(torch.ones(2, 3)).sum().backward()


def main(folder: str, end: str) -> None:
    """Train, and end."""
    atexit.register(
        lambda: Path(folder, "left").write_text(" ".join(threads()), encoding="utf-8")
    )  # what is first runs last
    with join("cpu") as ranks:
        step(ranks)
        Path(folder, "training").write_text(" ".join(threads()), encoding="utf-8")
        if end == "stop":
            raise StoppedError("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
