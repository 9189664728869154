"""Scripts as one process, or as several ranks by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.places import SCRIPTS

FOLDER = Path(__file__).parent


def environment() -> dict[str, str]:
    """Return the environment without what a launcher of the tests themselves may have set."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    kept = {
        k: v for k, v in os.environ.items() if k not in names and not k.startswith(("SLURM_", "TORCHELASTIC_"))
    }
    return {**kept, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(FOLDER.parent)]), "OMP_NUM_THREADS": "1"}


def command(ranks: int, script: Path, *arguments: str) -> list[str]:
    """Return what runs a script alone, or as several ranks by torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [sys.executable, *(torchrun if ranks > 1 else []), str(script), *arguments]


def launch(ranks: int, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script alone, or as several ranks by torchrun."""
    return subprocess.run(command(ranks, script, *arguments), capture_output=True, text=True, env=environment())
