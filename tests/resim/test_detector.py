"""Impact parameters by geometry; smearing from a stream of its own per event."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rs3l.config.detector import Detector, Resolution
from rs3l.resim.detector.detector import impact_parameters, smear_displacement


def closest_approach(
    vertex: tuple[float, float, float], momentum: tuple[float, float, float]
) -> tuple[float, float]:
    """Walk along the straight track to the point nearest to the beam axis; return signed distance and z."""
    steps = np.linspace(-200, 200, 400_001)
    x, y, z = (v + steps * p / math.hypot(*momentum[:2]) for v, p in zip(vertex, momentum, strict=True))
    i = np.argmin(np.hypot(x, y))
    sign = np.sign(x[i] * momentum[1] - y[i] * momentum[0])
    return float(sign * np.hypot(x[i], y[i])), float(z[i])


def test_impact_parameters_are_those_of_the_point_of_closest_approach() -> None:
    rng = np.random.default_rng(2)
    vertices, momenta = rng.normal(size=(20, 3)) * 5, rng.normal(size=(20, 3)) * 3
    d0, dz = impact_parameters(*vertices.T, *momenta.T)
    for i in range(20):
        expected = closest_approach(tuple(vertices[i]), tuple(momenta[i]))
        assert (d0[i], dz[i]) == pytest.approx(expected, abs=2e-3)


def test_a_track_from_the_origin_has_none() -> None:
    zero, one = np.zeros(1), np.ones(1)
    assert impact_parameters(zero, zero, zero, one, one, one) == (0.0, 0.0)


DETECTOR = Detector(d0=Resolution(constant=0.02, slope=0.06), dz=Resolution(constant=0.03, slope=0.08))


def test_smearing_has_the_configured_width() -> None:
    n = 40_000
    pt, zero = np.full(n, 2.0), np.zeros(n)
    d0, dz = smear_displacement(zero, zero, pt, zero, np.ones(n), np.array([0, n]), [5], DETECTOR)
    error = 4 / math.sqrt(2 * n)
    assert d0.std() == pytest.approx(math.hypot(0.02, 0.03), rel=error)
    assert dz.std() == pytest.approx(math.hypot(0.03, 0.04), rel=error)


def test_the_width_grows_with_eta_and_falls_with_pt() -> None:
    """10 micrometres (+) 75 cosh(2) ^ 0.5 / 4 ^ 0.75, written out."""
    n = 40_000
    d0 = Resolution(constant=0.010, slope=0.075, eta_power=0.5, pt_power=0.75)
    detector = DETECTOR.model_copy(update={"d0": d0})
    zero = np.zeros(n)
    found, _ = smear_displacement(
        zero, zero, np.full(n, 4.0), np.full(n, -2.0), np.ones(n), np.array([0, n]), [5], detector
    )
    expected = math.hypot(0.010, 0.075 * math.sqrt((math.exp(2) + math.exp(-2)) / 2) / 2.8284271)
    assert found.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * n))


def test_smearing_can_be_switched_off() -> None:
    off = Resolution(constant=0.0, slope=0.0)
    d0, dz, pt = np.array([0.1, -0.2, 3.0]), np.array([1.0, 0.0, -4.0]), np.array([0.5, 1.0, 20.0])
    detector = DETECTOR.model_copy(update={"d0": off, "dz": off})
    found = smear_displacement(d0, dz, pt, pt, np.array([1.0, -1.0, 0.0]), np.array([0, 3]), [5], detector)
    assert [values.tolist() for values in found] == [[0.1, -0.2, 0.0], [1.0, 0.0, 0.0]]


def test_smearing_of_an_event_depends_on_its_seed_alone() -> None:
    rng = np.random.default_rng(3)
    d0, dz, pt = rng.normal(size=(2, 30)).tolist() + [rng.uniform(0.5, 5, 30).tolist()]
    charge, eta = np.where(np.arange(30) % 3, 1.0, 0.0), rng.normal(size=30)
    together = smear_displacement(
        np.array(d0), np.array(dz), np.array(pt), eta, charge, np.array([0, 10, 10, 30]), [11, 12, 13], DETECTOR
    )
    alone = smear_displacement(
        np.array(d0[10:]),
        np.array(dz[10:]),
        np.array(pt[10:]),
        eta[10:],
        charge[10:],
        np.array([0, 20]),
        [13],
        DETECTOR,
    )
    for both, one in zip(together, alone, strict=True):
        assert np.array_equal(both[10:], one)
        assert (both[charge == 0] == 0).all()
        assert (both[charge != 0] != 0).all()
