"""The contrastive loss and the diagnostics of its latent space.

Shapes: B pairs, D latent dimensions. The two views of pair b are rows b and B + b.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def nt_xent(latents: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent of ``latents`` [2B, D], a scalar (SimCLR, arXiv:2002.05709, eq. 1, algorithm 1).

    Each of the 2B views has its partner as positive and the 2B - 2 others as negatives; similarities are
    cosines over ``temperature``. The log-softmax subtracts the maximum, so that nothing overflows.
    """
    similarity = _similarity(latents) / temperature
    return cross_entropy(similarity, _partners(latents))


def nt_xent_share(own: Tensor, rows: Tensor, latents: Tensor, temperature: float) -> Tensor:
    """Return what the views ``own`` [2b, D], the ``rows`` [2b] of ``latents`` [2B, D], add to NT-Xent.

    The shares of all rows add up to :func:`nt_xent` of ``latents``. ``own`` has the gradients of its rows
    of the similarities, ``latents`` those of its columns.
    """
    similarity = normalize(own, dim=1) @ normalize(latents, dim=1).T / temperature
    views = torch.arange(len(latents), device=rows.device)
    similarity = similarity.masked_fill(rows[:, None] == views, -torch.inf)
    partners = (rows + len(latents) // 2) % len(latents)
    return cross_entropy(similarity, partners, reduction="sum") / len(latents)


def _similarity(latents: Tensor) -> Tensor:
    """Return the cosines [2B, 2B], -inf on the diagonal: a view is not compared with itself."""
    unit = normalize(latents, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return (unit @ unit.T).masked_fill(itself, -torch.inf)


def _partners(latents: Tensor) -> Tensor:
    return torch.arange(len(latents), device=latents.device).roll(len(latents) // 2)


class Diagnostics(NamedTuple):
    """What tells a collapsed latent space from a healthy one (it does not tell good from better)."""

    alignment: float
    uniformity: float
    spread: float
    rank: float
    top1: float


def diagnose(latents: Tensor) -> Diagnostics:
    """Return the diagnostics of ``latents`` [2B, D], on the unit sphere.

    alignment: mean squared distance of partners; uniformity: log mean exp(-2 d^2) over the pairs of the
    first views (both arXiv:2005.10242). spread: sqrt(D) x mean over the dimensions of the standard
    deviation, 1 if isotropic, 0 if constant. rank: RankMe (arXiv:2210.02885), between 1 and D. top1:
    fraction of views whose partner is the nearest of all other views.
    """
    unit = normalize(latents.detach().double(), dim=1)
    first, second = unit.chunk(2)
    singular = torch.linalg.svdvals(unit)
    share = singular / singular.sum()
    entropy = -torch.special.xlogy(share, share).sum()
    nearest = _similarity(unit).argmax(dim=1)
    return Diagnostics(
        alignment=(first - second).square().sum(dim=1).mean().item(),
        uniformity=torch.pdist(first).square().mul(-2).exp().mean().log().item(),
        spread=math.sqrt(unit.shape[1]) * unit.std(dim=0).mean().item(),
        rank=entropy.exp().item(),
        top1=(nearest == _partners(unit)).double().mean().item(),
    )
