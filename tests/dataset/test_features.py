"""The 15 inputs, against the formulas written out per candidate."""

from __future__ import annotations

import math

import numpy as np
import torch

from rs3l.dataset.features import FEATURES, features
from support import toy


def reference(raw: list[float], jet_pt: float, jet_energy: float) -> list[float]:
    """One candidate's features, in the order of the authors' code."""
    pt, deta, dphi, energy, charge, kind, d0, dz = raw
    kinematics = [math.log(pt), math.log(pt / jet_pt), deta, dphi, math.log(energy), math.log(energy / jet_energy)]
    track = [charge, math.tanh(d0), math.tanh(dz), math.sqrt(deta**2 + dphi**2)]
    return [*kinematics, *track, *(float(kind == k) for k in range(5))]


def test_features_are_those_of_the_paper_and_zero_at_padding() -> None:
    store = toy.store([4, 1, 0, 7])
    jets = store.batch(np.arange(4))
    values = features(jets)
    assert values.shape == (4, 7, 15)
    for b in range(4):
        for n in range(7):
            if jets.mask[b, n]:
                pt, energy = float(jets.jet_pt[b]), float(jets.jet_energy[b])
                expected = reference(jets.candidates[b, n].tolist(), pt, energy)
                np.testing.assert_allclose(values[b, n], expected, rtol=1e-5, atol=1e-5)
            else:
                assert not values[b, n].any()
    assert torch.isfinite(values).all()


def test_the_order_is_pinned() -> None:
    assert FEATURES[:3] == ("log pt", "log pt/pt_jet", "deta")
    assert FEATURES[6:10] == ("charge", "tanh d0", "tanh dz", "dr")
    assert FEATURES[10:] == ("is photon", "is muon", "is electron", "is charged hadron", "is neutral hadron")
