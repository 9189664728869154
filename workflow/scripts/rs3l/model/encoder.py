"""Encoders in use: new ones, embeddings of jets, model files.

Shapes: B jets, H representation, D latent dimensions.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import TypeAdapter
from torch.nn.functional import normalize

from rs3l.config.models import Encoder
from rs3l.data.features import FEATURES, features
from rs3l.data.store import Floats, Ints, JetStore
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.model.encoders import build
from rs3l.model.encoders.base import JetEncoder, chunks
from rs3l.seeds import keyed_hash

MODEL_FORMAT = 1
"""Format of the model file that this code reads and writes."""


def new_encoder(
    config: Encoder, constituents: int, seed: int, *words: str | int, displacement: bool = True
) -> JetEncoder:
    """Return an encoder whose initial weights belong to ``seed`` and ``words``; it may be blind to d0 and dz."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_hash(seed, "init", *words) >> 1)
        encoder = build(config, constituents)
    if not displacement:
        encoder.hide_displacement()
    return encoder


@torch.inference_mode()
def embed(encoder: JetEncoder, store: JetStore, rows: Ints) -> tuple[Floats, Floats]:
    """Return h [B, H] and z [B, D] of the jets ``rows``; z is on the unit sphere, where the loss acts."""
    h = np.empty((len(rows), encoder.config.representation), dtype=np.float32)
    z = np.empty((len(rows), encoder.config.latent), dtype=np.float32)
    for positions, jets in chunks(store, rows):
        representation = encoder(features(jets), jets.mask)
        h[positions] = representation.numpy()
        z[positions] = normalize(encoder.project(representation), dim=1).numpy()
    return h, z


def save_encoder(encoder: JetEncoder, path: str | Path, **extra: object) -> None:
    """Write weights, configuration and ``extra`` entries to ``path`` (safetensors) atomically."""
    header = {
        "format": MODEL_FORMAT,
        "encoder": encoder.config.model_dump(),
        "constituents": encoder.constituents,
        "features": FEATURES,
        **extra,
    }
    state = {name: value.detach().contiguous() for name, value in encoder.state_dict().items()}
    with atomic(path) as temporary:
        safetensors.torch.save_file(state, temporary, metadata={"rs3l": json.dumps(header)})


def signs_in(path: str | Path) -> list[str]:
    """Return the signs of collapse that a model file is marked with: none, unless its pre-training has warned."""
    with safetensors.safe_open(path, framework="pt") as stream:
        header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
    return [str(sign) for sign in header.get("collapsed", [])]


def load_encoder(path: str | Path) -> JetEncoder:
    """Return the encoder in ``path``; raise :class:`DataError` if it is missing, damaged or foreign."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such model; pre-train it first (pretrain.py)")
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
        if header.get("format") != MODEL_FORMAT or tuple(header.get("features", ())) != FEATURES:
            raise ValueError("it is not a model of this format and these input features")
        config: Encoder = TypeAdapter(Encoder).validate_python(header["encoder"])
        encoder = build(config, header["constituents"])
        encoder.load_state_dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be used ({error}); pre-train it again (pretrain.py)") from None
    return encoder.eval()
