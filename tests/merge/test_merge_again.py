"""A merge over an older data set: nothing of it stays, and nothing else goes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import dask
import pyarrow.dataset as ds
import pytest

from rs3l.config.blocks import MergeBlock
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError
from rs3l.merge import merge as module
from rs3l.merge.merge import merge
from rs3l.merge.replace import new_splits
from rs3l.paths import SPLITS, CampaignPaths, Split

Copied = tuple[MergeBlock, CampaignPaths]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute the parts in this process."""
    monkeypatch.setattr(
        module, "compute", lambda tasks, workers, jobs: list(dask.compute(*tasks, scheduler="sync"))
    )


def files(paths: CampaignPaths) -> dict[str, bytes]:
    folder = Path(paths.dataset)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_older_parts_do_not_stay(copied: Copied) -> None:
    """Smaller parts are more files: one pattern must not read what is left of them."""
    block, paths = copied
    merge(block.model_copy(update={"events_per_part": 5}), paths.root, 1)
    older = files(paths)
    (Path(paths.split("train")) / ".snakemake_timestamp").touch()
    (Path(paths.split("train")) / ".qcd-0000.parquet.local-node-1.tmp").write_bytes(b"half")
    manifest = merge(block, paths.root, 1)
    assert len(files(paths)) < len(older)
    named = {file["path"] for file in manifest["files"]}
    assert {name for name in files(paths) if name.endswith(".parquet")} == named
    for split in SPLITS:
        rows = sum(file["rows"] for file in manifest["files"] if file["split"] == split)
        assert ds.dataset(sorted(Path(paths.split(split)).glob("*.parquet"))).count_rows() == rows
    assert {path.name for path in Path(paths.dataset).iterdir()} == {
        *SPLITS, "manifest.json", "card.md", "provenance.json",
    }  # fmt: skip
    assert [part.model_dump() for part in read_manifest(paths.manifest).files()] == manifest["files"]


@pytest.mark.parametrize("name", ["notes.txt", "more/qcd-0000.parquet", "jets.parquet", ".hidden"])
def test_what_is_no_part_is_neither_deleted_nor_moved(copied: Copied, name: str) -> None:
    block, paths = copied
    merge(block, paths.root, 1)
    foreign = Path(paths.split("val")) / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("mine", encoding="utf-8")
    before = files(paths)
    with pytest.raises(DataError, match=rf"val: the merge replaces .*: {name.split('/')[0]}; move that elsewhere"):
        merge(block, paths.root, 1)
    assert files(paths) == before


def test_an_older_data_set_stays_whole_until_the_new_one_is(
    copied: Copied,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block, paths = copied
    merge(block, paths.root, 1)
    before = files(paths)

    def fail(tasks: Any, workers: int, jobs: Any) -> list[Any]:
        for task in tasks[:2]:
            task.compute()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compute", fail)
    with pytest.raises(KeyboardInterrupt):
        merge(block, paths.root, 1)
    assert files(paths) == before


def test_one_that_is_interrupted_in_the_exchange_has_no_manifest(
    copied: Copied,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block, paths = copied
    merge(block, paths.root, 1)
    whole, rename, count = files(paths), Path.rename, 0

    def renamed(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(KeyboardInterrupt):
        merge(block, paths.root, 1)
    assert not Path(paths.manifest).exists()
    monkeypatch.setattr(Path, "rename", rename)
    merge(block, paths.root, 1)
    assert files(paths) == whole


def test_two_merges_at_once_leave_one_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one puts its folder in place between the two renames of this one."""
    paths, rename = CampaignPaths(str(tmp_path)), Path.rename

    def write(root: str | Path, text: str, *splits: Split) -> None:
        for split in splits:
            path = Path(CampaignPaths(str(root)).part(split, "qcd", "0000"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def renamed(self: Path, target: Path) -> Path:
        if target == Path(paths.split("val")) and not target.exists() and not seen:
            seen.append(target)
            write(tmp_path, "other", "val")
        return rename(self, target)

    seen: list[Path] = []
    monkeypatch.setattr(Path, "rename", renamed)
    with new_splits(paths) as root:
        write(root, "this", *SPLITS)
    assert seen
    assert {path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.parquet")} == {"this"}
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_replaced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))

    paths = CampaignPaths(str(tmp_path))
    with pytest.raises(PermissionError), new_splits(paths):
        monkeypatch.setattr(Path, "rename", refuse)
    assert not list(tmp_path.rglob("*.tmp"))
