"""N2 in compiled loops is that of FastJet's contrib, to the bit of what is stored, and the same in any batch."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from rs3l.resim.compiled import compiled, without_extensions
from rs3l.resim.jets import jets as module
from rs3l.resim.jets.correlators import n2
from support.places import SCRIPTS

SIZES = (1, 2, 3, 80, 5, 1, 21, 40, 13, 60)


def batch(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Jets across the border of the azimuth, forward and backward, with masses."""
    rng = np.random.default_rng(seed)
    sizes = np.array(SIZES)
    centre = np.repeat(rng.normal(0, 1.5, len(sizes)), sizes)
    eta, phi = centre + rng.normal(0, 0.2, sizes.sum()), np.pi + rng.normal(0, 0.2, sizes.sum())
    pt, mass = rng.exponential(20, sizes.sum()) + 0.1, rng.choice([0.0, 0.14, 0.94], sizes.sum())
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.concatenate([[0], np.cumsum(sizes)]), [px, py, pz, np.sqrt(px**2 + py**2 + pz**2 + mass**2)]


def slow(offsets: np.ndarray, momenta: list[np.ndarray]) -> np.ndarray:
    """Return N2 as FastJet has it."""
    sequence = module._whole_jets(offsets, *momenta)
    found = sequence.exclusive_jets_energy_correlator(njets=1, beta=1, func="nseries", npoint=2)
    return ak.to_numpy(found).astype(float)  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_n2_is_that_of_fastjet(seed: int) -> None:
    """A single particle has none; two have no triple."""
    found, expected = n2(*unpacked(seed)), slow(*batch(seed))
    assert np.isnan(found).tolist() == np.isnan(expected).tolist() == [size == 1 for size in SIZES]
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert found[1] == 0
    assert (found[2:5] > 0).all()
    assert np.array_equal(found.astype(np.float32), expected.astype(np.float32), equal_nan=True)


def unpacked(seed: int) -> tuple[np.ndarray, ...]:
    offsets, momenta = batch(seed)
    return offsets, *momenta


def test_a_jet_has_the_same_n2_alone() -> None:
    offsets, momenta = batch(4)
    together = n2(offsets, *momenta)
    for jet, (start, stop) in enumerate(pairwise(offsets)):
        alone = n2(np.array([0, stop - start]), *(axis[start:stop] for axis in momenta))
        assert np.array_equal(alone, together[jet : jet + 1], equal_nan=True)


def test_no_jets() -> None:
    assert len(n2(np.zeros(1, np.int64), *[np.zeros(0)] * 4)) == 0


def test_particles_at_one_place_have_no_n2() -> None:
    assert np.isnan(n2(np.array([0, 2]), *np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]))).all()


CALL = """
import numba.core.entrypoints, numpy as np
from rs3l.resim.jets.correlators import n2
a = np.array([1.0, 2.0, 3.0])
print(n2(np.array([0, 3]), a, a[::-1].copy(), -a, 9 * a)[0])
assert not numba.core.entrypoints._already_initialized
"""


def test_machine_code_is_kept(tmp_path: Path) -> None:
    """The second process takes what the first has left; Numba is left as it was."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(SCRIPTS)}
    results, kept = [], []
    for _ in range(2):
        results.append(subprocess.check_output([sys.executable, "-c", CALL], env=env, text=True))
        kept.append({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")})
    assert float(results[0]) > 0
    assert results[0] == results[1]
    assert kept[0] == kept[1] != {}


def test_a_function_without_a_folder_for_it_is_compiled_all_the_same() -> None:
    names: dict[str, Any] = {}
    exec("def twice(x: float) -> float:\n    return 2 * x", names)
    with without_extensions():
        assert compiled(names["twice"])(1.5) == 3.0


def test_numba_is_left_as_it_was() -> None:
    from numba.core import entrypoints

    before = entrypoints._already_initialized
    with without_extensions():
        assert entrypoints._already_initialized
    assert entrypoints._already_initialized == before
