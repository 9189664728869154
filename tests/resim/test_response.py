"""The CMS-like response: equal to the plain loops, independent of the batch, with the published numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from rs3l.config.detector import Calorimeter, Detector, Resolution
from rs3l.errors import DataError
from rs3l.resim.detector import cms, response
from rs3l.resim.detector.response import respond
from rs3l.resim.detector.response_reference import Particle, respond_to_event
from rs3l.resim.shower import Particles

CMS = Detector(response="cms")
SPECIES = {
    22: (0, 0.0), 11: (-1, 0.000511), -11: (1, 0.000511), 13: (-1, 0.10566), 211: (1, 0.13957), -211: (-1, 0.13957),
    321: (1, 0.4937), 2212: (1, 0.9383), -2212: (-1, 0.9383), 2112: (0, 0.9396), 130: (0, 0.4976), 310: (0, 0.4976),
    3122: (0, 1.1157),
}  # fmt: skip
"""Charge and mass [GeV]."""

Row = tuple[int, float, float, float]
"""PDG code, pT, eta, phi."""


def event_of(rows: Sequence[Row], radius: float = 0.0) -> np.ndarray:
    """Return the particles [n, 9]: code, charge, px, py, pz, E, vx, vy, vz."""
    values = []
    for code, pt, eta, phi in rows:
        charge, mass = SPECIES[code]
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
        energy = math.sqrt(px**2 + py**2 + pz**2 + mass**2)
        values.append([code, charge, px, py, pz, energy, radius, 0.0, 0.0])
    return np.array(values, dtype=float).reshape(-1, 9)


def batch_of(events: Sequence[np.ndarray]) -> Particles:
    flat = np.concatenate(events)
    return Particles(
        np.arange(len(events)),
        np.concatenate([[0], np.cumsum([len(e) for e in events])]).astype(np.int64),
        flat[:, 0].astype(np.int64),
        *np.ascontiguousarray(flat[:, 1:].T),
        np.ones(len(events)),
    )


def random_events(seed: int, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return events whose particles crowd around one direction, so that cells are shared."""
    rng = np.random.default_rng(seed)
    events = []
    for n in sizes:
        codes = rng.choice(list(SPECIES), n)
        centre = rng.uniform(-2.5, 2.5), rng.uniform(-math.pi, math.pi)
        eta, phi = rng.normal(centre[0], 0.8, n), rng.normal(centre[1], 0.15, n)
        pt = rng.lognormal(1.0, 1.6, n)
        events.append(event_of([(int(c), *x) for c, *x in zip(codes, pt, eta, phi, strict=True)]))
        events[-1][:, 6:8] = rng.exponential(20.0, (n, 2))
    return events


def single(code: int, pt: float, eta: float, n: int, radius: float = 0.0) -> Particles:
    """Return n events of one particle each."""
    rng = np.random.default_rng(n)
    return batch_of([event_of([(code, pt, eta, phi)], radius) for phi in rng.uniform(-3, 3, n).tolist()])


@pytest.mark.parametrize("response_of", [CMS, CMS.model_copy(update={"hcal": Calorimeter(energy_min=0.2)})])
def test_it_equals_the_plain_loops(response_of: Detector) -> None:
    events = [*random_events(1, (60, 0, 1, 150, 80)), event_of([(211, 0.3, 0.0, 1.0), (22, 9.0, 0.0, math.pi)])]
    particles, seeds = batch_of(events), list(range(3, 3 + len(events)))
    found = respond(particles, seeds, response_of)
    noise = response.draw(particles.offsets, seeds)
    kinds = set()
    for e in range(len(events)):
        members = range(*particles.offsets[e : e + 2].tolist())
        expected = respond_to_event([reference_particle(particles, noise, i) for i in members], response_of)
        mine = slice(*found.offsets[e : e + 2].tolist())
        columns = [found.pdg_id, found.charge, found.px, found.py, found.pz, found.energy]
        np.testing.assert_allclose(
            np.stack([column[mine] for column in columns], axis=1), np.array(expected).reshape(-1, 6), rtol=1e-9
        )
        kinds |= {candidate.pdg_id for candidate in expected}
    assert kinds == {22, 130, 211, -211, 11, -11, 13}


def reference_particle(particles: Particles, noise: response.Noise, i: int) -> Particle:
    radius = math.hypot(particles.vx[i], particles.vy[i])
    momentum = [float(getattr(particles, axis)[i]) for axis in ("px", "py", "pz", "energy")]
    numbers = {field.name: float(getattr(noise, field.name)[i]) for field in fields(noise)}
    return Particle(int(particles.pdg_id[i]), int(particles.charge[i]), *momentum, radius, numbers)


