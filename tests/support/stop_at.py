"""pretrain.py, which gets a signal in the middle of its training; torchrun may start several of this script.

Arguments: the step, the signal, whether it is this process that gets it or its parent (torchrun), and then those of
pretrain.py. The training waits in that step until the signal is there: no clock decides where it stops.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rs3l.training.live import Folder
from rs3l.training.stop import StopRequest

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "pretrain.py"
AT, SIGNAL, WHO = int(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3]
noted: list[int] = []
original_note, original_step = StopRequest._note, Folder.step


def note(self: StopRequest, number: int, frame: object) -> None:
    """Take note, here too."""
    noted.append(number)
    original_note(self, number, frame)  # type: ignore[arg-type]


def step(self: Folder, step: int, values: Mapping[str, float]) -> None:
    """Send the signal and wait for it."""
    original_step(self, step, values)
    if step == AT:
        os.kill(os.getpid() if WHO == "self" else os.getppid(), SIGNAL)
        while not noted:
            time.sleep(0.001)


StopRequest._note, Folder.step = note, step  # type: ignore[method-assign]
sys.argv = [str(SCRIPT), *sys.argv[4:]]
runpy.run_path(sys.argv[0], run_name="__main__")
