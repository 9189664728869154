"""Numbers of the CMS-like response, which ``rs3l.resim.detector.response`` uses, with their sources.

Unless another source is named, a number is that of Delphes' CMS card (``cards/delphes_card_CMS.tcl`` of
github.com/delphes/delphes; arXiv:1307.6346), which names the CMS papers behind it: arXiv:1405.6569 (tracks),
1306.2016 and 1502.02701 (ECAL). Units are GeV, metres and radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rs3l.types import Floats64, Ints

PHOTON, ELECTRON, MUON, CHARGED_HADRON, NEUTRAL_HADRON = 22, 11, 13, 211, 130
"""Particle-flow classes by the PDG code that stands for each (negative candidates: 11, 13, -211)."""

BARREL_RADIUS, HALF_LENGTH, FIELD = 1.29, 3.00, 3.8
"""Radius and half length of the inner surface of the calorimeters [m], and field of the solenoid [T]."""
CURVATURE = 0.299792458 * FIELD
"""Factor in pT [GeV] = CURVATURE x radius of the helix [m]."""

MASS = {ELECTRON: 0.000511, MUON: 0.10566, CHARGED_HADRON: 0.13957}
"""Mass [GeV] that a track is given by its class; charged hadrons get that of the pion (arXiv:1706.04965)."""

EFFICIENCY_PT = np.array([0.1, 1.0, 100.0])
"""Upper edges of the pT bins [GeV] of the tracking efficiency; the last bin is open."""
EFFICIENCY_ETA = np.array([1.5, 2.5])
"""Upper edges of the |eta| bins; there are no tracks beyond."""
EFFICIENCY = {
    CHARGED_HADRON: np.array([[0.0, 0.70, 0.95, 0.95], [0.0, 0.60, 0.85, 0.85], [0.0] * 4]),
    ELECTRON: np.array([[0.0, 0.73, 0.95, 0.99], [0.0, 0.50, 0.83, 0.90], [0.0] * 4]),
    MUON: np.array([[0.0, 0.75, 0.99, 0.99], [0.0, 0.70, 0.98, 0.98], [0.0] * 4]),
}
"""Tracking efficiency [|eta| bin, pT bin]."""

RESOLUTION_ETA = np.array([0.5, 1.5])
"""Upper edges of the |eta| bins of the pT resolution; the last bin ends with the tracker."""
RESOLUTION = {
    CHARGED_HADRON: np.array([[0.010, 1.5e-4], [0.015, 2.5e-4], [0.025, 5.5e-4]]),
    ELECTRON: np.array([[0.03, 1.3e-3], [0.05, 1.7e-3], [0.15, 3.1e-3]]),
    MUON: np.array([[0.010, 1.0e-4], [0.015, 1.5e-4], [0.025, 3.5e-4]]),
}
"""The pair (a, b) of sigma(pT) / pT = a (+) b pT [1/GeV], by |eta| bin."""

ECAL_ONLY = (11, 22)
"""PDG codes that leave all their energy in the ECAL."""
NOT_STOPPED = (12, 13, 14, 16)
"""PDG codes that leave no energy in the calorimeters."""
LONG_LIVED = (310, 3122)
"""PDG codes that leave a part of their energy in the ECAL, which are K_S and Lambda if they are stable.

All others leave all their energy in the HCAL.
"""
LONG_LIVED_ECAL = 0.3


@dataclass(frozen=True)
class Cells:
    """Cells of a calorimeter, with the edges in eta [R + 1] and the number of cells in phi of each ring [R]."""

    eta: Floats64
    n_phi: Ints

    @property
    def first(self) -> Ints:
        """Number of the first cell of each ring [R]."""
        return np.concatenate([[0], np.cumsum(self.n_phi)[:-1]]).astype(np.int64)

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.n_phi.sum())


def _mirrored(edges: list[float], n_phi: list[int]) -> Cells:
    """Return cells on both sides from the edges at eta >= 0 and the cells in phi of the rings between them."""
    return Cells(np.array([-x for x in edges[:0:-1]] + edges), np.array(n_phi[::-1] + n_phi, np.int64))


_FORWARD = [3.125, 3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35]
ECAL_CELLS = _mirrored(
    [round(0.0174 * i, 4) for i in range(171)] + [*_FORWARD, 4.525, 4.7, 5.0], [360] * 170 + [36] * 11
)
"""Cells of 0.0174 x 1 degree up to |eta| = 2.958, and of 10 degrees beyond."""
HCAL_CELLS = _mirrored(
    [round(0.087 * i, 3) for i in range(20)]
    + [1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95, *_FORWARD, 4.525, 4.7, 5.0],
    [72] * 19 + [36] * 19 + [18] * 2,
)
"""Cells of 0.087 x 5 degrees up to |eta| = 1.653, then of 10 degrees, and from 4.525 of 20 degrees."""


def ecal_sigma(energy: Floats64, eta: Floats64) -> Floats64:
    """Return the resolution [GeV] of an ECAL cell centred at ``eta``, which is like that of HF beyond 2.5."""
    a = np.abs(eta)
    tracker = np.sqrt((0.008 * energy) ** 2 + 0.11**2 * energy + 0.40**2)
    forward = np.sqrt((0.107 * energy) ** 2 + 2.08**2 * energy)
    shape = np.where(a <= 1.5, 1 + 0.64 * a**2, 2.16 + 5.6 * (a - 2) ** 2)
    return np.where(a <= 2.5, shape * tracker, forward)


def hcal_sigma(energy: Floats64, eta: Floats64) -> Floats64:
    """Return the resolution [GeV] of an HCAL cell centred at ``eta``."""
    central = np.sqrt((0.050 * energy) ** 2 + 1.50**2 * energy)
    forward = np.sqrt((0.130 * energy) ** 2 + 2.70**2 * energy)
    return np.where(np.abs(eta) <= 3.0, central, forward)
