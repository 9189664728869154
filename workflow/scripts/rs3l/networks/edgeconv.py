"""The network of RS3L (arXiv:2403.07066): dynamic edge convolutions (arXiv:1801.07829) and a sum over candidates.

For each candidate i, a convolution takes the k nearest neighbours j in the current feature space, which include i
itself:

    x_i' = max_j ELU(W1 x_i + W2 (x_j - x_i) + b)

ELU is monotone and W1 x_i - W2 x_i + b does not depend on j, so that this is exactly

    x_i' = ELU((W1 - W2) x_i + b + max_j W2 x_j).

It takes two linear maps per candidate in place of one per edge, and then a maximum over gathered rows.

Shapes: B jets, N padded candidates, M real ones in all, F = 15 features, W = 128 hidden width, k = 24 neighbours,
D = 8 latent dimensions (defaults). Masks are True for real candidates.
"""

from __future__ import annotations

import contextlib
import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, embedding_bag, linear

from rs3l.config.encoders import EdgeConv
from rs3l.dataset.features import FEATURES
from rs3l.dataset.store import JetStore
from rs3l.networks.base import JetEncoder, packed, packs, padded, slots_of
from rs3l.types import Ints

LOG_PT = FEATURES.index("log pt")

CONVOLUTIONS = 3
"""The network has this number of edge convolutions, one after the other."""


class EdgeConvEncoder(JetEncoder):
    """The paper's network, in which a sum over the candidates gives h and a network per jet gives z.

    Before the sum, each candidate passes a network of its own and then three edge convolutions.
    """

    def __init__(self, config: EdgeConv, constituents: int) -> None:
        super().__init__(config, constituents)
        w = config.hidden
        self.neighbours = config.neighbours
        self.standardise = config.standardise
        self.log_pt_min = math.log(config.candidate_pt_min) if config.candidate_pt_min else -math.inf
        self.candidate = nn.Sequential(nn.Linear(len(FEATURES), w), nn.ELU(), nn.Linear(w, w), nn.ELU())
        self.convolutions = nn.ModuleList(EdgeConvolution(w) for _ in range(CONVOLUTIONS))
        self.projector = _perceptron([w, w // 2, w // 4, w // 4, config.latent])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the representation h [B, W] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        mask = mask & (x[..., LOG_PT] >= self.log_pt_min)
        slots = slots_of(mask)
        nodes = self.candidate(self.norm(packed(x, slots, mask)))
        for convolution in self.convolutions:
            nodes = convolution(nodes, nearest(nodes, slots, mask, self.neighbours))
        return padded(nodes, slots, mask).sum(dim=1)

    def fit_norm(self, store: JetStore, rows: Ints) -> None:
        """Take the normalisation of the inputs from the jets ``rows``, unless the inputs stay as they are."""
        if self.standardise:
            super().fit_norm(store, rows)


def _perceptron(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ELU()]
    return nn.Sequential(*layers[:-1])


class EdgeConvolution(nn.Module):
    """One edge convolution, whose ``linear`` holds W1 and W2 side by side, and b."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """Return the candidates [M, W] after the convolution of ``x`` [M, W] with ``neighbours`` [M, k]."""
        own, edge = self.linear.weight.chunk(2, dim=1)
        if torch.compiler.is_exporting():  # ONNX would turn an embedding bag into a loop, which fails without bags
            largest = linear(x, edge)[neighbours].amax(dim=1)
        else:
            largest = embedding_bag(neighbours, linear(x, edge), mode="max")
        return elu(linear(x, own - edge, self.linear.bias) + largest)

    def reference(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """Return the same by the definition, with a network on every edge.

        This is slow and serves tests and benchmarks. Of equal values the first neighbour's is the maximum, both
        here and in :meth:`forward`.
        """
        itself = x[:, None, :].expand(-1, neighbours.shape[1], -1)
        edges = torch.cat([itself, x[neighbours] - itself], dim=2)
        return elu(self.linear(edges)).max(dim=1).values


@torch.no_grad()
def nearest(x: Tensor, slots: Tensor, mask: Tensor, k: int) -> Tensor:
    """Return the rows [M, min(k, N)] of the nearest candidates of the same jet, in no order.

    ``x`` [M, W] holds the candidates at ``slots`` [M] of the flattened ``mask`` [B, N]. A candidate is its own
    neighbour. One with fewer than k others has itself in the rest of its slots, which changes no maximum.
    Distances are in single precision even if the network is not: bfloat16 would confuse near neighbours.
    """
    points = padded(x, slots, mask)
    with torch.autocast(x.device.type, enabled=False) if x.dtype == torch.bfloat16 else contextlib.nullcontext():
        distance = _distances(points.float() if x.dtype == torch.bfloat16 else points)
    distance = distance.masked_fill_(~mask[:, None, :], torch.inf)
    distance = distance.masked_fill_(torch.eye(mask.shape[1], dtype=torch.bool, device=x.device), -torch.inf)
    order = distance.flatten(end_dim=1)[slots].topk(min(k, mask.shape[1]), largest=False, sorted=False).indices
    place = order + (slots // mask.shape[1] * mask.shape[1])[:, None]
    row = mask.flatten().cumsum(0) - 1 if packs(mask) else slots
    itself = torch.arange(len(slots), device=slots.device)[:, None]
    return torch.where(mask.flatten()[place], row[place], itself)


def _distances(points: Tensor) -> Tensor:
    """Return |x_i - x_j|^2 - |x_i|^2 [B, N, N] of ``points`` [B, N, W], which sorts the neighbours of each i."""
    square = points.square().sum(dim=2)
    return torch.baddbmm(square[:, None, :], points, points.transpose(1, 2), alpha=-2)
