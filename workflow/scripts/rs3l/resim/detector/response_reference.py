"""The CMS-like response of one event in plain loops, which ``rs3l.resim.detector.response`` must reproduce.

It is slow, is used by tests only, and takes the random numbers from outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from rs3l.config.detector import Calorimeter, Detector
from rs3l.resim.detector import cms
from rs3l.types import Floats64


class Particle(NamedTuple):
    """A stable particle with its momentum [GeV], production radius [mm], and random numbers by name."""

    pdg_id: int
    charge: int
    px: float
    py: float
    pz: float
    energy: float
    radius: float
    noise: Mapping[str, float]


class Candidate(NamedTuple):
    """A particle-flow candidate."""

    pdg_id: int
    charge: int
    px: float
    py: float
    pz: float
    energy: float


class Track(NamedTuple):
    """A found track with its class, momentum scale, measured energy and its error [GeV]."""

    kind: int
    scale: float
    energy: float
    sigma: float


def respond_to_event(particles: list[Particle], detector: Detector) -> list[Candidate]:
    """Return tracks in the order of their particles, then photons, then neutral hadrons by cell."""
    tracks = {i: track for i, p in enumerate(particles) if (track := find_track(p, detector)) is not None}
    photons, ecal_scale = measure(particles, tracks, "ecal", cms.ECAL_CELLS, cms.ecal_sigma, detector.ecal)
    hadrons, hcal_scale = measure(particles, tracks, "hcal", cms.HCAL_CELLS, cms.hcal_sigma, detector.hcal)
    charged = []
    for i, track in tracks.items():
        p, scale = particles[i], track.scale * ecal_scale.get(i, 1.0) * hcal_scale.get(i, 1.0)
        px, py, pz = p.px * scale, p.py * scale, p.pz * scale
        energy = math.sqrt(px**2 + py**2 + pz**2 + cms.MASS[track.kind] ** 2)
        sign = p.charge if track.kind == cms.CHARGED_HADRON else -p.charge
        charged.append(Candidate(sign * track.kind, p.charge, px, py, pz, energy))
    return charged + photons + hadrons


def find_track(p: Particle, detector: Detector) -> Track | None:
    """Return the particle's track, if it is charged and found."""
    if p.charge == 0:
        return None
    kind = abs(p.pdg_id) if abs(p.pdg_id) in (cms.ELECTRON, cms.MUON) else cms.CHARGED_HADRON
    pt = math.hypot(p.px, p.py)
    eta = abs(math.asinh(p.pz / pt))
    ring = sum(eta > edge for edge in cms.EFFICIENCY_ETA)
    efficiency = cms.EFFICIENCY[kind][ring][sum(pt > edge for edge in cms.EFFICIENCY_PT)]
    if p.noise["track_found"] >= efficiency * max(1 - p.radius / detector.tracker_radius, 0.0):
        return None
    a, b = cms.RESOLUTION[kind][sum(eta > edge for edge in cms.RESOLUTION_ETA)]
    relative = min(math.hypot(a, b * pt), 1.0)
    scale = log_normal(1.0, relative, p.noise["track_pt"])
    energy = math.sqrt(scale**2 * (pt**2 + p.pz**2) + cms.MASS[kind] ** 2)
    return Track(kind, scale, energy, relative * energy)


def measure(
    particles: list[Particle],
    tracks: Mapping[int, Track],
    name: str,
    cells: cms.Cells,
    resolution: Callable[[Floats64, Floats64], Floats64],
    cuts: Calorimeter,
) -> tuple[list[Candidate], dict[int, float]]:
    """Return the neutral candidates of one calorimeter, and the factor on the momentum of tracks."""
    members: dict[tuple[int, int], list[int]] = {}
    for i, p in enumerate(particles):
        place = entry(p)
        if fraction(p, name) > 0 and place is not None and abs(place[0]) < cells.eta[-1]:
            members.setdefault(cell_of(*place, cells), []).append(i)
    neutrals, scales = [], {}
    for (ring, column), inside in sorted(members.items()):
        noise = particles[inside[0]].noise
        low, high = cells.eta[ring], cells.eta[ring + 1]

        def sigma_of(energy: float, centre: float = (low + high) / 2) -> float:
            return float(resolution(np.array(energy), np.array(centre)))

        true = sum(fraction(particles[i], name) * particles[i].energy for i in inside)
        charged = sum(fraction(particles[i], name) * tracks[i].energy for i in inside if i in tracks)
        variance = sum((fraction(particles[i], name) * tracks[i].sigma) ** 2 for i in inside if i in tracks)
        energy = log_normal(true, sigma_of(true), noise[f"{name}_energy"])
        sigma = sigma_of(energy)
        if energy < cuts.energy_min or energy < cuts.significance_min * sigma:
            energy = 0.0
        excess, error = energy - charged, math.sqrt(variance + sigma**2)
        if excess > cuts.energy_min and excess > cuts.significance_min * error:
            eta = low + (high - low) * noise[f"{name}_eta"]
            phi = (column + noise[f"{name}_phi"]) * 2 * math.pi / cells.n_phi[ring] - math.pi
            neutrals.append(massless(cms.PHOTON if name == "ecal" else cms.NEUTRAL_HADRON, excess, eta, phi))
        elif charged > 0 and energy > 0:
            best = (charged / variance + energy / sigma**2) / (1 / variance + 1 / sigma**2)
            scales.update({i: best / charged for i in inside if i in tracks})
    return neutrals, scales


def entry(p: Particle) -> tuple[float, float] | None:
    """Return eta and phi where the particle meets the calorimeters, or None if it curls up before."""
    pt, phi = math.hypot(p.px, p.py), math.atan2(p.py, p.px)
    if p.charge == 0:
        return math.asinh(p.pz / pt), phi
    radius = pt / cms.CURVATURE
    paths = [cms.HALF_LENGTH * pt / abs(p.pz)] if p.pz != 0 else []
    if 2 * radius > cms.BARREL_RADIUS:
        paths.append(2 * radius * math.asin(cms.BARREL_RADIUS / (2 * radius)))
    if not paths or min(paths) >= math.pi * radius:
        return None
    path = min(paths)
    distance = 2 * radius * math.sin(path / (2 * radius))
    bent = phi - math.copysign(path / (2 * radius), p.charge)
    return math.asinh(path * (p.pz / pt) / distance), (bent + math.pi) % (2 * math.pi) - math.pi


def cell_of(eta: float, phi: float, cells: cms.Cells) -> tuple[int, int]:
    """Return ring and column of the cell."""
    ring = max(i for i in range(len(cells.n_phi)) if cells.eta[i] <= eta)
    n = int(cells.n_phi[ring])
    return ring, min(int((phi + math.pi) / (2 * math.pi) * n), n - 1)


def fraction(p: Particle, name: str) -> float:
    """Return the part of the energy that a calorimeter gets."""
    code = abs(p.pdg_id)
    if code in cms.NOT_STOPPED:
        return 0.0
    ecal = 1.0 if code in cms.ECAL_ONLY else cms.LONG_LIVED_ECAL if code in cms.LONG_LIVED else 0.0
    return ecal if name == "ecal" else 1.0 - ecal


def log_normal(mean: float, sigma: float, normal: float) -> float:
    """Return a log-normal number with this mean and standard deviation."""
    width2 = math.log(1 + (sigma / mean) ** 2)
    return mean * math.exp(math.sqrt(width2) * normal - width2 / 2)


def massless(code: int, energy: float, eta: float, phi: float) -> Candidate:
    """Return a neutral candidate."""
    pt = energy / math.cosh(eta)
    return Candidate(code, 0, pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), energy)
