"""CMS-like response that turns stable particles into particle-flow candidates, for a batch of events at once.

The algorithm is that of Delphes (arXiv:1307.6346), in the form that its CMS card uses:

1. A charged particle gives a track with a probability by class, pT, eta and radius of production, and its
   pT is smeared. Directions are exact.
2. Particles fly to the calorimeters, charged ones on a helix, and leave their energy in the cell that they
   meet. All the energy of a cell is smeared together.
3. If a cell has significantly more energy than its tracks, the excess is a photon (ECAL) or a neutral hadron
   (HCAL) somewhere in the cell. Otherwise its tracks are scaled to the best estimate from tracks and cell.

Shapes count E events and T particles of all events, flat. The random numbers of a particle [T] depend on its
event's seed and its place in the event, and those of a cell are of its first particle, so that an event comes out
the same in every batch. ``response_reference.py`` does the same in plain loops for one event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from rs3l.angles import wrapped
from rs3l.config.detector import Calorimeter, Detector
from rs3l.errors import DataError
from rs3l.resim.detector import cms
from rs3l.resim.shower import Particles
from rs3l.types import Bools, Floats64, Ints

_CLOSURE = 1e-9
_SMALLEST_PT = 1e-9
_KINDS = (cms.CHARGED_HADRON, cms.ELECTRON, cms.MUON)
_EFFICIENCY = np.stack([cms.EFFICIENCY[kind] for kind in _KINDS])
_RESOLUTION = np.stack([cms.RESOLUTION[kind] for kind in _KINDS])
_MASS = np.array([cms.MASS[kind] for kind in _KINDS])
_CODE = np.array([cms.CHARGED_HADRON, -cms.ELECTRON, -cms.MUON])
"""PDG code of the positive track of each kind."""


@dataclass(frozen=True)
class Noise:
    """Random numbers [T] of each particle, of which three are normal and five are uniform."""

    track_pt: Floats64
    ecal_energy: Floats64
    hcal_energy: Floats64
    track_found: Floats64
    ecal_eta: Floats64
    ecal_phi: Floats64
    hcal_eta: Floats64
    hcal_phi: Floats64


@dataclass(frozen=True)
class Tracks:
    """Track of each particle [T], with zeros if there is none.

    ``kind`` is an index, ``scale`` is that of the momentum, and ``energy`` and its error ``sigma`` are in GeV.
    """

    found: Bools
    kind: Ints
    scale: Floats64
    energy: Floats64
    sigma: Floats64


@dataclass(frozen=True)
class Deposits:
    """The energy that each particle [T] leaves in one calorimeter and where.

    ``track`` is the measured energy of the particle's track.
    """

    event: Ints
    energy: Floats64
    eta: Floats64
    phi: Floats64
    track: Floats64
    track_sigma: Floats64


@dataclass(frozen=True)
class Hits:
    """Cells [C] with energy, and the particles [H] in them.

    ``cell`` [H] is the cell of ``particle`` [H]. ``first`` is the first particle of a cell, and ``track`` is the
    measured energy of the tracks that end there.
    """

    particle: Ints
    cell: Ints
    first: Ints
    ring: Ints
    column: Ints
    energy: Floats64
    track: Floats64
    track_variance: Floats64


@dataclass(frozen=True)
class Neutrals:
    """Massless neutral candidates of one calorimeter."""

    event: Ints
    energy: Floats64
    eta: Floats64
    phi: Floats64


def respond(particles: Particles, event_seeds: Sequence[int], detector: Detector) -> Particles:
    """Return the particle-flow candidates of each event [E], as tracks, then photons, then neutral hadrons.

    Tracks keep the production vertex of their particle. The errors are those of :func:`respond_traced`.
    """
    return respond_traced(particles, event_seeds, detector)[0]


def respond_traced(particles: Particles, event_seeds: Sequence[int], detector: Detector) -> tuple[Particles, Ints]:
    """Return the candidates, and the particle [T] that each track is of, or -1 for a neutral candidate.

    Raises :class:`DataError` if the energy in the cells is
    not that of the particles, or if a candidate is not a physical one.
    """
    noise = draw(particles.offsets, event_seeds)
    event = np.repeat(np.arange(len(particles.position)), np.diff(particles.offsets))
    tracks = _tracks(particles, noise, detector)
    eta, phi, arrives = entry_point(particles)
    in_ecal = _ecal_fraction(particles.pdg_id)
    stopped = arrives & ~_is_one_of(particles.pdg_id, cms.NOT_STOPPED)
    ecal, hcal = (
        _deposits(event, particles.energy, fraction * stopped, eta, phi, tracks)
        for fraction in (in_ecal, 1.0 - in_ecal)
    )
    photons, ecal_scale = _measure(
        ecal, cms.ECAL_CELLS, cms.ecal_sigma, detector.ecal, noise.ecal_energy, noise.ecal_eta, noise.ecal_phi
    )
    hadrons, hcal_scale = _measure(
        hcal, cms.HCAL_CELLS, cms.hcal_sigma, detector.hcal, noise.hcal_energy, noise.hcal_eta, noise.hcal_phi
    )
    tracks = replace(tracks, scale=tracks.scale * ecal_scale * hcal_scale)
    result, source = _candidates(particles, event, tracks, photons, hadrons)
    _check_candidates(result, int(tracks.found.sum()))
    return result, source


def draw(offsets: Ints, event_seeds: Sequence[int]) -> Noise:
    """Return the random numbers of all particles, with a generator of its own for each event.

    The smearing of impact parameters has the same seed, so the key is not hashed here, unlike there.
    """
    normal, uniform = np.empty((3, int(offsets[-1]))), np.empty((5, int(offsets[-1])))
    for i, event_seed in enumerate(event_seeds):
        start, stop = int(offsets[i]), int(offsets[i + 1])
        generator = np.random.Generator(np.random.Philox(key=event_seed))
        normal[:, start:stop] = generator.standard_normal((3, stop - start))
        uniform[:, start:stop] = generator.random((5, stop - start))
    return Noise(*normal, *uniform)


def _tracks(particles: Particles, noise: Noise, detector: Detector) -> Tracks:
    charged = np.flatnonzero(particles.charge != 0)
    pt = _transverse(particles)[charged]
    abs_eta = np.abs(np.arcsinh(particles.pz[charged] / pt))
    radius = np.hypot(particles.vx[charged], particles.vy[charged])
    code = np.abs(particles.pdg_id[charged])
    kind = np.where(code == cms.ELECTRON, 1, np.where(code == cms.MUON, 2, 0))
    found = noise.track_found[charged] < _efficiency(kind, pt, abs_eta, radius / detector.tracker_radius)
    place, kind, pt, abs_eta = charged[found], kind[found], pt[found], abs_eta[found]
    constant, slope = _RESOLUTION[kind, np.searchsorted(cms.RESOLUTION_ETA, abs_eta)].T
    width = np.minimum(np.hypot(constant, slope * pt), 1.0)
    scale = log_normal(np.ones_like(pt), width, noise.track_pt[place])
    energy = np.sqrt((pt**2 + particles.pz[place] ** 2) * scale**2 + _MASS[kind] ** 2)
    size = len(particles.charge)
    tracks = Tracks(np.zeros(size, bool), np.zeros(size, np.int64), *np.zeros((3, size)))
    values = Tracks(np.ones(len(place), bool), kind, scale, energy, width * energy)
    for field in fields(Tracks):
        getattr(tracks, field.name)[place] = getattr(values, field.name)
    return tracks


def _transverse(particles: Particles) -> Floats64:
    """Return pT [GeV], which is not quite 0 for a particle along the beam, so that its eta is finite."""
    return np.maximum(np.hypot(particles.px, particles.py), _SMALLEST_PT)


def _efficiency(kind: Ints, pt: Floats64, abs_eta: Floats64, depth: Floats64) -> Floats64:
    """Return the tracking efficiency; ``depth`` is the radius of production in units of the tracker's."""
    table = _EFFICIENCY[kind, np.searchsorted(cms.EFFICIENCY_ETA, abs_eta), np.searchsorted(cms.EFFICIENCY_PT, pt)]
    return table * np.maximum(1 - depth, 0.0)


