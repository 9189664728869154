"""The data set as others read it: pandas, polars, DuckDB and Hugging Face `datasets`, without help."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")

import duckdb
import numpy as np
import pandas as pd
import polars
import pytest
import yaml

from rs3l.dataset.card import card_text
from rs3l.dataset.schema import dataset_schema
from support import toy

Values = dict[str, Any]
SPLITS = {"train": "train", "validation": "val", "test": "test"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with manifest, provenance and card, as the merge and the import leave it."""
    folder = tmp_path_factory.mktemp("dataset")
    manifest = toy.write_dataset(folder)
    (folder / "provenance.json").write_text("{}", encoding="utf-8")
    values = {"campaign": "toy", "source": "a toy", "schema": {f.name: str(f.type) for f in dataset_schema()}}
    values |= json.loads(manifest.read_text(encoding="utf-8"))
    for process in values["processes"].values():
        process["hard_events"] = 108
    (folder / "card.md").write_text(card_text(values), encoding="utf-8")
    return folder


def expected(split: str) -> dict[tuple[int, str], Values]:
    """The rows of a split by key, as they were before they were written."""
    first = {"train": 0, "val": 60, "test": 84}[split]
    rows = [
        row
        for process in toy.MULTIPLICITY
        for part in np.array_split(np.arange(first, first + toy.EVENTS[split]), 2)
        for row in toy.rows_of(process, part.tolist())
    ]
    return {(row["event_id"], row["variant"]): row for row in rows}


def assert_rows(found: list[Values], split: str) -> None:
    """Every row is there once, every column equals what was written, to the precision of its type."""
    wanted = expected(split)
    assert len(found) == len(wanted) > 100
    assert {(row["event_id"], row["variant"]) for row in found} == set(wanted)
    for row in found:
        original = wanted[row["event_id"], row["variant"]]
        assert list(row) == dataset_schema().names
        for name, value in row.items():
            if isinstance(value, str):
                assert value == original[name]
            else:
                kind = np.float64 if name in ("event_id", "weight") else np.float32
                np.testing.assert_array_equal(
                    np.asarray(value, kind), np.asarray(original[name], kind), err_msg=name
                )


def test_pandas(folder: Path) -> None:
    table = pd.read_parquet(folder / "val")
    assert table.dtypes["event_id"] == np.int64 and table.dtypes["jet_pt"] == np.float32
    assert_rows([{str(name): value for name, value in row.items()} for row in table.to_dict("records")], "val")


def test_polars(folder: Path) -> None:
    table = polars.scan_parquet(folder / "val" / "*.parquet").collect()
    assert table.schema["cand_pt"] == polars.List(polars.Float32)
    assert_rows(table.to_dicts(), "val")
    jets = table.filter(polars.col("variant") == "seed").select(polars.col("cand_pt").list.sum())
    assert jets.height == sum(variant == "seed" for _, variant in expected("val"))


def test_duckdb(folder: Path) -> None:
    source = f"'{folder}/val/*.parquet'"
    answer = duckdb.sql(f"select * from {source}")
    assert dict(zip(answer.columns, map(str, answer.types), strict=True))["cand_pdg_id"] == "INTEGER[]"
    assert_rows([dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()], "val")
    (count,) = duckdb.sql(f"select count(*) from {source} where len(cand_pt) = jet_n_constituents").fetchall()
    assert count == (len(expected("val")),)


@pytest.mark.parametrize("on_the_hub", [False, True])
def test_hugging_face_datasets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_the_hub: bool
) -> None:
    """With the card in place of the README, as on the hub, and without: the same splits."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    datasets.disable_progress_bars()
    copy = shutil.copytree(folder, tmp_path / "dataset")
    if on_the_hub:
        (copy / "card.md").rename(copy / "README.md")
    found = datasets.load_dataset(str(copy), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {
        name: len(expected(split)) for name, split in SPLITS.items()
    }
    assert_rows(list(found["validation"]), "val")


def test_the_head_of_the_card(folder: Path) -> None:
    _, head, text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)
    (config,) = yaml.safe_load(head)["configs"]
    listed = {entry["split"]: sorted(folder.glob(entry["path"])) for entry in config["data_files"]}
    assert listed == {name: sorted((folder / split).glob("*.parquet")) for name, split in SPLITS.items()}
    assert all(listed.values()) and text.lstrip().startswith("# toy: re-simulated jets")
