"""A network trained on labels, which is an encoder with a head.

Shapes: B jets, N padded candidates, F = 15 features. Masks are True for real candidates.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rs3l.finetune.probe import Probe
from rs3l.networks.base import JetEncoder
from rs3l.seeds import keyed_hash

HEAD_LAYERS, HEAD_WIDTH = 5, 64
"""The deep head has this number of linear layers, with this width between them."""


class DeepHead(nn.Module):
    """Five linear layers on a representation that is standardised by the jets seen in training."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        widths = [width, *[HEAD_WIDTH] * (HEAD_LAYERS - 1)]
        hidden = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(HEAD_WIDTH, 1))

    def forward(self, h: Tensor) -> Tensor:
        """Return the logits [B, 1] of representations ``h`` [B, H]."""
        logits: Tensor = self.layers((h - self.mean) / self.std)
        return logits

    @torch.no_grad()
    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Standardise by the moments [H] of the representations; a constant dimension is only centred."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6 * std.max(), std, 1.0))


class Classifier(nn.Module):
    """An encoder and a head on its representation h, or with ``latent`` on the unit z.

    The head is one linear layer by default.
    """

    def __init__(self, encoder: JetEncoder, head: nn.Module | None = None, latent: bool = False) -> None:
        super().__init__()
        width = encoder.config.latent if latent else encoder.config.representation
        self.encoder = encoder
        self.head = nn.Linear(width, 1) if head is None else head
        self.latent = latent

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the logits [B] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        h = self.encoder(x, mask)
        if self.latent:
            h = normalize(self.encoder.project(h), dim=1)
        logits: Tensor = self.head(h).squeeze(1)
        return logits

    def trained(self) -> list[nn.Parameter]:
        """Return the weights that the logits depend on."""
        encoder = self.encoder.parameters() if self.latent else self.encoder.backbone()
        return [*encoder, *self.head.parameters()]


def new_head(width: int, seed: int, *words: str | int) -> DeepHead:
    """Return a five-layer head initialised by ``seed`` and ``words``, whose first logits are all zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_hash(seed, "head", *words) >> 1)
        head = DeepHead(width)
    _zero(head.layers[-1])
    return head


def _zero(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def supervised(encoder: JetEncoder, head: DeepHead | None = None) -> Classifier:
    """Return a classifier on ``encoder`` with one linear layer or ``head``, whose first logits are all zero."""
    classifier = Classifier(encoder, head)
    if head is None:
        _zero(classifier.head)
    return classifier


def tuned(encoder: JetEncoder, probe: Probe, latent: bool = False) -> Classifier:
    """Return a classifier on a copy of ``encoder`` that starts as the probe (on h or z), which is its head."""
    classifier = Classifier(copy.deepcopy(encoder), latent=latent)
    assert isinstance(classifier.head, nn.Linear)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(probe.weight))
        classifier.head.bias.fill_(probe.bias)
    return classifier
