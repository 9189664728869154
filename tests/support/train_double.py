"""Pre-train a toy in double precision, where rounding cannot hide a wrong gradient.

torchrun may start several of this script. Arguments: manifest, output folder, method, the number of epochs
after which the training is interrupted (0: not at all), and changes of the block as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch

from rs3l.dataset.store import JetStore, load_views
from rs3l.pretrain import feed
from rs3l.pretrain import pretrain as module
from rs3l.pretrain.pretrain import Trainer, pretrain
from rs3l.training.distributed import join
from rs3l.training.stop import StopRequest
from support.pretraining import block


def doubled(store: JetStore) -> JetStore:
    """Return ``store`` in double precision."""
    names = ("candidates", "jet_pt", "jet_energy")
    return dataclasses.replace(store, **{name: getattr(store, name).astype(np.float64) for name in names})


def interrupt_after(epochs: int) -> None:
    """Make the training stop as if it was killed, after its state was saved."""
    original = Trainer._epoch

    def epoch(self: Trainer, number: int, stop: StopRequest) -> dict[str, float]:
        if number == epochs:
            raise KeyboardInterrupt
        return original(self, number, stop)

    Trainer._epoch = epoch  # type: ignore[method-assign]


def main(manifest: str, folder: str, method: str, epochs: str, changes: str) -> None:
    """Pre-train."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    feed.load_views = lambda *selection: doubled(load_views(*selection))  # type: ignore[attr-defined]
    module.refuse_collapse = lambda *_: None  # a few steps on a toy do not spread the latents
    if int(epochs):
        interrupt_after(int(epochs))
    outputs = [Path(folder) / name for name in ("model.safetensors", "metrics.csv", "provenance.json")]
    with join("cpu") as ranks:
        pretrain(block(method, **json.loads(changes)), manifest, Path(folder) / "state", *outputs, ranks)


if __name__ == "__main__":
    main(*sys.argv[1:])
