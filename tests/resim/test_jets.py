"""Jets against a literal anti-kT, and the order and number of their candidates."""

from __future__ import annotations

import itertools

import awkward as ak
import numpy as np
import pytest

from rs3l.config.jets import Jets
from rs3l.errors import DataError
from rs3l.resim.jet_table import _leading
from rs3l.resim.jets import jets as module
from rs3l.resim.jets.jets import anchored_jets, jet_shapes
from rs3l.resim.jets.soft_drop import soft_drop
from rs3l.resim.shower import Particles

RADIUS = 0.8
CONFIG = Jets(pt_min=50.0, mass_min=0.0)


def anti_kt(momenta: list[np.ndarray]) -> list[tuple[np.ndarray, frozenset[int]]]:
    """Cluster as arXiv:0802.1189 says: d_ij = min(pT^-2) dR^2 / R^2, d_iB = pT^-2, E-scheme, in rapidity."""
    objects = [(p, frozenset([i])) for i, p in enumerate(momenta)]
    found = []
    while objects:
        pt2 = [p[0] ** 2 + p[1] ** 2 for p, _ in objects]
        rapidity = [0.5 * np.log((p[3] + p[2]) / (p[3] - p[2])) for p, _ in objects]
        phi = [np.arctan2(p[1], p[0]) for p, _ in objects]
        best, pair = min((1 / pt2[i], (i, -1)) for i in range(len(objects)))
        for i in range(len(objects)):
            for j in range(i):
                dphi = (phi[i] - phi[j] + np.pi) % (2 * np.pi) - np.pi
                dr2 = (rapidity[i] - rapidity[j]) ** 2 + dphi**2
                distance = min(1 / pt2[i], 1 / pt2[j]) * dr2 / RADIUS**2
                if distance < best:
                    best, pair = distance, (i, j)
        i, j = pair
        if j < 0:
            found.append(objects.pop(i))
        else:
            merged = (objects[i][0] + objects[j][0], objects[i][1] | objects[j][1])
            objects = [x for k, x in enumerate(objects) if k not in pair] + [merged]
    return found


def make_event(rng: np.random.Generator, n: int) -> np.ndarray:
    pt, eta, phi = rng.exponential(20, n) + 1, rng.normal(0, 1, n), rng.uniform(-np.pi, np.pi, n)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta) * 1.001], axis=1)


def make_particles(events: list[np.ndarray]) -> Particles:
    flat = np.concatenate(events)
    zero = np.zeros(len(flat))
    return Particles(
        position=np.arange(len(events)),
        offsets=np.concatenate([[0], np.cumsum([len(e) for e in events])]).astype(np.int64),
        pdg_id=np.full(len(flat), 211),
        charge=np.ones(len(flat)),
        px=flat[:, 0], py=flat[:, 1], pz=flat[:, 2], energy=flat[:, 3],
        vx=zero, vy=zero, vz=zero, weight=np.ones(len(events)),
    )  # fmt: skip


def test_anchored_jets_equal_the_literal_clustering() -> None:
    rng = np.random.default_rng(4)
    events = [make_event(rng, n) for n in (30, 1, 45, 25, 40)]
    particles = make_particles(events)
    eta, phi = rng.normal(0, 0.5, 5), rng.uniform(-np.pi, np.pi, 5)
    leading = [max(anti_kt(list(e)), key=lambda jet: jet[0][0] ** 2 + jet[0][1] ** 2) for e in events]
    for i in (0, 2, 3):  # aim at the hardest jet; the others stay where they are
        p = leading[i][0]
        eta[i], phi[i] = np.arcsinh(p[2] / np.hypot(p[0], p[1])), np.arctan2(p[1], p[0])
    found = anchored_jets(particles, eta, phi, CONFIG)
    for i in (0, 2, 3):
        (row,) = np.flatnonzero(found.event == i)
        expected, members = leading[i]
        momentum = [found.px[row], found.py[row], found.pz[row], found.energy[row]]
        assert momentum == pytest.approx(expected.tolist(), rel=1e-9)
        chosen = found.constituents[found.offsets[row] : found.offsets[row + 1]] - particles.offsets[i]
        assert set(chosen.tolist()) == members
        pt = np.hypot(events[i][chosen, 0], events[i][chosen, 1])
        assert (np.diff(pt) <= 0).all()


def test_no_jet_at_all() -> None:
    particles = make_particles([np.array([[1.0, 0.0, 0.0, 1.1]]), np.array([[0.0, 2.0, 0.0, 2.1]])])
    found = anchored_jets(particles, np.zeros(2), np.zeros(2), CONFIG)
    assert len(found.event) == 0
    assert {name: len(values) for name, values in jet_shapes(particles, found, CONFIG).items()} == {
        "msd": 0, "n2": 0, "tau21": 0, "tau32": 0,
    }  # fmt: skip


