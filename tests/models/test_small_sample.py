"""The candidates of a sample: fewer, with fewer bits, and never another order or sign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rs3l.dataset.schema import CANDIDATE_COLUMNS, dataset_schema
from rs3l.models.small_sample import BITS, DISPLACEMENT_BITS, STEPS, rounded, thinned


def slowly(value: float, bits: int) -> float:
    """Return the nearest number with a mantissa of so many bits, in words: halve or double until it is an integer."""
    if value == 0:
        return 0.0
    scale = 1.0
    while abs(value) * scale < 2 ** (bits - 1):
        scale *= 2
    while abs(value) * scale >= 2**bits:
        scale /= 2
    return round(value * scale) / scale


@pytest.mark.parametrize(
    ("name", "bits"), [("cand_pt", BITS), ("cand_energy", BITS), ("cand_dz", DISPLACEMENT_BITS)]
)
def test_bits_are_those_that_the_card_names(name: str, bits: int) -> None:
    values = np.concatenate([np.random.default_rng(1).normal(0, 30, 500), [0.0, 1.0, -512.0, 3e-7, 0.75]])
    values = values.astype(np.float32)
    assert rounded(name, values).tolist() == [slowly(float(value), bits) for value in values]
    assert (np.abs(rounded(name, values) - values) <= np.abs(values) * 2.0**-bits).all()


def test_angles_are_in_steps() -> None:
    angles = np.random.default_rng(1).uniform(-np.pi, np.pi, 500).astype(np.float32)
    found = rounded("cand_phi", angles)
    assert np.abs(found - angles).max() <= 0.5 / STEPS + 1e-6 and (found * STEPS == np.round(found * STEPS)).all()


def test_charges_and_codes_stay(manifest: Path) -> None:
    table = pq.read_table(manifest.parent / "test" / "signal-0000.parquet", schema=dataset_schema())
    few = thinned(table, 5)
    assert few.schema == table.schema and few.num_rows == table.num_rows
    for name in table.column_names:
        if name not in CANDIDATE_COLUMNS:
            assert few[name].combine_chunks().equals(table[name].combine_chunks()) or name in (
                "jet_n2",
                "jet_tau32",
            )
    for name in ("cand_charge", "cand_pdg_id"):
        assert few[name].to_pylist() == [row[:5] for row in table[name].to_pylist()]
    assert max(map(len, few["cand_pt"].to_pylist())) == 5


def test_a_part_of_a_table_is_thinned_as_the_whole(manifest: Path) -> None:
    table = pq.read_table(manifest.parent / "test" / "signal-0000.parquet", schema=dataset_schema())
    assert thinned(table.slice(3, 4), 5)["cand_pt"].to_pylist() == thinned(table, 5)["cand_pt"].to_pylist()[3:7]
