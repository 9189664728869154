"""Makes new encoders, embeds jets with them, and reads and writes model files.

Shapes: B jets, H representation, D latent dimensions.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn.functional import normalize

from rs3l.config.encoders import Encoder
from rs3l.dataset.features import FEATURES, features
from rs3l.dataset.store import JetStore
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.networks.base import JetEncoder, chunk_size, chunks
from rs3l.networks.build import build
from rs3l.seeds import keyed_hash
from rs3l.types import Floats32, Ints

MODEL_FORMAT = 2
"""The format of the model files that this code writes, with a checksum in the header entry :data:`CHECKSUM`."""

UNCHECKED_FORMAT = 1
"""The same format without a checksum. No flip of a single bit turns one number into the other."""

CHECKSUM = "sha256"

Put = Callable[[Any], Any]
"""Brings a batch (tensors, or tuples of them) to a device."""

_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""A header or weights that are not as expected raise these errors."""


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


def embed(
    encoder: JetEncoder, store: JetStore, rows: Ints, put: Put = lambda batch: batch
) -> tuple[Floats32, Floats32]:
    """Return h [B, H] and z [B, D] of the jets ``rows``, with z on the unit sphere, where the loss acts.

    ``put`` brings a batch to the device of the encoder (``rs3l.training.device.Placement.put``); by default both
    are on the CPU. Raises :class:`DataError` if an input of the network is not finite.
    """
    h, z = embedded(encoder, store, rows, put)
    encoder.norm.check()
    return h.cpu().numpy(), z.cpu().numpy()


@torch.inference_mode()
def embedded(encoder: JetEncoder, store: JetStore, rows: Ints, put: Put) -> tuple[Tensor, Tensor]:
    """Return what :func:`embed` does, on the device of the encoder, which nothing has waited for."""
    device = encoder.norm.mean.device
    h, z = (
        torch.empty(len(rows), n, device=device) for n in (encoder.config.representation, encoder.config.latent)
    )
    for positions, batch in chunks(store, rows, chunk_size(device)):
        where, jets = put((torch.from_numpy(positions), batch))
        representation = encoder(features(jets), jets.mask)
        h.index_copy_(0, where, representation)
        z.index_copy_(0, where, normalize(encoder.project(representation), dim=1))
    return h, z


def save_encoder(encoder: JetEncoder, path: str | Path, **extra: object) -> None:
    """Write weights, configuration, ``extra`` entries and their checksum to ``path`` (safetensors) atomically."""
    header = {
        "format": MODEL_FORMAT,
        "encoder": encoder.config.model_dump(),
        "constituents": encoder.constituents,
        "features": FEATURES,
        **extra,
    }
    state = {name: value.detach().contiguous() for name, value in encoder.state_dict().items()}
    header[CHECKSUM] = tensors_sha256(header, state)
    with atomic(path) as temporary:  # not by `save_file`, whose errors do not say that the disk is full
        temporary.write_bytes(safetensors.torch.save(state, metadata={"rs3l": json.dumps(header)}))


def signs_in(path: str | Path) -> list[str]:
    """Return the signs of collapse that a model file is marked with; there are none unless its training warned."""
    with safetensors.safe_open(path, framework="pt") as stream:
        header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
    return [str(sign) for sign in header.get("collapsed", [])]


def load_encoder(path: str | Path, given: bool = True) -> JetEncoder:
    """Return the encoder in ``path`` after its checksum is found right.

    A model of the older format, which has no checksum, is refused unless it is ``given`` from outside the
    campaign. The names and shapes of its weights, and that they are finite, are then checked, and the log notes
    it. Raises :class:`DataError` if the file is missing, damaged or foreign.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such model; pre-train it first (pretrain.py)")
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
        state = safetensors.torch.load_file(path)
        _check(path, header, state, given)
        config: Encoder = TypeAdapter(Encoder).validate_python(header["encoder"])
        encoder = build(config, header["constituents"])
        encoder.load_state_dict(state)
    except (safetensors.SafetensorError, OSError, *_MALFORMED) as error:
        raise DataError(
            f"{path}: cannot be used ({error}); delete it and pre-train it again (pretrain.py), or bring it again"
        ) from None
    return encoder.eval()


def _check(path: str | Path, header: Mapping[str, Any], state: Mapping[str, Tensor], given: bool) -> None:
    """Raise :class:`ValueError` if this is no model, or not the one that was written."""
    formats = (MODEL_FORMAT, UNCHECKED_FORMAT) if given else (MODEL_FORMAT,)
    if header.get("format") not in formats or tuple(header.get("features", ())) != FEATURES:
        raise ValueError("it is not a model of this format and these input features")
    if header["format"] == MODEL_FORMAT:
        if header.get(CHECKSUM) != tensors_sha256(header, state):
            raise ValueError("its SHA-256 is not that in its header: it was damaged after it was written")
        return
    if not all(torch.isfinite(value).all() for name, value in state.items() if not name.startswith("norm.")):
        raise ValueError("some of its weights are NaN or infinite")
    logging.warning("%s: has no checksum; only names, shapes and finite values of its weights are checked", path)


def tensors_sha256(header: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """Return the checksum of all tensors and of a header without its entry :data:`CHECKSUM`."""
    entries = {key: value for key, value in header.items() if key != CHECKSUM}
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode())
    for name in sorted(state):
        value = state[name]
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
