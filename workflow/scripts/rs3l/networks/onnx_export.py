"""Exports a pre-trained encoder to an ONNX file for programs without torch, from raw candidates to h and z.

Shapes: B jets, N padded candidates, H representation, D latent dimensions; the file leaves B and N free.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rs3l.config.encoders import Transformer
from rs3l.dataset.features import features
from rs3l.dataset.store import RAW, JetBatch
from rs3l.errors import ConfigError
from rs3l.files import atomic, sha256
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder, signs_in

INPUTS = JetBatch._fields
"""The inputs are candidates, mask, jet_pt and jet_energy.

Their shapes are [B, N, 8] (``rs3l.dataset.store.RAW``), [B, N] (True for real candidates), [B] and [B].
"""

OUTPUTS = ("h", "z")

EXAMPLE_JETS, EXAMPLE_CANDIDATES = 3, 5
"""These are the sizes of the example that the network is traced with."""


class Exported(nn.Module):
    """Computes features, representation, and latent on the unit sphere in one call."""

    def __init__(self, encoder: JetEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, candidates: Tensor, mask: Tensor, jet_pt: Tensor, jet_energy: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return h [B, H] and z [B, D]; the arguments are those of :class:`JetBatch`."""
        h = self.encoder(features(JetBatch(candidates, mask, jet_pt, jet_energy)), mask)
        return h, normalize(self.encoder.project(h), dim=1)


def export_onnx(model: str | Path, path: str | Path) -> None:
    """Write the encoder in ``model`` to ``path`` (ONNX), with its configuration as the metadata entry ``rs3l``.

    Raises :class:`ConfigError` if onnx and onnxscript are not installed, or for a transformer with `pairwise`.
    """
    encoder = load_encoder(model)
    if isinstance(encoder.config, Transformer) and encoder.config.pairwise:
        raise ConfigError(f"{model}: a transformer with pairwise: true cannot be exported")
    jets, slots = torch.export.Dim("jets", min=1), torch.export.Dim("candidates", min=1)
    program = torch.onnx.export(
        Exported(encoder).eval(),
        tuple(_example()),
        dynamo=True,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: jets, 1: slots}, {0: jets, 1: slots}, {0: jets}, {0: jets}),
        custom_translation_table=_translations(),
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["rs3l"] = json.dumps(
        {
            "encoder": encoder.config.model_dump(),
            "constituents": encoder.constituents,
            "columns": RAW,
            "model_sha256": sha256(model),
            **({"collapsed": signs} if (signs := signs_in(model)) else {}),
        }
    )
    with atomic(path) as temporary:
        program.save(str(temporary))
    logging.info("%s: inputs %s, outputs %s", path, ", ".join(INPUTS), ", ".join(OUTPUTS))


def _example() -> JetBatch:
    generator = np.random.default_rng(0)
    candidates = generator.uniform(1, 2, (EXAMPLE_JETS, EXAMPLE_CANDIDATES, len(RAW)))
    mask = np.arange(EXAMPLE_CANDIDATES) < np.array([[5], [3], [1]])
    candidates[..., RAW.index("class")] = generator.integers(0, 5, mask.shape)
    values = (candidates * mask[..., None], np.full(EXAMPLE_JETS, 400.0), np.full(EXAMPLE_JETS, 450.0))
    raw, pt, energy = (torch.from_numpy(value.astype(np.float32)) for value in values)
    return JetBatch(raw, torch.from_numpy(mask), pt, energy)


def _translations() -> dict[Any, Any]:
    """Return translations for what torch has no ONNX operator for, which is the distance from the jet axis."""
    try:
        from onnxscript import opset18 as op
    except ImportError:
        raise ConfigError("the export needs two packages: python -m pip install onnx onnxscript") from None

    def hypot(x: Any, y: Any) -> Any:
        return op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y)))

    return {torch.ops.prims.hypot.default: hypot, torch.ops.aten.hypot.default: hypot}
