"""The data set against a literal zip of the shards, and every shard that must be refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks
from rs3l.config.blocks import MergeBlock
from rs3l.dataset.checksum import sealed, sealed_json
from rs3l.dataset.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, Status, dataset_schema
from rs3l.dataset.splits import split_of
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.merge.merge import merge
from rs3l.merge.ranges import Range, merge_range
from rs3l.merge.shards import find_shards
from rs3l.paths import SPLITS, CampaignPaths, shard_name
from support.merging import EVENTS, rewrite


def reference(block: MergeBlock, paths: CampaignPaths, process: str) -> dict[str, list[dict[str, Any]]]:
    """Zip the variants row by row, as the text of the design says."""
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    by_variant = {
        variant: [
            row
            for number in range(block.shards[process])
            for row in pq.read_table(paths.jets(process, variant, shard_name(number))).to_pylist()
        ]
        for variant in block.variants
    }
    for event in range(block.processes[process].events):
        views = [(v, r[event]) for v, r in by_variant.items() if r[event]["status"] == Status.OK]
        if len(views) < block.min_views:
            continue
        for variant, row in views:
            assert row["event_id"] == seeds.event_id(process, event)
            kept = {name: row[name] for name in (*HARD_COLUMNS, *JET_COLUMNS, *CANDIDATE_COLUMNS)}
            kept["jet_type"] = by_variant["nominal"][event]["jet_type"]
            label = block.processes[process].label
            rows[split_of(block.seed, block.splits, process, event)].append(
                {"event_id": row["event_id"], "process": process, "label": label, "variant": variant, **kept}
            )
    return rows


@pytest.mark.parametrize("min_views", [1, 3])
def test_parts_equal_the_literal_zip(
    jets: Callable[[int], tuple[MergeBlock, CampaignPaths]], tmp_path: Path, min_views: int
) -> None:
    block, paths = jets(16)
    block = block.model_copy(update={"min_views": min_views})
    shards = find_shards(block, paths)
    for process, events in EVENTS.items():
        merge_range(block, str(tmp_path), process, Range(0, events, events), shards[process])
        for split, expected in reference(block, paths, process).items():
            files = sorted((tmp_path / "dataset" / split).glob(f"{process}-*.parquet"))
            found = pa.concat_tables([pq.read_table(file) for file in files])
            assert found.schema == dataset_schema()
            assert found.to_pylist() == expected
    qcd = [row for rows in reference(block, paths, "qcd").values() for row in rows]
    assert any(row["jet_type"].startswith("g_") and row["variant"] == "seed" for row in qcd)


def test_the_data_set_is_the_same_for_any_shard_size_and_number_of_workers(
    jets: Callable[[int], tuple[MergeBlock, CampaignPaths]],
) -> None:
    folders = []
    for shard, workers in ((16, 2), (11, 1)):
        block, paths = jets(shard)
        merge(block, paths.root, workers)
        folders.append(Path(paths.dataset))
    names = sorted(str(path.relative_to(folders[0])) for path in folders[0].rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(folders[1])) for path in folders[1].rglob("*") if path.is_file())
    assert len(names) == 2 * 2 * 3 + 3
    for name in names:
        same = (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        assert same == (name != "provenance.json"), name


def test_the_manifest_counts_what_is_in_the_files(
    jets: Callable[[int], tuple[MergeBlock, CampaignPaths]],
) -> None:
    block, paths = jets(16)
    manifest = merge(block, paths.root, 1)
    assert json.loads(Path(paths.manifest).read_text(encoding="utf-8")) == sealed_json(manifest)
    keys: dict[str, set[int]] = {split: set() for split in SPLITS}
    for file in manifest["files"]:
        path = Path(paths.dataset) / file["path"]
        table = pq.read_table(path)
        assert sha256(path) == file["sha256"]
        assert (table.num_rows, len(set(table["event_id"].to_pylist()))) == (file["rows"], file["events"])
        keys[file["split"]] |= set(table["event_id"].to_pylist())
    assert not keys["train"] & keys["val"]
    assert not (keys["train"] | keys["val"]) & keys["test"]
    for process, entry in manifest["processes"].items():
        rows = sum(file["rows"] for file in manifest["files"] if file["process"] == process)
        assert rows == sum(status["ok"] for status in entry["status"].values())
        for variant, status in entry["status"].items():
            assert sum(status.values()) == EVENTS[process]
            assert entry["matching_efficiency"][variant] == status["ok"] / EVENTS[process]
        jointly = entry["matching_efficiency_all_variants"]
        assert jointly <= min(entry["matching_efficiency"].values())
        assert jointly <= entry["matching_efficiency_two_variants"]
        survival = entry["survival"]
        assert survival["hard"]["events"] == EVENTS[process]
        assert survival["nominal"]["events"] == entry["status"]["nominal"]["ok"]
        assert survival["all_variants"]["events"] == round(jointly * EVENTS[process])
    card = Path(paths.card).read_text(encoding="utf-8")
    assert all(file["sha256"] in card for file in manifest["files"])


def test_row_groups_end_at_event_boundaries(jets: Callable[[int], tuple[MergeBlock, CampaignPaths]]) -> None:
    block, paths = jets(16)
    merge(block, paths.root, 1)
    file = pq.ParquetFile(paths.part("train", "higgs_bb", "0000"))
    groups = [set(file.read_row_group(i)["event_id"].to_pylist()) for i in range(file.num_row_groups)]
    assert len(groups) > 1
    assert sum(map(len, groups)) == len(set().union(*groups))


def swap(a: str, b: str) -> None:
    """Exchange two files."""
    shutil.move(a, a + ".x")
    shutil.move(b, a)
    shutil.move(a + ".x", b)


def damage(kind: str, paths: CampaignPaths) -> None:
    """Damage the second shard of qcd, seed."""
    path = paths.jets("qcd", "seed", "0001")
    if kind == "missing":
        Path(path).unlink()
    elif kind == "truncated":
        Path(path).write_bytes(Path(path).read_bytes()[:-100])
    elif kind == "empty":
        Path(path).write_bytes(b"")
    elif kind == "other variant":
        swap(path, paths.jets("qcd", "nominal", "0001"))
    elif kind == "other shard":
        swap(path, paths.jets("qcd", "seed", "0000"))
    elif kind == "duplicated":
        shutil.copy(paths.jets("qcd", "seed", "0000"), path)
    elif kind == "other pythia":
        rewrite(path, pythia="8.312")
    elif kind == "other campaign":
        old = json.loads(pq.read_schema(path).metadata[b"rs3l.block"])
        rewrite(path, block=json.dumps({**old, "seed": 1}))
    elif kind == "no header":
        pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    elif kind == "other settings":
        old = json.loads(pq.read_schema(path).metadata[b"rs3l.block"])
        rewrite(path, block=json.dumps({**old, "version": 0}))
    elif kind == "changed header":
        metadata = {**pq.read_schema(path).metadata, b"rs3l.subprocesses": b"{}"}
        pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    elif kind == "foreign":
        pq.write_table(pq.read_table(path).replace_schema_metadata(sealed({"made by": "somebody"})), path)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "qcd/seed/0001.parquet: missing"),
        ("truncated", "qcd/seed/0001.parquet: truncated or damaged"),
        ("empty", "qcd/seed/0001.parquet: truncated or damaged"),
        ("other variant", "holds qcd, seed, not qcd, nominal"),
        ("other shard", "qcd/seed/0000.parquet: begins with hard event 16, not 0"),
        ("duplicated", "qcd/seed/0001.parquet: begins with hard event 0, not 16"),
        ("other pythia", "different versions of Pythia"),
        ("other campaign", "qcd/seed/0001.parquet: made with another campaign seed"),
        ("no header", "qcd/seed/0001.parquet: its header is damaged"),
        ("changed header", "qcd/seed/0001.parquet: its header is damaged"),
        ("foreign", "qcd/seed/0001.parquet: not a file of jets of this workflow"),
        ("other settings", "qcd/seed/0001.parquet: made with other settings"),
    ],
)
def test_a_wrong_shard_is_named_before_anything_is_written(
    copied: tuple[MergeBlock, CampaignPaths], kind: str, expected: str
) -> None:
    block, paths = copied
    damage(kind, paths)
    with pytest.raises(DataError) as error:
        merge(block, paths.root, 1)
    assert expected in str(error.value)
    assert not Path(paths.dataset).exists()


def test_rows_that_are_not_the_expected_events_are_refused(copied: tuple[MergeBlock, CampaignPaths]) -> None:
    block, paths = copied
    path = paths.jets("qcd", "seed", "0000")
    table = pq.read_table(path)
    rewrite(path, table.take([1, 0, *range(2, table.num_rows)]))
    with pytest.raises(
        DataError, match="seed/0000.parquet: rows are not the hard events 0 ... 15 of qcd, in order"
    ):
        merge_range(block, paths.root, "qcd", Range(0, 30, 30), find_shards(block, paths)["qcd"])


def test_views_of_another_hard_event_are_refused(copied: tuple[MergeBlock, CampaignPaths]) -> None:
    block, paths = copied
    path = paths.jets("qcd", "seed", "0000")
    table = pq.read_table(path)
    i = table.schema.get_field_index("parton_pt")
    other = pa.array(table["parton_pt"].to_numpy() + 1, pa.float32())
    rewrite(path, table.set_column(i, table.schema.field(i), other))
    with pytest.raises(DataError, match="the hard events of seed are not those of nominal"):
        merge_range(block, paths.root, "qcd", Range(0, 30, 30), find_shards(block, paths)["qcd"])


def test_splits_have_the_configured_fractions(campaign: Campaign) -> None:
    block = blocks.merge(campaign)
    names = [split_of(block.seed, block.splits, "qcd", event) for event in range(4000)]
    for split in SPLITS:
        fraction = getattr(block.splits, split)
        error = (fraction * (1 - fraction) / 4000) ** 0.5
        assert names.count(split) / 4000 == pytest.approx(fraction, abs=4 * error)