def log_normal(mean: Floats64, sigma: Floats64, normal: Floats64) -> Floats64:
    """Return log-normal numbers, which are never negative, with ``mean`` and standard deviation ``sigma``."""
    width2 = np.log1p((sigma / mean) ** 2)
    return mean * np.exp(np.sqrt(width2) * normal - 0.5 * width2)


def entry_point(particles: Particles) -> tuple[Floats64, Floats64, Bools]:
    """Return eta and phi at the calorimeters [T], seen from the origin, and whether a particle gets there."""
    pt = _transverse(particles)
    eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
    arrives = np.ones(len(pt), bool)
    i = np.flatnonzero(particles.charge != 0)
    eta[i], phi[i], arrives[i] = _helix(pt[i], particles.pz[i] / pt[i], phi[i], np.sign(particles.charge[i]))
    return eta, phi, arrives


def _helix(pt: Floats64, sinh_eta: Floats64, phi: Floats64, sign: Floats64) -> tuple[Floats64, Floats64, Bools]:
    """Return where helices from the origin meet the first of barrel and end cap, and whether they do.

    Particles that would need more than half a turn are lost.
    """
    diameter = 2 * pt / cms.CURVATURE
    half_turn = 0.5 * np.pi * diameter  # paths are transverse
    to_end = cms.HALF_LENGTH / np.maximum(np.abs(sinh_eta), 1e-9)
    reach = np.minimum(cms.BARREL_RADIUS / diameter, 1.0)
    to_barrel = np.where(diameter > cms.BARREL_RADIUS, diameter * np.arcsin(reach), np.inf)
    path = np.minimum(to_barrel, to_end)
    arrives = path < half_turn
    angle = np.where(arrives, path, 0.5 * half_turn) / diameter
    eta = np.arcsinh(angle / np.sin(angle) * sinh_eta)
    return eta, wrapped(phi - sign * angle), arrives


