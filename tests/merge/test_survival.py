"""Counts and mean pT before and after a jet is demanded, against a loop over events."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from rs3l.merge.survival import added, moments, survival


def test_means_are_those_of_a_loop_for_any_parts() -> None:
    rng = np.random.default_rng(3)
    parton, jet = rng.uniform(200, 600, 50), rng.uniform(300, 500, 50)
    ok = rng.random((3, 50)) < 0.7
    table = pa.table({"parton_pt": parton, "jet_pt": pa.array(jet, mask=~ok[0])})
    parts = [moments({"nominal": table.slice(a, b - a)}, ok[:, a:b]) for a, b in ((0, 20), (20, 50))]
    found = survival(added(parts))
    both = [i for i in range(50) if ok[0][i] and ok[1][i] and ok[2][i]]
    assert found["hard"] == {"events": 50, "parton_pt": found["hard"]["parton_pt"]}
    assert found["hard"]["parton_pt"][0] == pytest.approx(np.mean(parton), rel=1e-5)
    assert found["nominal"]["events"] == ok[0].sum() and found["all_variants"]["events"] == len(both) > 5
    mean, error = found["all_variants"]["nominal_jet_pt"]
    assert mean == pytest.approx(np.mean(jet[both]), rel=1e-5)
    assert error == pytest.approx(np.std(jet[both]) / len(both) ** 0.5, rel=1e-2)


def test_without_a_jet_there_is_no_mean() -> None:
    table = pa.table({"parton_pt": [300.0], "jet_pt": pa.array([None], pa.float64())})
    found = survival(moments({"nominal": table}, np.zeros((2, 1), bool)))
    assert found["nominal"] == {"events": 0, "parton_pt": None, "nominal_jet_pt": None}