def test_an_event_alone_is_the_same_to_the_bit() -> None:
    events, seeds = random_events(2, (40, 1, 130, 0, 75)), [8, 1, 5, 9, 2]
    together = respond(batch_of(events), seeds, CMS)
    for e, (event, seed) in enumerate(zip(events, seeds, strict=True)):
        alone = respond(batch_of([event]), [seed], CMS)
        mine = slice(*together.offsets[e : e + 2].tolist())
        for name in ("pdg_id", "charge", "px", "py", "pz", "energy", "vx", "vy", "vz"):
            assert np.array_equal(getattr(alone, name), getattr(together, name)[mine]), (e, name)


def test_no_event_and_no_particle() -> None:
    nothing = batch_of([np.zeros((0, 9))] * 2)
    assert respond(nothing, [1, 2], CMS).offsets.tolist() == [0, 0, 0]
    none = replace(nothing, position=nothing.position[:0], offsets=nothing.offsets[:1])
    assert respond(none, [], CMS).offsets.tolist() == [0]


@pytest.mark.parametrize(
    ("code", "pt", "eta", "radius", "expected"),
    [
        (211, 5.0, 0.3, 0.0, 0.95),
        (211, 5.0, -2.0, 0.0, 0.85),
        (211, 0.5, 0.3, 0.0, 0.70),
        (211, 5.0, 0.3, 150.0, 0.95 * 0.75),
        (-11, 0.5, 2.0, 0.0, 0.50),
        (13, 50.0, 1.0, 0.0, 0.99),
        (211, 5.0, 2.6, 0.0, 0.0),
        (2212, 0.05, 0.3, 0.0, 0.0),
    ],
)
def test_tracks_are_found_as_often_as_in_the_card(
    code: int, pt: float, eta: float, radius: float, expected: float
) -> None:
    n = 4000
    found = respond(single(code, pt, eta, n, radius), range(1, n + 1), CMS)
    efficiency = np.count_nonzero(found.charge) / n
    assert efficiency == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / n))


@pytest.mark.parametrize(
    ("code", "pt", "eta", "expected"),
    [
        (22, 100.0, 0.0, math.sqrt(0.8**2 + 0.11**2 * 100 + 0.4**2)),  # barrel
        (13, 100.0, 0.3, 100 * math.hypot(0.01, 100 * 1.0e-4)),
        (130, 200.0, 0.5, math.sqrt((0.05 * 225.5252) ** 2 + 1.5**2 * 225.5252)),
    ],
)
def test_resolutions_are_those_of_the_card(code: int, pt: float, eta: float, expected: float) -> None:
    """Mean: the true energy. Width: the formula, to 4 standard errors and 2 % for the shape of a cell."""
    n = 6000
    found = respond(single(code, pt, eta, n), range(1, n + 1), CMS)
    value, true = (found.energy, pt * math.cosh(eta)) if code != 13 else (np.hypot(found.px, found.py), pt)
    assert value.mean() == pytest.approx(true, abs=4 * expected / math.sqrt(len(value)))
    assert value.std() == pytest.approx(expected, rel=0.02 + 4 / math.sqrt(2 * n))


def test_an_electron_gets_the_best_of_track_and_ecal() -> None:
    """The track alone is good to 13 %; with the ECAL, or the photon of a track that is too low, to 1.4 %."""
    n = 2000
    found = respond(single(11, 100.0, 0.0, n), range(1, n + 1), CMS)
    total = np.add.reduceat(found.energy, found.offsets[:-1])
    assert total.std() == pytest.approx(1.42, rel=0.1)
    electrons = found.energy[found.pdg_id == 11]
    assert np.percentile(np.abs(electrons - 100), 68) < 2
    assert set(found.pdg_id.tolist()) == {11, 22}


def test_neutrals_in_one_cell_merge_and_in_two_do_not() -> None:
    cell = cms.ECAL_CELLS.eta[170:172].mean()
    width = 2 * math.pi / 360
    close = event_of([(22, 20.0, cell - 0.004, 0.4 * width), (22, 30.0, cell + 0.004, 0.6 * width)])
    apart = event_of([(22, 20.0, cell, 0.5 * width), (22, 30.0, cell, 1.5 * width)])
    found = respond(batch_of([close, apart]), [1, 2], CMS)
    assert np.diff(found.offsets).tolist() == [1, 2]
    assert found.energy[0] == pytest.approx(50, abs=6)
    phi = np.arctan2(found.py, found.px)
    assert 0 < phi[0] < width
    assert sorted(np.floor(phi[1:] / width).tolist()) == [0, 1]


