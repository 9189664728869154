"""An encoder, a loss and an augmentation as another package would have them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from rs3l.config.encoders import OwnEncoder
from rs3l.dataset.features import FEATURES
from rs3l.dataset.store import JetBatch
from rs3l.networks import JetEncoder


class Sums(JetEncoder):
    """One layer per candidate, their sum, one layer per jet."""

    def __init__(self, config: OwnEncoder, constituents: int) -> None:
        super().__init__(config, constituents)
        width = config.options["width"]
        self.each = nn.Sequential(nn.Linear(len(FEATURES), width), nn.ReLU())
        self.jet = nn.Linear(width, config.representation)
        self.projector = nn.Linear(config.representation, config.latent)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return h [B, H]."""
        found: Tensor = self.jet((self.each(self.norm(x)) * mask[..., None]).sum(dim=1) / 32)
        return found


class Leaks(Sums):
    """Sees the padding."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return h [B, H] of all slots."""
        return super().forward(x, torch.ones_like(mask))


class Narrow(Sums):
    """Has another latent than it says."""

    def __init__(self, config: OwnEncoder, constituents: int) -> None:
        super().__init__(config, constituents)
        self.projector = nn.Linear(config.representation, config.latent - 1)


class Tied(Sums):
    """Has two layers with the same weights."""

    def __init__(self, config: OwnEncoder, constituents: int) -> None:
        super().__init__(config, constituents)
        self.again = nn.Linear(config.options["width"], config.representation)
        self.again.weight = self.jet.weight


class FixedLength(Sums):
    """Takes jets of one length alone."""

    def __init__(self, config: OwnEncoder, constituents: int) -> None:
        super().__init__(config, constituents)
        self.all = nn.Linear(len(FEATURES) * constituents, config.representation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return h [B, H]."""
        found: Tensor = self.all((self.norm(x) * mask[..., None]).flatten(1))
        return found


class Forgetful(Sums):
    """Drops some of what it knows while it trains."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return h [B, H]."""
        return nn.functional.dropout(super().forward(x, mask), 0.3, self.training)


class Distance:
    """Squared distance of the two views of an event, and a spread that it must keep."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, latents: Tensor, groups: Tensor) -> Tensor:
        """Return the loss of ``latents`` [2B, D]."""
        first, second = latents.chunk(2)
        return (first - second).square().sum(dim=1).mean() + self.weight * (1 - latents.std(dim=0)).relu().mean()


def per_event(latents: Tensor, groups: Tensor) -> Tensor:
    """Return no scalar."""
    return latents.sum(dim=1)


def no_loss() -> object:
    """Return a loss that is none."""
    return per_event


def mirrored(jets: JetBatch, generator: Generator) -> JetBatch:
    """Return the jets with the sign of dphi flipped in half of them."""
    sign = 1 - 2 * torch.randint(2, (len(jets.mask), 1), generator=generator)
    candidates = jets.candidates.clone()
    candidates[..., 2] *= sign
    return jets._replace(candidates=candidates)


def nothing(jets: JetBatch, generator: Generator) -> None:
    """Return no jets."""


def infinite(jets: JetBatch, generator: Generator) -> JetBatch:
    """Return jets without a finite number."""
    return jets._replace(candidates=jets.candidates / 0.0)
