"""The ranges of a merge: each shard read once, the same data set for any cutting, and what its checksums say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config.blocks import MergeBlock
from rs3l.dataset import contents
from rs3l.dataset.checksum import ValuesDigest
from rs3l.errors import DataError
from rs3l.merge import merge as module
from rs3l.merge import ranges as cutting
from rs3l.merge.exact import exact_sum, rounded
from rs3l.merge.merge import merge
from rs3l.merge.ranges import Range, ranges
from rs3l.paths import SPLITS, CampaignPaths
from support.damage import flips
from support.merging import rewrite

Jets = Callable[[int], tuple[MergeBlock, CampaignPaths]]
Copied = tuple[MergeBlock, CampaignPaths]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Compute the tasks in this process, and count them by name."""
    done: Counter[str] = Counter()

    def compute(tasks: Any, workers: int, jobs: Any) -> list[Any]:
        done.update(task.key.rpartition("-")[0].split("-")[0] for task in tasks)
        return list(dask.compute(*tasks, scheduler="sync"))

    monkeypatch.setattr(module, "compute", compute)
    return done


def data_set(paths: CampaignPaths) -> dict[str, bytes]:
    """Return the parts and the manifest by name."""
    folder = Path(paths.dataset)
    files = [*folder.rglob("*.parquet"), Path(paths.manifest)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_ranges_end_with_shards_and_no_piece_goes_across_two_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    several = 0
    for _ in range(500):
        monkeypatch.setattr(contents, "BLOCK", int(rng.integers(1, 30)))
        events, shard, part, workers = (int(rng.integers(1, n)) for n in (2000, 300, 200, 5))
        ends = [*range(shard, events, shard), events]
        found = ranges(ends, part, workers)
        assert [own.first for own in found] == [0, *(own.end for own in found[:-1])]
        assert found[-1].end == events and {own.end for own in found} <= set(ends)
        for size in (part, contents.BLOCK):
            pieces = [number for own in found for number in (*own.whole(size), *own.seam(size))]
            assert pieces == list(range(-(-events // size)))
        several += len(found) > 2
    assert several > 100


def test_an_end_of_a_part_is_preferred() -> None:
    ends = list(range(50_000, 1_000_001, 50_000))
    assert {own.end % 20_000 for own in ranges(ends, 20_000, 2)} == {0}
    assert [own.end for own in ranges([400_000, 800_000], 20_000, 8)] == [400_000, 800_000]
    assert [own.end for own in ranges([1250 * i for i in range(1, 9)], 20_000, 2)] == [10_000]


@pytest.mark.parametrize(("part", "row_group"), [(25, 8), (7, 3), (4, 8), (40, 40)])
def test_the_data_set_is_the_same_for_any_ranges(
    jets: Jets, monkeypatch: pytest.MonkeyPatch, here: Counter[str], part: int, row_group: int
) -> None:
    """Ranges as short as they may be, blocks of checksums that fit neither parts nor shards, and one range alone."""
    monkeypatch.setattr(contents, "BLOCK", 5)
    found = []
    for shard, largest in ((11, 1), (16, 1), (16, 100)):
        monkeypatch.setattr(cutting, "LARGEST", largest)
        block, paths = jets(shard)
        block = block.model_copy(update={"events_per_part": part, "events_per_row_group": row_group})
        merge(block, paths.root, 1)
        found.append(data_set(paths))
        if shard == 11 and part == 7:
            assert here["merge_range"] == 4 + 3 and here["merge_seam"] > 3
    assert found[0] == found[1] == found[2]


def test_every_row_group_of_every_shard_is_read_once(jets: Jets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "BLOCK", 5)
    monkeypatch.setattr(cutting, "LARGEST", 1)
    block, paths = jets(11)
    read, count = pq.ParquetFile.read_row_group, Counter[tuple[Any, ...]]()

    def counted(self: pq.ParquetFile, group: int) -> pa.Table:
        header = self.metadata.metadata
        if b"rs3l.block" in header:
            count[header[b"rs3l.block"], header[b"rs3l.first"], group] += 1
        return read(self, group)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    merge(block.model_copy(update={"events_per_part": 3}), paths.root, 1)
    assert len(count) == 3 * sum(block.shards.values()) and set(count.values()) == {1}


def literal_digest(rows: pa.Table, block: int) -> str:
    """Return the checksum of the rows of one variant, block by block of hard events."""
    numbers = [seeds.event_index(key) // block for key in rows["event_id"].to_pylist()]
    blocks = []
    for number in sorted(set(numbers)):
        digest = ValuesDigest()
        own = rows.filter(pa.array([n == number for n in numbers]))
        for name in own.column_names:
            if name not in contents.NAMES:
                digest.update(own.select([name]))
        blocks.append((number, digest.hexdigest()))
    return contents.contents_sha256(dict(blocks))


def test_the_manifest_has_the_checksum_of_the_contents(jets: Jets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "BLOCK", 6)
    block, paths = jets(16)
    manifest = merge(block, paths.root, 1)
    for split in SPLITS:
        for process in block.processes:
            files = sorted(Path(paths.split(split)).glob(f"{process}-*.parquet"))
            rows = pa.concat_tables([pq.read_table(file) for file in files])
            assert set(manifest["digests"][split][process]) == set(block.variants)
            for variant, digest in manifest["digests"][split][process].items():
                own = rows.filter(pc.equal(rows["variant"], variant)).combine_chunks()
                assert digest == literal_digest(own, 6), (split, process, variant)


def digests(block: MergeBlock, paths: CampaignPaths) -> dict[tuple[str, str, str], str]:
    """Return the checksums of the contents of a new merge, by split, process and variant."""
    found = merge(block, paths.root, 1)["digests"]
    return {(s, p, v): d for s, by in found.items() for p, own in by.items() for v, d in own.items()}


def test_a_value_changes_the_checksum_of_its_own_split_process_and_variant(copied: Copied) -> None:
    block, paths = copied
    before = digests(block, paths)
    path = paths.jets("qcd", "seed", "0000")
    table = pq.read_table(path)
    row = table["jet_mass"].to_pylist().index(next(m for m in table["jet_mass"].to_pylist() if m is not None))
    masses = [m if i != row else m + 1 for i, m in enumerate(table["jet_mass"].to_pylist())]
    column = table.schema.get_field_index("jet_mass")
    rewrite(path, table.set_column(column, table.schema.field(column), pa.array(masses, pa.float32())))
    after = digests(block, paths)
    changed = {key for key in before if before[key] != after[key]}
    assert len(changed) == 1 and {key[1:] for key in changed} == {("qcd", "seed")}


def test_names_parts_and_row_groups_are_no_contents(copied: Copied) -> None:
    block, paths = copied
    before = digests(block, paths)
    qcd = block.processes["qcd"].model_copy(update={"label": "other"})
    others = block.model_copy(
        update={"events_per_part": 9, "events_per_row_group": 2, "processes": {**block.processes, "qcd": qcd}}
    )
    assert digests(others, paths) == before


def test_a_bit_that_flips_is_named_before_what_follows_from_it(copied: Copied) -> None:
    """Whatever the bit does to keys, partons or lists: the shard is named, and an older data set stays."""
    block, paths = copied
    merge(block, paths.root, 1)
    before = data_set(paths)
    path = Path(paths.jets("qcd", "seed", "0000"))
    intact, refused = path.read_bytes(), 0
    for content in flips(intact, 25, 3):
        path.write_bytes(content)
        try:
            merge(block, paths.root, 1)
        except DataError as error:
            refused += 1
            assert str(path) in str(error) and "delete it" in str(error)
        assert data_set(paths) == before
    assert refused > 15
    assert json.loads(before["manifest.json"])["digests"]


def test_sums_do_not_depend_on_their_order() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=3000) * 10.0 ** rng.integers(-200, 200, 3000)
    values[::7] = 0.0
    exact = sum(Fraction(value) for value in values)
    assert Fraction(exact_sum(values), 2**1200) == exact
    pieces = np.array_split(rng.permutation(values), 11)
    assert rounded(sum(exact_sum(piece) for piece in pieces)) == float(exact)
    assert rounded(exact_sum(np.full(5000, 1 - 2.0**-53))) == 5000 * (1 - 2.0**-53)
    with pytest.raises(DataError, match="not finite"):
        exact_sum(np.array([1.0, np.nan]))


def test_a_range_may_be_the_whole() -> None:
    assert list(Range(0, 30, 30).whole(25)) == [0, 1] and not Range(0, 30, 30).seam(25)
