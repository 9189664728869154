"""finetune.py, which gets a signal in one of its steps, counted over all of its trainings.

Arguments: the step, the signal, and then those of finetune.py.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from rs3l.finetune.training import Batch, Training

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "finetune.py"
AT, SIGNAL = int(sys.argv[1]), signal.Signals[sys.argv[2]]
taken: list[int] = []
original = Training._take_step


def take_step(self: Training, batch: Batch) -> None:
    """Send the signal after the step."""
    original(self, batch)
    taken.append(self.step)
    if len(taken) == AT:
        os.kill(os.getpid(), SIGNAL)


Training._take_step = take_step  # type: ignore[method-assign]
sys.argv = [str(SCRIPT), *sys.argv[3:]]
runpy.run_path(sys.argv[0], run_name="__main__")
