"""The anchor and the jet nearest to it, against a literal loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rs3l.errors import DataError
from rs3l.hard.anchor import find_anchor
from rs3l.lhe.lhe import HardEvent, Particle
from rs3l.resim.jets.matching import nearest


def particle(
    pdg_id: int, status: int, mother: int, px: float = 30.0, py: float = 40.0, pz: float = 0.0
) -> Particle:
    energy = math.sqrt(px**2 + py**2 + pz**2)
    second = 2 if mother == 1 else 0
    return Particle(pdg_id, status, mother, second, 0, 0, px, py, pz, energy, 0.0, 0.0, 0.0)


def event(*particles: Particle) -> HardEvent:
    incoming = (particle(2, -1, 0), particle(-2, -1, 0))
    return HardEvent(0, 1.0, 100.0, 0.008, 0.1, [*incoming, *particles])


HIGGS = event(
    particle(25, 2, 1), particle(23, 2, 1), particle(5, 1, 3), particle(-5, 1, 3), particle(12, 1, 4), particle(-12, 1, 4)
)  # fmt: skip
Z_JET = event(particle(23, 2, 1), particle(21, 1, 1, pz=120.0), particle(1, 1, 3), particle(-1, 1, 3))


def test_resonance_anchor() -> None:
    anchor = find_anchor(HIGGS, [25], "unique")
    assert (anchor.pdg_id, anchor.jet_type) == (25, "H")
    assert (anchor.pt, anchor.eta, anchor.energy) == (50.0, 0.0, 50.0)
    assert anchor.phi == pytest.approx(math.atan2(40, 30))


def test_outgoing_parton_is_not_a_decay_product() -> None:
    anchor = find_anchor(Z_JET, "outgoing_parton", "unique")
    assert (anchor.pdg_id, anchor.jet_type) == (21, "g")
    assert anchor.eta == pytest.approx(math.asinh(120 / 50))


def test_the_decay_of_a_z_gives_its_type() -> None:
    assert find_anchor(Z_JET, [23], "unique").jet_type == "Z_qq"
    assert find_anchor(HIGGS, [23], "unique").jet_type == "Z"


@pytest.mark.parametrize(("hard", "anchor"), [(HIGGS, "outgoing_parton"), (Z_JET, [25]), (HIGGS, [5])])
def test_an_anchor_that_is_not_unique_is_refused(hard: HardEvent, anchor: object) -> None:
    with pytest.raises(DataError, match="change `anchor`"):
        find_anchor(hard, anchor, "unique")  # type: ignore[arg-type]


def nearest_reference(
    jets: list[list[tuple[float, float]]], anchors: list[tuple[float, float]], radius: float
) -> list[int]:
    """Of the jets closer than ``radius``, the nearest; of equal ones, the first; positions count all jets."""
    result, before = [], 0
    for event_jets, (eta, phi) in zip(jets, anchors, strict=True):
        best, best_distance = -1, radius
        for i, (jet_eta, jet_phi) in enumerate(event_jets):
            dphi = (jet_phi - phi + math.pi) % (2 * math.pi) - math.pi
            distance = float(np.hypot(jet_eta - eta, dphi))
            if distance < best_distance:
                best, best_distance = before + i, distance
        result.append(best)
        before += len(event_jets)
    return result


def test_nearest_equals_the_literal_loop() -> None:
    rng = np.random.default_rng(1)
    jets = [
        [(float(e), float(p)) for e, p in zip(rng.normal(size=n), rng.uniform(-np.pi, np.pi, n), strict=True)]
        for n in rng.integers(0, 6, 200)
    ]
    anchors = [
        (float(e), float(p)) for e, p in zip(rng.normal(size=200), rng.uniform(-np.pi, np.pi, 200), strict=True)
    ]
    jets[0], anchors[0] = [(0.5, 0.0), (-0.5, 0.0), (0.5, 0.0)], (0.0, 0.0)  # a tie: the first
    jets[1], anchors[1] = [(0.0, math.pi - 0.1)], (0.0, -math.pi + 0.1)  # across the seam
    jets[2], anchors[2] = [(0.8, 0.0)], (0.0, 0.0)  # exactly at the radius: outside
    jets[-1] = []
    flat = np.array([jet for event_jets in jets for jet in event_jets])
    jet_event = np.repeat(np.arange(200), [len(event_jets) for event_jets in jets])
    eta, phi = np.array(anchors).T
    found = nearest(flat[:, 0], flat[:, 1], jet_event, eta, phi, 0.8)
    assert found.tolist() == nearest_reference(jets, anchors, 0.8)
    assert found[:3].tolist() == [0, 3, -1]


def test_nearest_without_any_jet() -> None:
    none = np.zeros(0)
    assert nearest(none, none, np.zeros(0, int), np.zeros(3), np.zeros(3), 0.8).tolist() == [-1, -1, -1]
