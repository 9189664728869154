"""The losses that compare latents, and the diagnostics of the latent space (:mod:`pretexts` has other losses).

Shapes: B events, R views of them in one global batch, r of which a rank has computed, D latent dimensions. With
two views of each event (R = 2B), those of event b are rows b and B + b.

No loss needs to know a number that only the device knows, so that a GPU is never waited for.

A ``share`` is what one rank adds to the loss of the global batch. The shares of all ranks add up to this loss,
and their gradients to its gradients. Memory is O(r R), never O(r R D).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, softplus

from rs3l.config.losses import VicReg
from rs3l.errors import ConfigError
from rs3l.imported import guarded, imported, is_path

VARIANCE_EPSILON = 1e-4
"""This is added to a variance before its square root (arXiv:2105.04906, eq. 2)."""


def nt_xent(latents: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent of ``latents`` [2B, D], a scalar (SimCLR, arXiv:2002.05709, eq. 1, algorithm 1).

    Each of the 2B views has its partner as positive and the 2B - 2 others as negatives, and similarities are
    cosines over ``temperature``. The log-softmax subtracts the maximum, so that nothing overflows.
    """
    similarity = _similarity(latents) / temperature
    return cross_entropy(similarity, _partners(latents))


def nt_xent_share(own: Tensor, rows: Tensor, latents: Tensor, temperature: float) -> Tensor:
    """Return what the views ``own`` [2b, D], the ``rows`` [2b] of ``latents`` [2B, D], add to NT-Xent.

    The shares of all rows add up to :func:`nt_xent` of ``latents``. Gradients with respect to the rows of the
    similarities go to ``own``, and those with respect to the columns go to ``latents``.
    """
    similarity = _similarity_to_others(own, rows, latents, temperature)
    partners = (rows + len(latents) // 2) % len(latents)
    return cross_entropy(similarity, partners, reduction="sum") / len(latents)


def multi_view_share(own: Tensor, rows: Tensor, latents: Tensor, events: Tensor, temperature: float) -> Tensor:
    """Return what the views ``own`` [r, D], the ``rows`` [r] of ``latents`` [R, D], add to multi-view NT-Xent.

    This is the NT-Xent of each view with each other view of its event (``events`` [R]) as the positive and all
    views of the other events as negatives; it is averaged over the positives of a view and then over the views.
    The other positives of a view are not negatives. With two views of every event it equals NT-Xent. Averaging
    over pairs is one choice of several (arXiv:2403.05490 compares them).
    """
    similarity = normalize(own, dim=1) @ normalize(latents, dim=1).T / temperature
    same = events[rows][:, None] == events
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
    positive = same & (rows[:, None] != torch.arange(len(latents), device=rows.device))
    terms = softplus(negatives - similarity).masked_fill(~positive, 0.0)
    return (terms.sum(dim=1) / positive.sum(dim=1).clamp(min=1)).sum() / len(latents)


def sup_con_share(own: Tensor, rows: Tensor, latents: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return what the views ``own`` [r, D], the ``rows`` [r] of ``latents`` [R, D], add to SupCon.

    This is L_out of arXiv:2004.11362, eq. 2, divided by the number of views. The positives of a view are all
    others with its label (``labels`` [R]), and it is compared with all others. A view without a positive adds
    nothing.
    """
    similarity = _similarity_to_others(own, rows, latents, temperature)
    positive = (labels[rows][:, None] == labels) & (similarity > -torch.inf)
    count = positive.sum(dim=1)
    mean = similarity.masked_fill(~positive, 0.0).sum(dim=1) / count.clamp(min=1)
    return (similarity.logsumexp(dim=1) - mean).masked_fill(count == 0, 0.0).sum() / len(latents)


def vicreg(latents: Tensor, weights: VicReg) -> Tensor:
    """Return VICReg of ``latents`` [2B, D], which are not normalised, as a scalar (arXiv:2105.04906, eq. 6).

    The invariance is eq. 5, a squared distance, which algorithm 1 of the paper divides by D as well.
    """
    first, second = latents.chunk(2)
    invariance = (first - second).square().sum(dim=1).mean()
    regular = _variance(first) + _variance(second), _covariance(first) + _covariance(second)
    return weights.invariance * invariance + weights.variance * regular[0] + weights.covariance * regular[1]


def _variance(x: Tensor) -> Tensor:
    """Return the hinge on the standard deviation of each dimension (arXiv:2105.04906, eq. 1), with target 1."""
    return (1 - (x.var(dim=0) + VARIANCE_EPSILON).sqrt()).relu().mean()


def _covariance(x: Tensor) -> Tensor:
    """Return the squares of the covariances of different dimensions, divided by D (arXiv:2105.04906, eq. 4)."""
    centred = x.T - x.T.sum(dim=1, keepdim=True) / len(x)
    covariance = centred @ centred.T / (len(x) - 1)  # torch's own looks at a number on the device
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / x.shape[1]


class Loss:
    """One of these losses, chosen by its name in the configuration (``pretrain.loss``), or one of another package.

    A user's own loss is made with the ``options``, called with ``latents`` [R, D] and ``groups`` [R] of a global
    batch, and returns a scalar. It need not know of ranks, because each computes the whole loss and takes its
    share of the gradients.
    """

    def __init__(
        self,
        kind: str,
        temperature: float,
        weights: VicReg | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.temperature = temperature
        self.weights = weights
        self.own = self._made(options or {}) if is_path(kind) else None

    def _made(self, options: Mapping[str, Any]) -> Any:
        with guarded(self.kind, "pretrain.loss"):
            return imported(self.kind, "pretrain.loss")(**options)

    def __call__(self, latents: Tensor, groups: Tensor) -> Tensor:
        """Return the loss of a batch of ``latents`` [R, D] that one process has.

        ``groups`` [R] are the labels for SupCon, and the events otherwise.
        """
        if self.kind == "nt_xent":
            return nt_xent(latents, self.temperature)
        return self.share(latents, torch.arange(len(latents), device=latents.device), latents, groups)

    def share(self, own: Tensor, rows: Tensor, latents: Tensor, groups: Tensor) -> Tensor:
        """Return this rank's share from its views ``own`` [r, D], the ``rows`` [r] of ``latents`` [R, D]."""
        match self.kind:
            case "nt_xent":
                return nt_xent_share(own, rows, latents, self.temperature)
            case "multi_view":
                return multi_view_share(own, rows, latents, groups, self.temperature)
            case "sup_con":
                return sup_con_share(own, rows, latents, groups, self.temperature)
            case "vicreg":
                assert self.weights is not None, "a VICReg block holds its weights"
                return vicreg(latents, self.weights) * (len(rows) / len(latents))
        assert self.own is not None, f"no loss {self.kind}: rs3l.config.losses has more than this function"
        with guarded(self.kind, "pretrain.loss"):
            value = self.own(latents, groups)
        if not isinstance(value, Tensor) or value.shape != () or value.requires_grad != latents.requires_grad:
            raise ConfigError(f"pretrain.loss: {self.kind} returns no scalar tensor that depends on the latents")
        return value * (len(rows) / len(latents))


def _similarity_to_others(own: Tensor, rows: Tensor, latents: Tensor, temperature: float) -> Tensor:
    """Return the cosines over ``temperature`` [r, R], with -inf where a view would be compared with itself."""
    similarity = normalize(own, dim=1) @ normalize(latents, dim=1).T / temperature
    views = torch.arange(len(latents), device=rows.device)
    return similarity.masked_fill(rows[:, None] == views, -torch.inf)


def _similarity(latents: Tensor) -> Tensor:
    """Return the cosines [2B, 2B], with -inf on the diagonal because a view is not compared with itself."""
    unit = normalize(latents, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return (unit @ unit.T).masked_fill(itself, -torch.inf)


def _partners(latents: Tensor) -> Tensor:
    return torch.arange(len(latents), device=latents.device).roll(len(latents) // 2)


class Diagnostics(NamedTuple):
    """The diagnostics that tell a collapsed latent space from a healthy one.

    They do not tell a good one from a better one.
    """

    alignment: float
    uniformity: float
    spread: float
    rank: float
    top1: float


def diagnose(latents: Tensor) -> Diagnostics:
    """Return the diagnostics of ``latents`` [2B, D], on the unit sphere.

    The alignment is the mean squared distance of partners, and the uniformity is log mean exp(-2 d^2) over the
    pairs of the first views (both arXiv:2005.10242). The spread is sqrt(D) times the mean over the dimensions of
    the standard deviation, which is 1 for isotropic and 0 for constant latents. The rank is RankMe
    (arXiv:2210.02885), between 1 and D. ``top1`` is the fraction of views whose partner is the nearest of all
    other views.
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
