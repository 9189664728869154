"""The DeepSets encoder (arXiv:1703.06114) with a network per candidate, pooling, and a network per jet.

Shapes: B jets, N padded candidates, M real ones in all, F = 15 features, W hidden width, H = 128 representation,
D = 8 latent dimensions (defaults). Masks are True for real candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rs3l.config.encoders import DeepSets
from rs3l.dataset.features import FEATURES
from rs3l.networks.base import JetEncoder, packed, padded, slots_of

SUM_SCALE = 1 / 32
"""The sum in the pooling is scaled by this factor, so that it is of the size of the mean and the maximum."""


class DeepSetsEncoder(JetEncoder):
    """The DeepSets network, which pools over the real candidates and has a projection head.

    It has a network per candidate before the pooling and a network per jet after it.
    """

    def __init__(self, config: DeepSets, constituents: int) -> None:
        super().__init__(config, constituents)
        w, h = config.hidden, config.representation
        self.phi = nn.Sequential(
            nn.Linear(len(FEATURES), w), nn.ReLU(), nn.Linear(w, w), nn.ReLU(), nn.Linear(w, w), nn.ReLU()
        )
        self.rho = nn.Sequential(nn.Linear(3 * w, h), nn.ReLU(), nn.Linear(h, h))
        self.projector = nn.Sequential(nn.Linear(h, h), nn.ReLU(), nn.Linear(h, config.latent))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the representation h [B, H] of features ``x`` [B, N, F] with ``mask`` [B, N].

        On a CPU, padding is taken out before the network per candidate, so that it costs nothing.
        """
        slots = slots_of(mask)
        candidates = self.phi(self.norm(packed(x, slots, mask)))
        h: Tensor = self.rho(pool(candidates, slots, mask))
        return h


def pool(x: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """Return mean, scaled sum and maximum [B, 3 W] over the real candidates of each jet.

    ``x`` [M, W] holds the candidates at ``slots`` [M] of the flattened ``mask`` [B, N]. ``x`` must not be negative
    (it comes from a ReLU). An empty jet gives zeros; for a single candidate, mean and maximum are the candidate.
    """
    candidates = padded(x, slots, mask)
    total = candidates.sum(dim=1)
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.cat([total / count, total * SUM_SCALE, candidates.max(dim=1).values], dim=1)
