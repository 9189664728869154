"""What all encoders share: the steps from candidates to h and z, and the normalisation of the inputs.

An encoder maps candidates to the representation h, and its head maps h to the latent z. Shapes: B jets, N padded
candidates, F = 15 features, H representation, D latent dimensions. Masks are True for real candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rs3l.config.encoders import Encoder
from rs3l.dataset.features import FEATURES, FLAGS, features
from rs3l.dataset.store import JetBatch, JetStore
from rs3l.errors import DataError
from rs3l.types import Ints

DISPLACEMENT = ("tanh d0", "tanh dz")
"""Features that :meth:`JetEncoder.hide_displacement` hides."""

STATISTICS_JETS = 20_000
"""The normalisation is computed from this number of jets at most."""

CHUNK = 256
"""This is the number of jets per forward pass when nothing is learned."""

GPU_CHUNK = 8_192
"""The same number on a GPU, which would be idle between smaller ones."""


class JetEncoder(nn.Module):
    """The base of the networks.

    ``config`` says which network it is, and ``constituents`` is the number of candidates per jet it was made for.
    A subclass sets ``projector``, the head that only the pre-training's loss sees, and defines ``forward``.
    """

    projector: nn.Module

    def __init__(self, config: Encoder, constituents: int) -> None:
        super().__init__()
        self.config = config
        self.constituents = constituents
        self.norm = InputNorm()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the representation h [B, H] of features ``x`` [B, N, F] with ``mask`` [B, N].

        The values of ``x`` at padding must not affect the result, and an empty jet must give a finite result.
        """
        raise NotImplementedError

    def project(self, h: Tensor) -> Tensor:
        """Return the latent z [B, D] of the representation ``h`` [B, H], which is not normalised."""
        z: Tensor = self.projector(h)
        return z

    def fit_norm(self, store: JetStore, rows: Ints) -> None:
        """Take the normalisation of the inputs from the jets ``rows``, without using labels."""
        self.norm.fit(store, rows)

    def hide_displacement(self) -> None:
        """Make the network blind to d0 and dz for good; the model file records this, too."""
        self.norm.hide(DISPLACEMENT)

    @property
    def displacement(self) -> bool:
        """Whether the network sees d0 and dz."""
        return not bool(torch.isinf(self.norm.std[[FEATURES.index(name) for name in DISPLACEMENT]]).all())

    def backbone(self) -> list[nn.Parameter]:
        """Return the weights that h depends on, which are all but those of the projection head."""
        return [p for name, p in self.named_parameters() if not name.startswith("projector.")]


class InputNorm(nn.Module):
    """Standardises the features over real candidates, except that the flags of the class stay 0 or 1.

    A hidden feature has an infinite width, so that it is 0 after the normalisation whatever its value.
    """

    mean: Tensor
    std: Tensor
    bad: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("std", torch.ones(len(FEATURES)))
        self.register_buffer("bad", torch.zeros(len(FEATURES), dtype=torch.bool), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` [..., F] standardised; raises :class:`DataError` that names the non-finite inputs.

        A GPU would have to be waited for, so that it only notes them for :meth:`check`. An exported graph does not
        look at its inputs, because it cannot raise.
        """
        if torch.compiler.is_exporting():
            pass
        elif x.device.type != "cpu":
            self.bad.logical_or_(~torch.isfinite(x.detach().flatten(end_dim=-2).sum(dim=0)))
        elif not torch.isfinite(x.detach().sum()):
            _refuse(~torch.isfinite(x).flatten(end_dim=-2).all(dim=0))
        return (x - self.mean) / self.std

    def check(self) -> None:
        """Raise :class:`DataError` if an input was not finite since the network was made; waits for the device."""
        if self.bad.any():
            _refuse(self.bad)

    def hide(self, names: Sequence[str]) -> None:
        """Hide the features ``names``, which a later :meth:`fit` leaves hidden."""
        self.std[[FEATURES.index(name) for name in names]] = torch.inf

    @torch.no_grad()
    def fit(self, store: JetStore, rows: Ints) -> None:
        """Set mean and standard deviation from the real candidates of the jets ``rows``.

        More than :data:`STATISTICS_JETS` jets are thinned evenly, and constant features are only centred.
        """
        rows = rows[:: -(-len(rows) // STATISTICS_JETS)]
        count, total, square = 0, torch.zeros(len(FEATURES)).double(), torch.zeros(len(FEATURES)).double()
        for _, jets in chunks(store, rows):
            values = features(jets)[jets.mask].double()
            if not torch.isfinite(values).all():
                _refuse(~torch.isfinite(values).all(dim=0))
            count += len(values)
            total += values.sum(dim=0)
            square += values.square().sum(dim=0)
        mean = total / max(count, 1)
        std = (square / max(count, 1) - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 1e-4, std, 1.0)
        std = torch.where(torch.isinf(self.std), torch.inf, std)
        mean[-FLAGS:], std[-FLAGS:] = 0.0, 1.0
        self.mean.copy_(mean)
        self.std.copy_(std)


def _refuse(bad: Tensor) -> None:
    names = [name for name, is_bad in zip(FEATURES, bad.tolist(), strict=True) if is_bad]
    raise DataError(
        f"inputs of the network are NaN or infinite: {', '.join(names)}; check these columns of the data set"
    )


def real_slots(mask: Tensor) -> Tensor:
    """Return the places [M] of the real candidates in the flattened ``mask`` [B, N]."""
    return mask.flatten().nonzero().squeeze(1)


def packs(mask: Tensor) -> bool:
    """Return whether networks take only the real candidates of ``mask`` [B, N], as they do on a CPU.

    On a GPU their number would have to be waited for and would be another for each batch, so that padding is
    computed, too, and left out of the result.
    """
    return mask.device.type == "cpu"


def slots_of(mask: Tensor) -> Tensor:
    """Return the places [M] in the flattened ``mask`` [B, N] that a network computes (:func:`packs`)."""
    return real_slots(mask) if packs(mask) else torch.arange(mask.numel(), device=mask.device)


def packed(x: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """Return the candidates [M, W] of ``x`` [B, N, W] at ``slots`` [M], in which padding is zero."""
    return x.flatten(end_dim=1)[slots] if packs(mask) else x.masked_fill(~mask[..., None], 0.0).flatten(end_dim=1)


def padded(x: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """Return [B, N, W] with the candidates ``x`` [M, W] at their ``slots`` [M] and zeros at padding."""
    if not packs(mask):
        return x.view(*mask.shape, -1).masked_fill(~mask[..., None], 0.0)
    return x.new_zeros(mask.numel(), x.shape[1]).index_copy(0, slots, x).view(*mask.shape, -1)


def chunk_size(device: torch.device) -> int:
    """Return the number of jets per forward pass on ``device`` when nothing is learned."""
    return CHUNK if device.type == "cpu" else GPU_CHUNK


def chunks(store: JetStore, rows: Ints, size: int = CHUNK) -> Iterator[tuple[Ints, JetBatch]]:
    """Yield (positions in ``rows``, jets); a chunk has jets of similar length, so that little is padding."""
    order = np.argsort(store.lengths[rows], kind="stable")
    for start in range(0, len(rows), size):
        positions = order[start : start + size]
        yield positions, store.batch(rows[positions])