def prong(pt: float, phi: float, eta: float = 0.0) -> list[float]:
    return [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)]


def test_soft_drop_of_two_prongs_and_of_one() -> None:
    """Symmetric prongs pass (the groomed mass is the jet's); a soft one is dropped (mass of the hard one)."""
    symmetric = np.array([prong(200, 0.2), prong(150, -0.2)])
    soft = np.array([prong(300, 0.0), prong(10, 0.5)])
    particles = make_particles([symmetric, soft])
    found = anchored_jets(particles, np.zeros(2), np.zeros(2), CONFIG)
    shapes = jet_shapes(particles, found, CONFIG)
    assert shapes["msd"][0] == pytest.approx(found.mass[0], rel=1e-6)
    assert found.mass[1] > 20
    assert shapes["msd"][1] == pytest.approx(0.0, abs=1e-2)
    # two particles: no triple, tau2 = 0; one groomed particle: N2 is 0 / 0
    assert shapes["n2"][0] == 0
    assert np.isnan(shapes["n2"][1])
    assert shapes["tau21"].tolist() == [0, 0]
    assert np.isnan(shapes["tau32"]).all()


Momenta = list[np.ndarray]


def rapidity_phi(p: np.ndarray) -> tuple[float, float]:
    return 0.5 * np.log((p[3] + p[2]) / (p[3] - p[2])), np.arctan2(p[1], p[0])


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(np.hypot(a[0] - b[0], (a[1] - b[1] + np.pi) % (2 * np.pi) - np.pi))


def transverse(p: np.ndarray) -> float:
    return float(np.hypot(p[0], p[1]))


def cambridge(momenta: Momenta) -> tuple[np.ndarray, Momenta, tuple[object, object] | None]:
    """Cluster all with Cambridge/Aachen into a tree: four-momentum, leaves, and the two branches."""
    nodes: list[tuple[np.ndarray, Momenta, tuple[object, object] | None]] = [(p, [p], None) for p in momenta]
    while len(nodes) > 1:
        pairs = itertools.combinations(range(len(nodes)), 2)
        i, j = min(pairs, key=lambda k: distance(rapidity_phi(nodes[k[0]][0]), rapidity_phi(nodes[k[1]][0])))
        a, b = nodes[i], nodes[j]
        nodes = [n for k, n in enumerate(nodes) if k not in (i, j)] + [(a[0] + b[0], a[1] + b[1], (a, b))]
    return nodes[0]


def groomed_leaves(momenta: Momenta) -> tuple[float, Momenta]:
    """Soft drop, arXiv:1402.2657, beta = 0: decluster and drop the softer branch until z > zcut."""
    momentum, leaves, branches = cambridge(momenta)
    while branches is not None:
        a, b = sorted(branches, key=lambda node: transverse(node[0]))  # type: ignore[index]
        if transverse(a[0]) / (transverse(a[0]) + transverse(b[0])) > CONFIG.soft_drop_zcut:
            break
        momentum, leaves, branches = b
    return float(np.sqrt(max(momentum[3] ** 2 - (momentum[:3] ** 2).sum(), 0))), leaves


def literal_n2(momenta: Momenta) -> float:
    """arXiv:1609.07483, equations for 1e2 and 2e3 with beta = 1."""
    z = np.array([transverse(p) for p in momenta]) / sum(transverse(p) for p in momenta)
    place = [rapidity_phi(p) for p in momenta]
    pairs = itertools.combinations(range(len(momenta)), 2)
    e2 = sum(z[i] * z[j] * distance(place[i], place[j]) for i, j in pairs)
    e3 = 0.0
    for i, j, k in itertools.combinations(range(len(momenta)), 3):
        r = [distance(place[i], place[j]), distance(place[i], place[k]), distance(place[j], place[k])]
        e3 += z[i] * z[j] * z[k] * min(r[0] * r[1], r[0] * r[2], r[1] * r[2])
    return float(e3 / e2**2)


def literal_tau(momenta: Momenta, n: int) -> float:
    """arXiv:1011.2268 with exclusive kT axes; merging keeps the direction of the harder (arXiv:1401.2158)."""
    axes = [(transverse(p), rapidity_phi(p)) for p in momenta]
    while len(axes) > n:
        pairs = itertools.combinations(range(len(axes)), 2)
        i, j = min(pairs, key=lambda k: min(axes[k[0]][0], axes[k[1]][0]) * distance(axes[k[0]][1], axes[k[1]][1]))
        winner = max(axes[i], axes[j])
        merged = (axes[i][0] + axes[j][0], winner[1])
        axes = [axis for k, axis in enumerate(axes) if k not in (i, j)] + [merged]
    nearest = [min(distance(rapidity_phi(p), axis[1]) for axis in axes) for p in momenta]
    weight = [transverse(p) for p in momenta]
    return float(np.dot(weight, nearest) / (sum(weight) * RADIUS))


