"""Pre-train an epoch of a toy, plain and by torch.compile, and write what came of it.

In a process of its own: the compiler starts threads and processes, and stays in memory. Arguments: manifest, folder.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from support.pretraining import block


def main(manifest: str, folder: str) -> None:
    """Train both; write their losses and the names of their weights."""
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder, "compiled"))  # others may write to the common one
    found = []
    for compiled in (False, True):
        settings = block(epochs=1, on_collapse="warn", loop={"compile": compiled})
        trainer = Trainer(settings, manifest, Checkpoint(folder, settings, "a"))
        trainer.run()
        found.append({"loss": trainer.rows[0]["train_loss"], "weights": list(trainer.encoder.state_dict())})
    Path(folder, "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
