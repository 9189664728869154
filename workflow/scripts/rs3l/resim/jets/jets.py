"""Clustering (FastJet), the jet of the anchor, its candidates and its substructure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import fastjet
import numpy as np

from rs3l.config.jets import Jets
from rs3l.errors import DataError
from rs3l.resim.jets.correlators import n2
from rs3l.resim.jets.matching import nearest
from rs3l.resim.jets.soft_drop import soft_drop
from rs3l.resim.shower import Particles
from rs3l.types import Floats64, Ints

_ALGORITHMS = {
    "antikt": fastjet.antikt_algorithm,
    "cambridge": fastjet.cambridge_algorithm,
    "kt": fastjet.kt_algorithm,
}
_WHOLE_JET = 10.0
"""Radius for reclustering, which is larger than any jet, so that all its constituents end in one."""
_CLOSURE = 1e-6


@dataclass(frozen=True)
class AnchoredJets:
    """The jet nearest to each event's anchor, for the events [M] that have one within the radius.

    ``event`` [M] is the position in the batch. ``constituents`` [T] are the positions of the jets' particles in
    the batch, by descending pT; jet ``i`` owns ``offsets[i]:offsets[i + 1]``. Momenta are in GeV.
    """

    event: Ints
    px: Floats64
    py: Floats64
    pz: Floats64
    energy: Floats64
    offsets: Ints
    constituents: Ints

    @property
    def pt(self) -> Floats64:
        """Transverse momentum [GeV]."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> Floats64:
        """Pseudorapidity."""
        return np.arcsinh(self.pz / self.pt)

    @property
    def phi(self) -> Floats64:
        """Azimuth in [-pi, pi]."""
        return np.arctan2(self.py, self.px)

    @property
    def mass(self) -> Floats64:
        """Invariant mass [GeV]."""
        m2 = self.energy**2 - self.px**2 - self.py**2 - self.pz**2
        return np.sqrt(np.maximum(m2, 0.0))


def anchored_jets(particles: Particles, anchor_eta: Floats64, anchor_phi: Floats64, config: Jets) -> AnchoredJets:
    """Cluster every event [E] of a batch and return the jets nearest to their anchors.

    Raises :class:`DataError` unless the constituents of each jet add up to it.
    """
    momenta = _momenta(particles)
    definition = fastjet.JetDefinition(_ALGORITHMS[config.algorithm], config.radius)
    sequence = fastjet.ClusterSequence(momenta, definition)
    jets = sequence.inclusive_jets(min_pt=config.pt_min)
    members = sequence.constituent_index(min_pt=config.pt_min)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(jets[axis])) for axis in ("px", "py", "pz", "E"))
    jet_event = np.repeat(np.arange(len(momenta)), ak.to_numpy(ak.num(jets.px)))
    pt = np.hypot(px, py)
    chosen = nearest(np.arcsinh(pz / pt), np.arctan2(py, px), jet_event, anchor_eta, anchor_phi, config.radius)
    event = np.flatnonzero(chosen >= 0)
    chosen = chosen[event]
    offsets, constituents = _sorted_members(particles, ak.flatten(members, axis=1), jet_event, chosen)
    result = AnchoredJets(event, px[chosen], py[chosen], pz[chosen], energy[chosen], offsets, constituents)
    _check_closure(particles, result)
    return result


def jet_shapes(particles: Particles, jets: AnchoredJets, config: Jets) -> dict[str, Floats64]:
    """Return soft-drop mass, N2, tau21 and tau32 [M] of each jet; NaN where undefined (0 / 0) or switched off.

    The jet is reclustered with Cambridge/Aachen once for all of them.
    """
    columns = {name: np.full(len(jets.event), np.nan) for name in ("msd", "n2", "tau21", "tau32")}
    if len(jets.event):
        sequence = _whole_jets(jets.offsets, *_members(particles, jets))
        groomed = soft_drop(sequence, config)
        columns["msd"] = groomed.mass
        if config.substructure:
            columns["n2"] = n2(groomed.offsets, *groomed.momenta)
            columns["tau21"], columns["tau32"] = _tau_ratios(sequence, config)
    return columns


def _members(particles: Particles, jets: AnchoredJets) -> list[Floats64]:
    return [getattr(particles, axis)[jets.constituents] for axis in ("px", "py", "pz", "energy")]


def _whole_jets(
    offsets: Ints, px: Floats64, py: Floats64, pz: Floats64, energy: Floats64
) -> fastjet.ClusterSequence:
    """Return one Cambridge/Aachen sequence per jet in which all its particles end in one."""
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, _WHOLE_JET)
    return fastjet.ClusterSequence(_awkward_momenta(offsets, px, py, pz, energy), definition)


def _tau_ratios(sequence: fastjet.ClusterSequence, config: Jets) -> tuple[Floats64, Floats64]:
    """Return tau2 / tau1 and tau3 / tau2 [M] of all constituents (N-subjettiness, arXiv:1011.2268, beta = 1).

    The axes are exclusive kT jets with the winner-take-all scheme (arXiv:1401.2158), without minimisation, which
    is close to the minimum at half its cost.
    """
    tau = sequence.njettiness("NormalizedMeasure", "WTA_KT_Axes", njets=[1, 2, 3], beta=1.0, R0=config.radius)
    one, two, three = ak.to_numpy(tau).astype(np.float64).T
    return _ratio(two, one), _ratio(three, two)


def _ratio(a: Floats64, b: Floats64) -> Floats64:
    ratio: Floats64 = np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)
    return ratio


def _momenta(particles: Particles) -> ak.Array:
    return _awkward_momenta(particles.offsets, particles.px, particles.py, particles.pz, particles.energy)


def _awkward_momenta(offsets: Ints, px: Floats64, py: Floats64, pz: Floats64, energy: Floats64) -> ak.Array:
    """Return packed four-momenta in the layout that FastJet wants."""
    record = ak.contents.RecordArray(
        [ak.contents.NumpyArray(np.ascontiguousarray(x)) for x in (px, py, pz, energy)],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), record))


def _sorted_members(particles: Particles, members: Any, jet_event: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Return offsets [M + 1] and positions [T] of the chosen jets' particles, by descending pT in each jet."""
    members = members[chosen]
    counts = ak.to_numpy(ak.num(members))
    jet = np.repeat(np.arange(len(chosen)), counts)
    position = ak.to_numpy(ak.flatten(members)).astype(np.int64) + particles.offsets[jet_event[chosen]][jet]
    pt = np.hypot(particles.px[position], particles.py[position])
    order = np.lexsort((position, -pt, jet))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), position[order]


def _check_closure(particles: Particles, jets: AnchoredJets) -> None:
    if len(jets.event) == 0:
        return
    for name, total in (("px", jets.px), ("py", jets.py), ("pz", jets.pz), ("energy", jets.energy)):
        values = getattr(particles, name)[jets.constituents]
        difference = np.abs(np.add.reduceat(values, jets.offsets[:-1]) - total)
        if not (difference <= _CLOSURE * jets.energy).all():
            raise DataError(f"constituents do not add up to their jet: {name} differs by {difference.max():g}")
