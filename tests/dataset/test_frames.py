"""A data set as a pandas table: all of it, or some splits, processes, variants and columns."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rs3l.dataset.frames import read_frame
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError


def test_it_has_every_row_in_the_order_of_the_manifest(manifest: Path) -> None:
    frame, data = read_frame(manifest), read_manifest(manifest)
    assert list(frame.columns) == dataset_schema().names and len(frame) == data.jets()
    keys = [key for part in data.parts for key in pq.read_table(data.path(part))["event_id"].to_pylist()]
    assert frame["event_id"].tolist() == keys
    path = data.path(data.parts[0])
    assert np.array_equal(frame["cand_pt"][0], pq.read_table(path)["cand_pt"][0].as_py())


def test_parts_of_it(manifest: Path) -> None:
    whole = read_frame(manifest)
    part = read_frame(manifest, "test", ["signal"], ["seed", "vincia"], ["event_id", "jet_pt", "cand_pt"])
    assert list(part.columns) == ["event_id", "jet_pt", "cand_pt"]
    ids = read_frame(manifest, "test", columns=["event_id"])["event_id"]
    chosen = (
        whole["event_id"].isin(ids) & (whole["process"] == "signal") & whole["variant"].isin(["seed", "vincia"])
    )
    assert part["jet_pt"].tolist() == whole.loc[chosen, "jet_pt"].tolist() and len(part) > 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processes": ["higgs"]}, "no process higgs in the data set .it has signal, background"),
        ({"variants": ["seeds"]}, "no variant seeds in the data set"),
        ({"columns": ["jet_pT"]}, "no column jet_pT in the data set"),
        ({"split": "valid"}, "no jet of these processes under these variants in the split 'valid'"),
    ],
)
def test_what_is_not_there(manifest: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_frame(manifest, **changes)  # type: ignore[arg-type]


def test_a_changed_file_is_refused(manifest: Path, tmp_path: Path) -> None:
    shutil.copytree(manifest.parent, tmp_path / "copy")
    shutil.copy(
        tmp_path / "copy" / "test" / "signal-0000.parquet", tmp_path / "copy" / "test" / "signal-0001.parquet"
    )
    with pytest.raises(DataError, match=r"signal-0001\.parquet: its SHA-256 is not the manifest's"):
        read_frame(tmp_path / "copy" / "manifest.json")