def _ecal_fraction(pdg_id: Ints) -> Floats64:
    """Return the part of a particle's energy [T] that the ECAL gets; the HCAL gets the rest."""
    code = np.abs(pdg_id)
    return np.where(
        _is_one_of(code, cms.ECAL_ONLY), 1.0, np.where(_is_one_of(code, cms.LONG_LIVED), cms.LONG_LIVED_ECAL, 0.0)
    )


def _is_one_of(pdg_id: Ints, codes: Sequence[int]) -> Bools:
    code, result = np.abs(pdg_id), np.zeros(len(pdg_id), bool)
    for one in codes:
        result |= code == one
    return result


def _deposits(
    event: Ints, energy: Floats64, fraction: Floats64, eta: Floats64, phi: Floats64, tracks: Tracks
) -> Deposits:
    """Return the deposits of the particles in one calorimeter."""
    return Deposits(event, energy * fraction, eta, phi, tracks.energy * fraction, tracks.sigma * fraction)


def _measure(
    deposits: Deposits,
    cells: cms.Cells,
    resolution: Callable[[Floats64, Floats64], Floats64],
    cuts: Calorimeter,
    energy_noise: Floats64,
    eta_noise: Floats64,
    phi_noise: Floats64,
) -> tuple[Neutrals, Floats64]:
    """Return the neutral candidates of a calorimeter, and the factor [T] on the momentum of each track."""
    hit = _fill(deposits, cells)
    low, width = cells.eta[hit.ring], np.diff(cells.eta)[hit.ring]
    centre = low + 0.5 * width
    energy = log_normal(hit.energy, resolution(hit.energy, centre), energy_noise[hit.first])
    sigma = resolution(energy, centre)
    energy = np.where(energy < np.maximum(cuts.energy_min, cuts.significance_min * sigma), 0.0, energy)
    excess = energy - hit.track
    total_sigma = np.sqrt(hit.track_variance + sigma**2)
    neutral = (excess > cuts.energy_min) & (excess > cuts.significance_min * total_sigma)
    use = ~neutral & (hit.track > 0) & (energy > 0)
    scale = np.ones(len(deposits.energy))
    scale[hit.particle] = _best_scale(hit.track, hit.track_variance, energy, sigma, use)[hit.cell]
    eta = low + width * eta_noise[hit.first]
    phi = (hit.column + phi_noise[hit.first]) * (2 * np.pi / cells.n_phi[hit.ring]) - np.pi
    neutrals = Neutrals(deposits.event[hit.first], excess, eta, phi)
    return Neutrals(**{name: values[neutral] for name, values in vars(neutrals).items()}), scale


