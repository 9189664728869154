"""The 15 inputs per candidate of RS3L (arXiv:2403.07066), derived from the raw columns.

Shapes count B jets, N padded candidates and F = 15 features. Masks are True for a real candidate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rs3l.dataset.store import CLASSES, JetBatch

FEATURES = (
    "log pt", "log pt/pt_jet", "deta", "dphi", "log energy", "log energy/energy_jet", "charge",
    "tanh d0", "tanh dz", "dr", "is photon", "is muon", "is electron", "is charged hadron",
    "is neutral hadron",
)  # fmt: skip
"""Names of the features, in the order of the authors' code."""

FLAGS = len(CLASSES)
"""Number of the last features, which are flags of the candidate's class."""


def features(jets: JetBatch) -> Tensor:
    """Return the features [B, N, 15], zero at padding.

    pT and energy are in GeV, d0 and dz in mm, and angles are relative to the jet axis.
    """
    raw, mask = jets.candidates, jets.mask
    pt, deta, dphi, energy, charge, kind, d0, dz = raw.unbind(dim=-1)
    log_pt = torch.where(mask, pt, 1.0).log()
    log_energy = torch.where(mask, energy, 1.0).log()
    columns = (
        log_pt,
        log_pt - jets.jet_pt.log()[:, None],
        deta,
        dphi,
        log_energy,
        log_energy - jets.jet_energy.log()[:, None],
        charge,
        d0.tanh(),
        dz.tanh(),
        torch.hypot(deta, dphi),
    )
    flags = ((kind == code).to(raw.dtype) for code in range(FLAGS))
    return torch.where(mask[..., None], torch.stack([*columns, *flags], dim=-1), 0.0)