def test_substructure_equals_the_formulas() -> None:
    rng = np.random.default_rng(8)
    events = []
    for n in (3, 8, 25, 40):
        angle = rng.normal(0, 0.2, (n, 2))
        pt = rng.exponential(20, n) + 50
        events.append(np.array([prong(p, phi, eta) for p, (phi, eta) in zip(pt, angle, strict=True)]))
    particles = make_particles(events)
    found = anchored_jets(particles, np.zeros(4), np.zeros(4), CONFIG)
    assert found.event.tolist() == [0, 1, 2, 3]
    shapes = jet_shapes(particles, found, CONFIG)
    for row in range(4):
        chosen = found.constituents[found.offsets[row] : found.offsets[row + 1]] - particles.offsets[row]
        momenta = list(events[row][chosen])
        mass, leaves = groomed_leaves(momenta)
        tau = [literal_tau(momenta, n) for n in (1, 2, 3)]
        assert shapes["msd"][row] == pytest.approx(mass, rel=1e-6)
        assert shapes["n2"][row] == pytest.approx(literal_n2(leaves), rel=1e-6)
        assert shapes["tau21"][row] == pytest.approx(tau[1] / tau[0], rel=1e-6)
        assert shapes["tau32"][row] == pytest.approx(tau[2] / tau[1], rel=1e-6)
    assert any(len(groomed_leaves(list(event))[1]) < len(event) for event in events)


@pytest.mark.parametrize(("zcut", "beta"), [(0.1, 0.0), (0.2, 1.0), (0.4, 2.0)])
def test_soft_drop_equals_that_of_fastjet(zcut: float, beta: float) -> None:
    """All sizes from one particle on; trees of different depth in one batch."""
    rng = np.random.default_rng(9)
    events = []
    for n in (1, 2, 3, 90, 5, 20, 20, 40, 1, 60):
        angle, pt = rng.normal(0, 0.25, (n, 2)), rng.exponential(20, n) + 1
        events.append(np.array([prong(p, phi, eta) for p, (phi, eta) in zip(pt, angle, strict=True)]))
    offsets = np.concatenate([[0], np.cumsum([len(event) for event in events])]).astype(np.int64)
    sequence = module._whole_jets(offsets, *np.ascontiguousarray(np.concatenate(events).T))
    found = soft_drop(sequence, CONFIG.model_copy(update={"soft_drop_zcut": zcut, "soft_drop_beta": beta}))
    expected = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=beta, symmetry_cut=zcut, R0=RADIUS)
    assert np.diff(found.offsets).tolist() == ak.num(expected.constituents.px).tolist()
    assert found.mass == pytest.approx(np.maximum(expected.msoftdrop.to_numpy(), 0), rel=1e-6, abs=1e-4)
    for i in range(len(events)):
        mine = np.sort(found.momenta[0][found.offsets[i] : found.offsets[i + 1]])
        assert mine == pytest.approx(np.sort(expected.constituents.px[i].to_numpy()), rel=1e-12)
    assert 2 < sum(np.diff(found.offsets) < np.diff(offsets)) < len(events)


def test_substructure_can_be_switched_off() -> None:
    particles = make_particles([np.array([prong(200, 0.2), prong(150, -0.2), prong(50, 0.0)])])
    found = anchored_jets(particles, np.zeros(1), np.zeros(1), CONFIG)
    off = jet_shapes(particles, found, CONFIG.model_copy(update={"substructure": False}))
    assert off["msd"] == jet_shapes(particles, found, CONFIG)["msd"]
    assert np.isnan([off["n2"], off["tau21"], off["tau32"]]).all()


def test_constituents_that_do_not_add_up_are_refused() -> None:
    particles = make_particles([make_event(np.random.default_rng(5), 40) * 3])
    jet = max(anti_kt(list(make_event(np.random.default_rng(5), 40) * 3)), key=lambda jet: np.hypot(*jet[0][:2]))[
        0
    ]
    eta, phi = np.arcsinh(jet[2] / np.hypot(jet[0], jet[1])), np.arctan2(jet[1], jet[0])
    found = anchored_jets(particles, np.array([eta]), np.array([phi]), CONFIG)
    module._check_closure(particles, found)
    particles.energy[found.constituents[0]] += 1.0
    with pytest.raises(DataError, match="energy differs by 1"):
        module._check_closure(particles, found)


def test_leading_candidates_are_capped_jet_by_jet() -> None:
    found = module.AnchoredJets(
        np.arange(3), *[np.ones(3)] * 4, offsets=np.array([0, 4, 4, 6]), constituents=np.array([9, 8, 7, 6, 5, 4])
    )
    offsets, chosen = _leading(found, 3)
    assert offsets.tolist() == [0, 3, 3, 5]
    assert chosen.tolist() == [9, 8, 7, 5, 4]
