"""Events for labels alone in own data sets, in HDF5 files, and in a data set that lies elsewhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks, parse_campaign
from rs3l.config.dataset import splits_of
from rs3l.dataset import write
from rs3l.dataset.adopt import adopt
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import ConfigError, DataError
from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5
from rs3l.hdf5.import_file import import_file
from rs3l.hdf5.import_hdf5 import import_hdf5
from rs3l.hdf5.source import ImportOptions
from rs3l.paths import EVERY_SPLIT, SPLITS
from support import toy

SLOTS = ("nominal", "seed", "fsr_hi", None, "vincia")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An own data set with four splits."""
    rows = [row for name in toy.MULTIPLICITY for row in toy.rows_of(name, range(80))]
    table = pa.Table.from_pylist(rows, dataset_schema())
    path = tmp_path_factory.mktemp("own") / "dataset"
    write(table, path, splits=(0.4, 0.2, 0.2, 0.2), held_out=["vincia"])
    return path


def keys(folder: Path, split: str) -> set[int]:
    return {
        key for file in (folder / split).glob("*.parquet") for key in pq.read_table(file)["event_id"].to_pylist()
    }


def test_own_jets_are_divided_among_four_splits(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.json")
    assert manifest.splits == EVERY_SPLIT
    found = [keys(folder, split) for split in EVERY_SPLIT]
    assert sum(map(len, found)) == len(set.union(*found))
    assert all(found) and manifest.events("label") == len(found[1])
    assert "label events" in (folder / "card.md").read_text(encoding="utf-8")


def test_fractions_are_three_or_four() -> None:
    assert splits_of((0.5, 0.2, 0.3), "x").names == SPLITS
    assert splits_of((0.4, 0.1, 0.2, 0.3), "x").names == EVERY_SPLIT
    for wrong in ((0.5, 0.5), (0.4, 0.1, 0.2, 0.4)):
        with pytest.raises(ConfigError, match="^x: "):
            splits_of(wrong, "x")


def test_out_and_back_they_stay_apart(folder: Path, tmp_path: Path) -> None:
    options = ExportOptions(slots=SLOTS, complete=False, candidates=40)
    export_hdf5(folder / "manifest.json", tmp_path / "hdf5", options)
    made = import_hdf5([tmp_path / "hdf5"], tmp_path / "back", ImportOptions())
    for split in EVERY_SPLIT:
        assert keys(folder, split) == keys(tmp_path / "back", split)
    assert set(made["digests"]) == set(EVERY_SPLIT)


def test_a_campaign_of_files_needs_their_split(folder: Path, tmp_path: Path) -> None:
    options = ExportOptions(slots=SLOTS, complete=False, candidates=40)
    names = export_hdf5(folder / "manifest.json", tmp_path / "hdf5", options)
    values = {
        "campaign": "mine",
        "source": {"hdf5": f"{tmp_path}/hdf5/rs3l_*.h5"},
        "tasks": {"t": {"signal": "signal", "background": "background"}},
    }
    apart = {**values, "dataset": {"splits": {"train": 0.4, "label": 0.2, "val": 0.2, "test": 0.2}}}
    without, having = (blocks.import_file(parse_campaign(own)) for own in (values, apart))
    labelled = tmp_path / "hdf5" / names[1]
    with pytest.raises(DataError, match=r"dataset.splits.label"):
        import_file(without, labelled, str(tmp_path / "a"), "0001")
    entry = import_file(having, labelled, str(tmp_path / "b"), "0001")
    assert {file["split"] for file in entry["files"]} == set(EVERY_SPLIT)
    assert sum(file["events"] for file in entry["files"] if file["split"] == "label") == len(keys(folder, "label"))


def test_a_data_set_that_lies_elsewhere_tells_its_splits(folder: Path, tmp_path: Path) -> None:
    values = {
        "campaign": "mine",
        "source": {"parquet": str(folder)},
        "tasks": {"t": {"signal": "signal", "background": "background"}},
    }
    config = parse_campaign(values)
    assert config.dataset.splits.names == EVERY_SPLIT
    assert config.dataset.splits.labelled == "label"
    adopt(blocks.import_dataset(config), str(tmp_path), folder / "manifest.json")
    assert keys(tmp_path / "dataset", "label") == keys(folder, "label")