def test_a_neutral_hadron_under_a_track_is_what_is_left_of_the_cell() -> None:
    """A stiff pion and a neutron in one cell: the candidates' energy is theirs, in the mean."""
    n = 3000
    eta, phi = 0.0435, 2 * math.pi / 144
    event = event_of([(211, 20.0, eta, phi), (2112, 100.0, eta, phi)])
    found = respond(batch_of([event] * n), range(1, n + 1), CMS)
    tracked = np.array([(found.charge[a:b] != 0).any() for a, b in pairwise(found.offsets)])
    total = np.add.reduceat(found.energy, found.offsets[:-1])
    neutral = found.charge == 0
    assert 0.93 < tracked.mean() < 0.97
    assert np.bincount(np.repeat(np.arange(n), np.diff(found.offsets))[neutral], minlength=n).max() == 1
    assert total.mean() == pytest.approx(120, rel=0.01)


def test_soft_charged_particles_curl_up_and_muons_leave_nothing() -> None:
    bent = batch_of([event_of([(211, 0.5, 0.0, 0.0), (-211, 3.0, 0.0, 0.0), (13, 40.0, 0.0, 0.0)])])
    _, phi, arrives = response.entry_point(bent)
    assert arrives.tolist() == [False, True, True]
    assert phi[1] == pytest.approx(math.asin(1.29 * 0.299792458 * 3.8 / 2 / 3.0))
    untracked = Detector(response="cms", tracker_radius=1e-6)
    muons = replace(single(13, 40.0, 0.0, 5), vx=np.full(5, 1.0))
    assert len(respond(muons, range(1, 6), untracked).energy) == 0


@pytest.mark.filterwarnings("error")
def test_a_particle_along_the_beam_is_lost() -> None:
    beam = event_of([(2212, 0.0, 0.0, 0.0), (2112, 0.0, 0.0, 0.0), (22, 5.0, 0.0, 0.0)])
    beam[:2, 4:6] = 3000.0
    found = respond(batch_of([beam]), [1], CMS)
    assert found.pdg_id.tolist() == [22]


def test_wrong_sums_and_unphysical_candidates_are_refused() -> None:
    event = np.array([0, 0, 1])
    deposits = np.array([1.0, 2.0, 4.0])
    response._check_sum(np.array([3.0, 4.0]), np.array([0, 1]), deposits, event)
    with pytest.raises(DataError, match=r"differ from its particles by 0\.5 GeV"):
        response._check_sum(np.array([3.0, 4.5]), np.array([0, 1]), deposits, event)
    good = batch_of([event_of([(211, 5.0, 0.0, 0.0), (22, 5.0, 0.0, 0.0)])])
    response._check_candidates(good, 1)
    with pytest.raises(DataError, match="1 charged candidates for 2 tracks"):
        response._check_candidates(good, 2)
    with pytest.raises(DataError, match="smaller than its momentum"):
        response._check_candidates(replace(good, energy=good.energy * 0.9), 1)
    with pytest.raises(DataError, match="px of a candidate is not a finite number"):
        response._check_candidates(replace(good, px=np.array([np.nan, 1.0])), 1)


def test_the_response_chooses_the_impact_parameters_unless_they_are_given() -> None:
    assert (Detector().d0, Detector().dz) == (
        Resolution(constant=0.020, slope=0.060),
        Resolution(constant=0.030, slope=0.080),
    )
    assert CMS.d0 == Resolution(constant=0.011, slope=0.075, eta_power=0.5, pt_power=0.75)
    mine = Resolution(constant=0.5, slope=0.0)
    given = Detector(response="cms", d0=mine)
    assert (given.d0, given.dz) == (mine, CMS.dz)
    assert Detector.model_validate_json(given.model_dump_json()) == given


def test_cells_cover_the_acceptance_symmetrically() -> None:
    for cells in (cms.ECAL_CELLS, cms.HCAL_CELLS):
        assert len(cells.eta) == len(cells.n_phi) + 1
        assert (np.diff(cells.eta) > 0).all()
        assert np.array_equal(cells.eta, -cells.eta[::-1])
        assert cells.eta[-1] == 5.0
        assert cells.count == cells.first[-1] + cells.n_phi[-1]
    assert np.diff(cms.ECAL_CELLS.eta)[100] == pytest.approx(0.0174)
    assert np.diff(cms.HCAL_CELLS.eta)[30] == pytest.approx(0.087)
