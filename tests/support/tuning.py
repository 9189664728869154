"""Small fine-tunings on the toy data set."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rs3l.config.blocks import FinetuneBlock
from rs3l.config.encoders import DeepSets
from rs3l.config.finetune import Finetune
from rs3l.config.tasks import Task
from rs3l.finetune.finetune import TaskTraining
from rs3l.finetune.state import State

PRETRAINED = (
    "probe_h",
    "probe_z",
    "mlp_h",
    "mlp_z",
    "gbt_h",
    "gbt_z",
    "tuned",
    "tuned_z",
    "tuned_mlp",
    "tuned_views",
)
BASELINE = ("random", "scratch", "scratch_mlp", "scratch_views", "gbt", "n2")
ENCODER = DeepSets(hidden=16, representation=16, latent=4)
SETTINGS = Finetune(labels=[20, 40], repeats=2, batch=16, patience=3, min_steps=20, max_epochs=60)


def block(run: str = "none", settings: Finetune = SETTINGS) -> FinetuneBlock:
    """Return the block of a run with all of its modes."""
    return FinetuneBlock(
        seed=5,
        name="toy_task",
        task=Task(signal="signal", background="background"),
        run=run,
        variants=["nominal", "seed", "fsr_hi"],
        encoder=ENCODER,
        constituents=16,
        finetune=settings.model_copy(update={"modes": list(BASELINE if run == "none" else PRETRAINED)}),
    )


def task_training(own: FinetuneBlock, manifest: Path) -> TaskTraining:
    """Return the training of a block in this process, whose state nobody finds again."""
    return TaskTraining(own, manifest, 16, State(tempfile.mkdtemp(dir=manifest.parent), own, "data", "model"))
