"""The transformer's parts by hand: kinematics of a pair, attention with a bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rs3l.config.encoders import Transformer
from rs3l.dataset.features import features
from rs3l.networks.transformer import SMALLEST, AttentionBlock, TransformerEncoder, pair_features
from support import toy

LENGTHS = [5, 1, 12]


def by_hand(a: dict[str, float], b: dict[str, float]) -> list[float]:
    """Ln Delta, ln kT, ln z and ln m^2 of two massless particles (arXiv:2202.03772, eq. 3), from their momenta."""

    def momentum(p: dict[str, float]) -> np.ndarray:
        x, y, z = p["pt"] * math.cos(p["phi"]), p["pt"] * math.sin(p["phi"]), p["pt"] * math.sinh(p["eta"])
        return np.array([math.sqrt(x * x + y * y + z * z), x, y, z])

    total = momentum(a) + momentum(b)
    delta = math.sqrt((a["eta"] - b["eta"]) ** 2 + (a["phi"] - b["phi"]) ** 2)
    smaller = min(a["pt"], b["pt"])
    mass = float(total[0] ** 2 - (total[1:] ** 2).sum())
    return [math.log(v) for v in (delta, smaller * delta, smaller / (a["pt"] + b["pt"]), mass)]


def test_pairs_have_the_kinematics_of_the_paper() -> None:
    candidates = [
        {"pt": 30.0, "eta": 0.1, "phi": -0.2},
        {"pt": 2.0, "eta": -0.3, "phi": 0.4},
        {"pt": 7.0, "eta": 0.0, "phi": 0.0},
    ]
    x = torch.zeros(1, 3, 15, dtype=torch.float64)
    for i, p in enumerate(candidates):
        x[0, i, [0, 2, 3]] = torch.tensor([math.log(p["pt"]), p["eta"], p["phi"]], dtype=torch.float64)
    pairs = pair_features(x)
    for i, a in enumerate(candidates):
        for j, b in enumerate(candidates):
            if i != j:
                assert pairs[0, i, j].tolist() == pytest.approx(by_hand(a, b), rel=1e-9)
    itself = pairs[0, 0, 0].tolist()
    assert itself == pytest.approx([math.log(SMALLEST)] * 2 + [math.log(0.5), math.log(SMALLEST)])


@torch.no_grad()
def test_attention_is_a_softmax_over_the_candidates() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(6, 2).double()
    x, bias = torch.randn(1, 4, 6).double(), torch.randn(1, 2, 4, 4).double()
    bias[..., 3] = -torch.inf
    query, key, value = block.project_in(x)[0].chunk(3, dim=1)
    heads = []
    for h in range(2):
        q, k, v = (part[:, 3 * h : 3 * h + 3] for part in (query, key, value))
        heads.append((q @ k.T / math.sqrt(3) + bias[0, h]).softmax(dim=1) @ v)
    expected = block.project_out(torch.cat(heads, dim=1))
    torch.testing.assert_close(block.attention(x, bias)[0], expected)


@torch.no_grad()
def test_the_bias_reaches_the_attention_of_candidates_alone() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(Transformer(kind="transformer", hidden=8, heads=2, pairwise=True), 64)
    store = toy.store(LENGTHS)
    jets = store.batch(store.rows())
    x = features(jets)
    bias = encoder.bias(x, jets.mask)
    assert bias.shape == (3, 2, 13, 13)
    assert not bias[:, :, 0, 0].any() and not bias[:, :, 1:, 0].any(), "none between the token and itself"
    assert (bias[1, :, :, 2:] == -torch.inf).all() and torch.isfinite(bias[2]).all()
    assert encoder.pair is not None
    before = encoder(x, jets.mask)
    encoder.pair[2].weight.mul_(5.0)
    after = encoder(x, jets.mask)
    assert ((after - before).abs().amax(dim=1) > 1e-6).all()