def _fill(deposits: Deposits, cells: cms.Cells) -> Hits:
    """Add up the deposits in each cell of each event; the cells are ordered by event, ring and column."""
    particle = np.flatnonzero((deposits.energy > 0) & (np.abs(deposits.eta) < cells.eta[-1]))
    event = deposits.event[particle]
    ring = np.searchsorted(cells.eta, deposits.eta[particle], side="right") - 1
    n_phi = cells.n_phi[ring]
    column = np.minimum(((deposits.phi[particle] + np.pi) / (2 * np.pi) * n_phi).astype(np.int64), n_phi - 1)
    number = event * cells.count + cells.first[ring] + column
    _, lead, cell = np.unique(number, return_index=True, return_inverse=True)
    energy, track, variance = (
        np.bincount(cell, values[particle], len(lead)).astype(np.float64)
        for values in (deposits.energy, deposits.track, deposits.track_sigma**2)
    )
    _check_sum(energy, event[lead], deposits.energy[particle], event)
    return Hits(particle, cell, particle[lead], ring[lead], column[lead], energy, track, variance)


def _best_scale(charged: Floats64, variance: Floats64, energy: Floats64, sigma: Floats64, use: Bools) -> Floats64:
    """Return the factor that brings the tracks of a cell to the weighted mean of tracks and cell, 1 elsewhere."""
    a, b = 1 / np.where(use, variance, 1.0), 1 / np.where(use, sigma, 1.0) ** 2
    return np.where(use, (a * charged + b * energy) / ((a + b) * np.where(use, charged, 1.0)), 1.0)


def _candidates(
    particles: Particles, event: Ints, tracks: Tracks, photons: Neutrals, hadrons: Neutrals
) -> tuple[Particles, Ints]:
    found = np.flatnonzero(tracks.found)
    kind, scale = tracks.kind[found], tracks.scale[found]
    px, py, pz = (getattr(particles, axis)[found] * scale for axis in ("px", "py", "pz"))
    charge = particles.charge[found]
    track_columns = {
        "event": event[found],
        "source": found,
        "pdg_id": _CODE[kind] * np.sign(charge).astype(np.int64),
        "charge": charge,
        "px": px,
        "py": py,
        "pz": pz,
        "energy": np.sqrt(px**2 + py**2 + pz**2 + _MASS[kind] ** 2),
        **{axis: getattr(particles, axis)[found] for axis in ("vx", "vy", "vz")},
    }
    pieces = [
        track_columns,
        _neutral_columns(photons, cms.PHOTON),
        _neutral_columns(hadrons, cms.NEUTRAL_HADRON),
    ]
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in track_columns}
    owner, source = joined.pop("event"), joined.pop("source")
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(particles.position))
    candidates = replace(
        particles,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        **{name: values[order] for name, values in joined.items()},
    )
    return candidates, source[order]


def _neutral_columns(neutrals: Neutrals, code: int) -> dict[str, npt.NDArray[np.generic]]:
    pt, zero = neutrals.energy / np.cosh(neutrals.eta), np.zeros(len(neutrals.energy))
    return {
        "event": neutrals.event,
        "source": np.full(len(pt), -1, np.int64),
        "pdg_id": np.full(len(pt), code, np.int64),
        "charge": zero,
        "px": pt * np.cos(neutrals.phi),
        "py": pt * np.sin(neutrals.phi),
        "pz": pt * np.sinh(neutrals.eta),
        "energy": neutrals.energy,
        **dict.fromkeys(("vx", "vy", "vz"), zero),
    }


def _check_sum(cells: Floats64, cell_event: Ints, deposits: Floats64, event: Ints) -> None:
    """Raise :class:`DataError` unless the cells of each event hold what its particles left."""
    n = int(event[-1]) + 1 if len(event) else 0
    found, expected = np.bincount(cell_event, cells, n), np.bincount(event, deposits, n)
    if not (np.abs(found - expected) <= _CLOSURE * expected).all():
        worst = np.abs(found - expected).max()
        raise DataError(f"detector: the cells of an event differ from its particles by {worst:g} GeV")


def _check_candidates(candidates: Particles, tracks: int) -> None:
    """Raise :class:`DataError` unless all candidates are finite and physical, and each track is there once."""
    for field in fields(candidates):
        if not np.isfinite(getattr(candidates, field.name)).all():
            raise DataError(f"detector: {field.name} of a candidate is not a finite number")
    p2 = candidates.px**2 + candidates.py**2 + candidates.pz**2
    if not (candidates.energy * (1 + _CLOSURE) >= np.sqrt(p2)).all() or not (p2 > 0).all():
        raise DataError("detector: a candidate's energy is smaller than its momentum, or it has none")
    if int(np.count_nonzero(candidates.charge)) != tracks:
        raise DataError(f"detector: {np.count_nonzero(candidates.charge)} charged candidates for {tracks} tracks")
