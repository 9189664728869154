"""Manifests that are not as expected: named, with the entry, before anything is read by them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rs3l.dataset.manifest import read_counts, read_manifest
from rs3l.errors import DataError
from support import toy_campaign

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = toy_campaign.write_dataset(toy_campaign.campaign(), tmp_path_factory.mktemp("manifest"), events=2)
    contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contents


def changed(folder: Path, whole: dict[str, Any], change: Change) -> Path:
    """Write a manifest with one change."""
    contents = copy.deepcopy(whole)
    change(contents)
    (folder / "manifest.json").write_text(json.dumps(contents), encoding="utf-8")
    return folder / "manifest.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("files"), "files: Field required"),
        (lambda m: m.update(files={}), "files: Input should be a valid list"),
        (lambda m: m["files"].append("x"), r"files\.\d: Input should be a valid dictionary"),
        (lambda m: m["files"][0].pop("sha256"), r"files\.0\.sha256: Field required"),
        (lambda m: m["files"][0].update(rows="12"), r"files\.0\.rows: Input should be a valid integer"),
        (lambda m: m["files"][0].update(rows=-1), r"files\.0\.rows: Input should be greater"),
        (lambda m: m["files"][0].update(split="all"), r"files\.0\.split: Input should be 'train'"),
        (lambda m: m["files"][0].update(path="../x.parquet"), r"files\.0\.path: .*in the folder of the manifest"),
        (lambda m: m["files"][0].update(path="/x.parquet"), r"files\.0\.path: .*in the folder of the manifest"),
        (
            lambda m: m["files"][0].update(process="ttbar"),
            r"qcd-0000\.parquet|0000\.parquet is of no process ttbar",
        ),
        (lambda m: m.pop("variants"), "variants: Field required"),
        (lambda m: m.update(variants=["nominal"]), "variants: Input should be a valid dictionary"),
        (lambda m: m.pop("processes"), "processes: Field required"),
        (lambda m: m["processes"]["qcd"].pop("label"), r"processes\.qcd\.label: Field required"),
        (lambda m: m["processes"]["qcd"].update(hard_events=None), r"processes\.qcd\.hard_events: Input should"),
        (lambda m: m["processes"].update(qcd=[]), r"processes\.qcd: Input should be a valid dictionary"),
        (lambda m: m.update(format=2), "format 2, expected 1"),
        (lambda m: m.update(sha256="0"), "its contents were changed"),
    ],
)
def test_a_malformed_manifest_is_named(
    tmp_path: Path, whole: dict[str, Any], change: Change, message: str
) -> None:
    path = changed(tmp_path, whole, change)
    with pytest.raises(DataError, match=rf"manifest\.json: .*({message})"):
        read_manifest(path)


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{", "[" * 100_000])
def test_what_is_no_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"manifest\.json: .*merge the data set again"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["processes"]["qcd"].pop("matching_efficiency_all_variants"),
        lambda m: m["processes"]["qcd"].pop("matching_efficiency"),
        lambda m: m["processes"]["qcd"]["matching_efficiency"].update(nominal=None),
    ],
)
def test_counts_that_an_imported_data_set_lacks(tmp_path: Path, whole: dict[str, Any], change: Change) -> None:
    path = changed(tmp_path, whole, change)
    read_manifest(path)
    with pytest.raises(DataError, match=r"manifest\.json: does not say how many hard events of qcd have a jet"):
        read_counts(path)
    counts = read_counts(changed(tmp_path, whole, lambda m: None))
    assert counts.model_dump(by_alias=True)["files"] == whole["files"]
    assert counts.jets("train", "qcd") == sum(
        file["rows"] for file in whole["files"] if (file["split"], file["process"]) == ("train", "qcd")
    )
