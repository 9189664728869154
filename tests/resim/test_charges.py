"""Charges from a table are those of Pythia's particle data, for usual and unusual codes, also the second time."""

from __future__ import annotations

import numpy as np

from rs3l.pythia import Charges, new_pythia


def test_charges_are_those_of_the_particle_data() -> None:
    data = new_pythia().particleData
    codes = np.array(
        [211, -211, 22, 2212, -2212, 130, 11, -13, 1000010020, -1000010020, 3334, 9900210, 211, 65535]
    )
    charges = Charges()
    expected = [data.charge(code) for code in codes.tolist()]
    assert {1.0, -1.0, 0.0} <= set(expected)
    for some in (codes[:3], codes, codes[::-1], codes[:0], codes):
        assert charges(some).tolist() == [data.charge(code) for code in some.tolist()]
    assert charges(codes).tolist() == expected
