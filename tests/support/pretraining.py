"""Small pre-trainings on the toy data set."""

from __future__ import annotations

from pathlib import Path

from rs3l.config.blocks import PretrainBlock
from rs3l.config.detector import Detector
from rs3l.config.encoders import DeepSets
from rs3l.config.losses import VicReg
from rs3l.config.pretrain import HandMadeViews
from rs3l.pretrain.pretrain import pretrain

VIEWS = ["nominal", "seed", "fsr_hi"]


def block(method: str = "rs3l", **changes: object) -> PretrainBlock:
    values = {
        "method": method,
        "seed": 5,
        "processes": ["signal", "background"],
        "variants": VIEWS,
        "encoder": DeepSets(hidden=16, representation=16, latent=4),
        "views": "any_two",
        "loss": "nt_xent",
        "temperature": 0.1,
        "vicreg": VicReg() if changes.get("loss") == "vicreg" else None,
        "batch": 32,
        "epochs": 3,
        "learning_rate": 3e-3,
        "weight_decay": 1e-4,
        "constituents": 16,
        "hand_made": HandMadeViews() if method == "jetclr" else None,
        "detector": Detector() if method == "jetclr" else None,
    }
    return PretrainBlock.model_validate({**values, **changes})


def train(folder: Path, manifest: Path, settings: PretrainBlock) -> list[Path]:
    outputs = [folder / name for name in ("model.safetensors", "metrics.csv", "provenance.json")]
    pretrain(settings, manifest, folder / "state", *outputs)
    return outputs
