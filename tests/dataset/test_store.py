"""The data set in memory, against a literal loop over the table; damaged data sets are refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from rs3l.dataset.store import JetStore, candidate_class, join_stores, load_views, wrapped
from rs3l.errors import DataError
from support import toy

PROCESSES = ("signal", "background")
VIEWS = ("nominal", "fsr_hi")


@pytest.fixture(scope="module")
def jets(manifest: Path) -> JetStore:
    return load_views(manifest, "train", PROCESSES, VIEWS, 10)


def table_rows(manifest: Path, split: str = "train") -> list[dict[str, Any]]:
    return [
        row
        for process in PROCESSES
        for part in (0, 1)
        for row in pq.read_table(manifest.parent / split / f"{process}-{part:04d}.parquet").to_pylist()
        if row["variant"] in VIEWS
    ]


def reference_candidate(row: dict[str, Any], i: int) -> list[float]:
    """The raw columns of one candidate, in words."""
    pdg_id, charge = abs(row["cand_pdg_id"][i]), row["cand_charge"][i]
    dphi = row["cand_phi"][i] - row["jet_phi"]
    while dphi >= math.pi:
        dphi -= 2 * math.pi
    while dphi < -math.pi:
        dphi += 2 * math.pi
    kind = {22: 0, 13: 1, 11: 2}.get(pdg_id, 3 if charge else 4)
    deta = row["cand_eta"][i] - row["jet_eta"]
    d0, dz = row["cand_d0"][i], row["cand_dz"][i]
    return [row["cand_pt"][i], deta, dphi, row["cand_energy"][i], charge, kind, d0, dz]


def test_every_jet_and_candidate_is_there_in_order(manifest: Path, jets: JetStore) -> None:
    rows = table_rows(manifest)
    assert len(jets) == len(rows) > 100
    for j, row in enumerate(rows):
        assert jets.event_id[j] == row["event_id"]
        assert PROCESSES[jets.process[j]] == row["process"]
        assert VIEWS[jets.variant[j]] == row["variant"]
        numbers = (jets.jet_pt[j], jets.jet_energy[j], jets.jet_mass[j], jets.weight[j])
        assert numbers == (row["jet_pt"], row["jet_energy"], row["jet_mass"], row["weight"])
        expected = [reference_candidate(row, i) for i in range(len(row["cand_pt"]))]
        np.testing.assert_allclose(
            jets.candidates[jets.start[j] : jets.start[j] + jets.count[j]], expected, rtol=1e-6, atol=1e-6
        )


def test_some_jets_share_or_copy_their_candidates(jets: JetStore) -> None:
    rows = np.array([5, 0, 77, 3])
    shared, copied = jets.select(rows), jets.take(rows)
    assert shared.candidates is jets.candidates
    assert len(copied.candidates) == jets.lengths[rows].sum() < jets.count[rows].sum()
    joined = join_stores([jets.select(rows[:3]), copied.select(np.array([3]))])
    for own in (shared, copied, shared.take(np.arange(4)), joined):
        np.testing.assert_array_equal(own.event_id, jets.event_id[rows])
        for ours, expected in zip(own.batch(np.arange(4)), jets.batch(rows), strict=True):
            assert torch.equal(ours, expected)


def test_angles_are_wrapped_as_by_the_remainder() -> None:
    angle = np.concatenate([np.linspace(-7, 7, 1001), [-np.pi, np.pi, np.nextafter(np.pi, 0), 3 * np.pi, 0.0]])
    np.testing.assert_array_equal(wrapped(angle), np.remainder(angle + np.pi, 2 * np.pi) - np.pi)


def test_a_batch_is_padded_and_capped(jets: JetStore) -> None:
    rows = np.array([5, 0, 77, 5])
    batch = jets.batch(rows)
    for b, j in enumerate(rows):
        own = jets.candidates[jets.start[j] :][: jets.count[j]][:10]
        assert batch.mask[b].sum() == len(own) == jets.lengths[j]
        np.testing.assert_array_equal(batch.candidates[b, : len(own)], own)
        assert not batch.candidates[b, len(own) :].any()
        assert not batch.mask[b, len(own) :].any()
    np.testing.assert_array_equal(batch.jet_pt, jets.jet_pt[rows])
    assert batch.candidates.shape[1] <= 10


def test_empty_and_single_candidate_jets_gather() -> None:
    store = toy.store([3, 0, 1, 0])
    assert store.batch(np.array([1])).mask.tolist() == [[False]]
    assert store.batch(np.array([3, 2])).mask.tolist() == [[False], [True]]
    assert store.batch(np.array([0, 1])).mask.tolist() == [[True] * 3, [False] * 3]


def test_the_views_of_an_event(jets: JetStore) -> None:
    events = jets.events()
    expected: dict[int, list[int]] = {}
    for j, event in enumerate(jets.event_id):
        expected.setdefault(int(event), []).append(j)
    assert {
        int(e): list(range(s, s + c)) for e, s, c in zip(events.event_id, events.start, events.count, strict=True)
    } == expected
    assert set(events.count) == {1, 2}
    assert events.at_least(2).event_id.tolist() == [e for e, rows in expected.items() if len(rows) == 2]


def test_rows_by_process_and_variant(jets: JetStore) -> None:
    rows = jets.rows("background", "fsr_hi")
    assert len(rows) and (jets.process[rows] == 1).all() and (jets.variant[rows] == 1).all()
    assert len(rows) == ((jets.process == 1) & (jets.variant == 1)).sum()
    assert jets.rows().tolist() == list(range(len(jets)))


def test_the_cut_into_files_does_not_matter(jets: JetStore, tmp_path: Path) -> None:
    other = load_views(toy.write_dataset(tmp_path, parts=1), "train", PROCESSES, VIEWS, 10)
    np.testing.assert_array_equal(other.candidates, jets.candidates)
    np.testing.assert_array_equal(other.event_id, jets.event_id)


def test_classes() -> None:
    pdg_id = np.array([22, -13, 11, 211, -2212, 130, 2112])
    charge = np.array([0, 1, -1, 1, -1, 0, 0])
    assert candidate_class(pdg_id, charge).tolist() == [0, 1, 2, 3, 3, 4, 4]


def test_events_that_are_not_adjacent_are_refused() -> None:
    store = toy.store([1, 1, 1])
    store.event_id[:] = [7, 8, 7]
    with pytest.raises(DataError, match="not adjacent"):
        store.events()


def test_wrong_names_are_refused(manifest: Path) -> None:
    with pytest.raises(DataError, match=r"no process top .*it has signal, background"):
        load_views(manifest, "train", ["top"], VIEWS, 10)
    with pytest.raises(DataError, match="no variant herwig"):
        load_views(manifest, "train", PROCESSES, ["herwig"], 10)
    with pytest.raises(DataError, match=r"no jet of signal .* split 'tset'"):
        load_views(manifest, "tset", ["signal"], VIEWS, 10)


def test_damaged_manifests_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(DataError, match=r"manifest\.json: no such manifest"):
        load_views(path, "train", PROCESSES, VIEWS, 10)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        load_views(path, "train", PROCESSES, VIEWS, 10)
    path.write_text('{"format": 2}', encoding="utf-8")
    with pytest.raises(DataError, match="format 2, expected 1"):
        load_views(path, "train", PROCESSES, VIEWS, 10)


def test_missing_and_changed_files_are_refused(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path)
    path = tmp_path / "val" / "signal-0001.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"signal-0001\.parquet: its SHA-256 is not the manifest's"):
        load_views(manifest, "val", PROCESSES, VIEWS, 10)
    path.unlink()
    with pytest.raises(DataError, match=r"signal-0001\.parquet: named in the manifest, and missing"):
        load_views(manifest, "val", PROCESSES, VIEWS, 10)


@pytest.mark.parametrize(
    ("column", "value"),
    [("cand_d0", math.nan), ("cand_pt", math.inf), ("cand_pt", 0.0), ("jet_phi", math.nan), ("jet_energy", -1.0)],
)
def test_unusable_numbers_are_refused_by_column_and_file(tmp_path: Path, column: str, value: float) -> None:
    rows = toy.rows_of("signal", range(3))
    rows[1][column] = [value, *rows[1][column][1:]] if column.startswith("cand") else value
    path = tmp_path / "train" / "signal-0000.parquet"
    toy.write_part(path, rows)
    manifest = toy.write_manifest(tmp_path, [toy.entry(tmp_path, path, "train", "signal", rows)])
    with pytest.raises(DataError, match=rf"signal-0000\.parquet: {column} has 1 values"):
        load_views(manifest, "train", ["signal"], list(toy.VARIANTS), 10)


def test_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    rows = toy.rows_of("signal", range(3))
    rows[2]["cand_dz"] = rows[2]["cand_dz"][:-1]
    path = tmp_path / "train" / "signal-0000.parquet"
    toy.write_part(path, rows)
    manifest = toy.write_manifest(tmp_path, [toy.entry(tmp_path, path, "train", "signal", rows)])
    assert json.loads(manifest.read_text(encoding="utf-8"))["files"]
    with pytest.raises(DataError, match="cand_dz and cand_pt differ in length"):
        load_views(manifest, "train", ["signal"], list(toy.VARIANTS), 10)
