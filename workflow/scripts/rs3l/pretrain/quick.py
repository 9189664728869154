"""Pre-train an encoder in one call, for a notebook: no campaign, no files that remain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import ValidationError

from rs3l.config.blocks import PretrainBlock, pretrain_block
from rs3l.config.detector import Detector
from rs3l.config.pretrain import Pretrain
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import ConfigError
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder
from rs3l.pretrain.pretrain import pretrain


class Pretrained(NamedTuple):
    """A trained encoder, and loss and diagnostics of each epoch (docs/pretrain.md)."""

    encoder: JetEncoder
    metrics: pd.DataFrame


def pretrain_encoder(manifest: str | Path, seed: int = 0, **settings: Any) -> Pretrained:
    """Pre-train an encoder on the train split of a data set, on this CPU, from start to end.

    ``settings`` are keys of the block ``pretrain`` (docs/config/pretrain.md) with their defaults; ``encoder`` and
    ``loss`` may name one's own by import path, ``__main__:Name`` in a notebook (docs/extend.md). Processes with
    ``use: pretrain`` and, unless ``variants`` says otherwise, variants with ``use: train`` are read. The result
    is that of the command ``pretrain`` with the same block. Raises :class:`ConfigError` for settings that are
    wrong, and whatever :func:`rs3l.pretrain.pretrain.pretrain` raises.
    """
    block = _block(manifest, seed, settings)
    with tempfile.TemporaryDirectory(prefix="rs3l-") as folder:
        model, metrics, made_by = (
            Path(folder) / name for name in ("model.safetensors", "metrics.csv", "provenance.json")
        )
        pretrain(block, manifest, Path(folder) / "state", model, metrics, made_by)
        return Pretrained(load_encoder(model), pd.read_csv(metrics))


def _block(manifest: str | Path, seed: int, settings: dict[str, Any]) -> PretrainBlock:
    data = read_manifest(manifest)
    try:
        chosen = Pretrain.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"pretrain.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return pretrain_block(
        chosen,
        seed=seed,
        processes=[name for name, process in data.processes.items() if process.use == "pretrain"],
        variants=chosen.variants or [name for name, use in data.variants.items() if use == "train"],
        detector=Detector(),
    )
