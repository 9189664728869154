"""The DeepSets encoder (arXiv:1703.06114): candidates -> representation h -> latent z.

Shapes: B jets, N padded candidates, F = 15 features, H = 128 representation, D = 8 latent dimensions
(defaults). Masks: True = real candidate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rs3l.config.models import Encoder
from rs3l.data.features import FEATURES, FLAGS, features
from rs3l.data.store import Floats, Ints, JetBatch, JetStore
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.seeds import keyed_hash

MODEL_FORMAT = 1
"""Format of the model file that this code reads and writes."""

SUM_SCALE = 1 / 32
"""Factor of the sum in the pooling, so that it is of the size of the mean and the maximum."""

STATISTICS_JETS = 20_000
"""Jets of which the normalisation is computed, at most."""

CHUNK = 256
"""Jets per forward pass when nothing is learned."""


class InputNorm(nn.Module):
    """Standardises the features over real candidates; the flags of the class stay 0 or 1."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("std", torch.ones(len(FEATURES)))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` [..., F] standardised; refuse non-finite inputs by name (:class:`DataError`)."""
        if not torch.isfinite(x.detach().sum()):
            _refuse_non_finite(x)
        return (x - self.mean) / self.std

    @torch.no_grad()
    def fit(self, store: JetStore, rows: Ints) -> None:
        """Set mean and standard deviation from the real candidates of the jets ``rows``.

        More than :data:`STATISTICS_JETS` jets are thinned evenly. Constant features are only centred.
        """
        rows = rows[:: -(-len(rows) // STATISTICS_JETS)]
        count, total, square = 0, torch.zeros(len(FEATURES)).double(), torch.zeros(len(FEATURES)).double()
        for _, jets in chunks(store, rows):
            values = features(jets)[jets.mask].double()
            if not torch.isfinite(values).all():
                _refuse_non_finite(values)
            count += len(values)
            total += values.sum(dim=0)
            square += values.square().sum(dim=0)
        mean = total / max(count, 1)
        std = (square / max(count, 1) - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 1e-4, std, 1.0)
        mean[-FLAGS:], std[-FLAGS:] = 0.0, 1.0
        self.mean.copy_(mean)
        self.std.copy_(std)


def _refuse_non_finite(x: Tensor) -> None:
    bad = ~torch.isfinite(x).flatten(end_dim=-2).all(dim=0)
    names = [name for name, is_bad in zip(FEATURES, bad.tolist(), strict=True) if is_bad]
    raise DataError(
        f"inputs of the network are NaN or infinite: {', '.join(names)}; check these columns of the data set"
    )


class JetEncoder(nn.Module):
    """A network per candidate, pooling over the real ones, a network per jet, and a projection head.

    ``config`` gives the widths, ``constituents`` how many candidates per jet the network was made for.
    """

    def __init__(self, config: Encoder, constituents: int) -> None:
        super().__init__()
        self.config = config
        self.constituents = constituents
        w, h = config.hidden, config.representation
        self.norm = InputNorm()
        self.phi = nn.Sequential(
            nn.Linear(len(FEATURES), w), nn.ReLU(), nn.Linear(w, w), nn.ReLU(), nn.Linear(w, w), nn.ReLU()
        )
        self.rho = nn.Sequential(nn.Linear(3 * w, h), nn.ReLU(), nn.Linear(h, h))
        self.projector = nn.Sequential(nn.Linear(h, h), nn.ReLU(), nn.Linear(h, config.latent))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the representation h [B, H] of features ``x`` [B, N, F] with ``mask`` [B, N].

        Padding is taken out before the network per candidate: it costs nothing and cannot matter.
        """
        slots = mask.flatten().nonzero().squeeze(1)
        candidates = self.phi(self.norm(x.flatten(end_dim=1)[slots]))
        h: Tensor = self.rho(pool(candidates, slots, mask))
        return h

    def project(self, h: Tensor) -> Tensor:
        """Return the latent z [B, D] of the representation ``h`` [B, H], not normalised."""
        z: Tensor = self.projector(h)
        return z


def pool(x: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """Return mean, scaled sum and maximum [B, 3 W] over the real candidates of each jet.

    ``x`` [M, W] holds the real candidates of all jets, ``slots`` [M] their places in the flattened
    ``mask`` [B, N]; it must not be negative (it comes from a ReLU). An empty jet gives zeros; of a single
    candidate, mean and maximum are the candidate.
    """
    padded = x.new_zeros(mask.numel(), x.shape[1]).index_copy(0, slots, x).view(*mask.shape, -1)
    total = padded.sum(dim=1)
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.cat([total / count, total * SUM_SCALE, padded.max(dim=1).values], dim=1)


def new_encoder(config: Encoder, constituents: int, seed: int, *words: str | int) -> JetEncoder:
    """Return an encoder whose initial weights belong to ``seed`` and ``words``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_hash(seed, "init", *words) >> 1)
        return JetEncoder(config, constituents)


def chunks(store: JetStore, rows: Ints, size: int = CHUNK) -> Iterator[tuple[Ints, JetBatch]]:
    """Yield (positions in ``rows``, jets), jets of similar length together so that little is padding."""
    order = np.argsort(store.lengths[rows], kind="stable")
    for start in range(0, len(rows), size):
        positions = order[start : start + size]
        yield positions, store.batch(rows[positions])


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


def save_encoder(encoder: JetEncoder, path: str | Path) -> None:
    """Write weights and configuration to ``path`` (safetensors) atomically."""
    header = {
        "format": MODEL_FORMAT,
        "encoder": encoder.config.model_dump(),
        "constituents": encoder.constituents,
        "features": FEATURES,
    }
    state = {name: value.detach().contiguous() for name, value in encoder.state_dict().items()}
    with atomic(path) as temporary:
        safetensors.torch.save_file(state, temporary, metadata={"rs3l": json.dumps(header)})


def load_encoder(path: str | Path) -> JetEncoder:
    """Return the encoder in ``path``; raise :class:`DataError` if it is missing, damaged or foreign."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such model; pre-train it first (pretrain.py)")
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
        if header.get("format") != MODEL_FORMAT or tuple(header.get("features", ())) != FEATURES:
            raise ValueError("it is not a model of this format and these input features")
        encoder = JetEncoder(Encoder.model_validate(header["encoder"]), header["constituents"])
        encoder.load_state_dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be used ({error}); pre-train it again (pretrain.py)") from None
    return encoder.eval()
