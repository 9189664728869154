"""The transformer encoder, which uses attention among the candidates and reads out a class token.

With ``pairwise`` the attention of two candidates is biased by ln Delta, ln kT, ln z and ln m^2 of the pair, as in
the Particle Transformer (arXiv:2202.03772, section 3).

Shapes: B jets, N padded candidates, F = 15 features, W hidden width, A attention heads, H representation, D
latent dimensions. Masks are True for real candidates. The token is at slot 0, and the candidates follow it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from rs3l.config.encoders import Transformer
from rs3l.dataset.features import FEATURES
from rs3l.networks.base import JetEncoder

PAIR_FEATURES = 4
PAIR_WIDTH = 16
"""This is the width of the network per pair of candidates."""

SMALLEST = 1e-8
"""Pair quantities are cut off here before their logarithm, because a candidate with itself has none."""


class TransformerEncoder(JetEncoder):
    """Attention blocks on candidates and a class token, whose last state gives h; a projection head gives z."""

    def __init__(self, config: Transformer, constituents: int) -> None:
        super().__init__(config, constituents)
        w, h = config.hidden, config.representation
        self.candidate = nn.Sequential(nn.Linear(len(FEATURES), w), nn.GELU(), nn.Linear(w, w))
        self.token = nn.Parameter(torch.zeros(w))
        self.pair = _pair_network(config.heads) if config.pairwise else None
        self.blocks = nn.ModuleList(AttentionBlock(w, config.heads) for _ in range(config.layers))
        self.rho = nn.Sequential(nn.LayerNorm(w), nn.Linear(w, h), nn.GELU(), nn.Linear(h, h))
        self.projector = nn.Sequential(nn.Linear(h, h), nn.GELU(), nn.Linear(h, config.latent))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the representation h [B, H] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        x = x.masked_fill(~mask[..., None], 0.0)
        candidates = self.candidate(self.norm(x))
        states = torch.cat([self.token.expand(x.shape[0], 1, -1), candidates], dim=1)
        bias = self.bias(x, mask)
        for block in self.blocks:
            states = block(states, bias)
        h: Tensor = self.rho(states[:, 0])
        return h

    def bias(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what is added to the attention, [B, 1 or A, 1 or N + 1, N + 1].

        It is -inf at padding and the pair's bias elsewhere.
        """
        keys = pad(mask, (1, 0), value=True)[:, None, None, :]
        hidden = x.new_zeros(keys.shape).masked_fill_(~keys, -torch.inf)
        if self.pair is None:
            return hidden
        pairs: Tensor = self.pair(pair_features(x)).permute(0, 3, 1, 2)
        return pad(pairs, (1, 0, 1, 0)) + hidden


class AttentionBlock(nn.Module):
    """Self-attention and a network per candidate, each of which follows a layer norm and is added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return the states [B, N + 1, W] of ``x`` [B, N + 1, W] with ``bias`` added to the attention."""
        x = x + self.attention(self.before_attention(x), bias)
        result: Tensor = x + self.network(self.before_network(x))
        return result

    def attention(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return the attention's output [B, N + 1, W]."""
        query, key, value = self.project_in(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        result: Tensor = self.project_out(mixed.transpose(1, 2).flatten(start_dim=2))
        return result


def _pair_network(heads: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(PAIR_FEATURES, PAIR_WIDTH), nn.GELU(), nn.Linear(PAIR_WIDTH, heads))


def pair_features(x: Tensor) -> Tensor:
    """Return ln Delta, ln kT, ln z and ln m^2 [B, N, N, 4] of all pairs of candidates of ``x`` [B, N, F].

    Delta is their distance in (eta, phi), kT = min(pT) Delta, and z = min(pT) / (sum of pT). The mass is that of
    two massless particles, m^2 = 2 pT pT' (cosh deta - cos dphi) (arXiv:2202.03772, eq. 3). pT is in GeV.
    """
    log_pt, _, eta, phi = x[..., :4].unbind(dim=-1)
    pt = log_pt.exp()
    deta, dphi = eta[:, :, None] - eta[:, None, :], phi[:, :, None] - phi[:, None, :]
    delta = torch.hypot(deta, dphi)
    smaller = torch.minimum(pt[:, :, None], pt[:, None, :])
    fraction = smaller / (pt[:, :, None] + pt[:, None, :])
    mass = 2 * pt[:, :, None] * pt[:, None, :] * (deta.cosh() - dphi.cos())
    return torch.stack([delta, smaller * delta, fraction, mass], dim=-1).clamp(min=SMALLEST).log()
