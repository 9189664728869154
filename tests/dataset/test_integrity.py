"""Files that were damaged after they were written: an error that names the file, or the very same contents."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import Campaign, blocks
from rs3l.dataset.checksum import HEADER, VALUES, is_sealed, sealed, values_sha256
from rs3l.dataset.store import load_views
from rs3l.errors import DataError
from rs3l.lhe.lhe import read_shard, write_shard
from rs3l.merge.rows import verified_rows
from rs3l.merge.shards import read_header
from rs3l.resim.resim import resimulate_shard
from support import toy
from support.damage import flips

Shard = Callable[[str, int, int], Path]


@pytest.fixture(scope="module")
def jets(campaign: Campaign, hard_shard: Shard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jets") / "0000.parquet"
    resimulate_shard(blocks.resim(campaign, "qcd", "seed"), hard_shard("qcd", 0, 15), path, 0)
    return path


def read_jets(path: Path) -> tuple[Any, pa.Table]:
    """Return header and values as the merge reads them."""
    shard = read_header(str(path))
    return {**vars(shard), "path": ""}, pa.concat_tables(list(verified_rows(shard)))


def refused(read: Callable[[Path], Any], path: Path, damaged: Iterator[bytes], unharmed: Any) -> int:
    """Return how many damaged copies are refused by name with a remedy; all others must read as if unharmed."""
    count = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            assert read(path) == unharmed
        except DataError as error:
            assert str(path) in str(error)
            assert "delete it" in str(error)
            count += 1
    return count


def test_a_flipped_bit_in_a_shard_of_jets_is_found(jets: Path, tmp_path: Path) -> None:
    """Anywhere, and once more in the header at the end of the file; padding is the only place without a value."""
    whole = jets.read_bytes()
    unharmed = read_jets(jets)
    header = len(whole) - int.from_bytes(whole[-8:-4], "little") - 8
    path = tmp_path / "0000.parquet"
    assert refused(read_jets, path, flips(whole, 300), unharmed) > 200
    assert refused(read_jets, path, flips(whole, 300, header), unharmed) > 150
    assert refused(read_jets, path, flips(whole[:header], 200), unharmed) == 200


def test_a_truncated_shard_of_jets_is_found(jets: Path, tmp_path: Path) -> None:
    whole = jets.read_bytes()
    cuts = [0, 1, 8, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1]
    damaged = (whole[:cut] for cut in cuts)
    assert refused(read_jets, tmp_path / "0000.parquet", damaged, read_jets(jets)) == len(cuts)


def test_a_damaged_shard_of_hard_events_is_found(hard_shard: Shard, tmp_path: Path) -> None:
    """One flipped bit or a cut; the ten bytes of gzip's own header hold a time and flags that change no event."""
    whole = hard_shard("qcd", 0, 15).read_bytes()
    unharmed = read_shard(hard_shard("qcd", 0, 15))
    path = tmp_path / "0000.lhe.gz"
    assert refused(read_shard, path, flips(whole, 150, 10), unharmed) == 150
    assert refused(read_shard, path, flips(whole[:10], 40), unharmed) == 40
    cuts = [0, 1, 9, len(whole) // 2, len(whole) - 8, len(whole) - 1]
    assert refused(read_shard, path, (whole[:cut] for cut in cuts), unharmed) == len(cuts)
    for content in flips(whole[:10], 40):
        path.write_bytes(content + whole[10:])
        try:
            assert read_shard(path) == unharmed
        except DataError as error:
            assert str(path) in str(error)


def test_a_flipped_bit_in_a_part_of_the_data_set_is_found(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path)
    path = tmp_path / "train" / "signal-0000.parquet"
    for content in flips(path.read_bytes(), 50):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"signal-0000\.parquet: its SHA-256 is not the manifest's"):
            load_views(manifest, "train", ["signal"], ["nominal"], 10)


def test_parts_that_were_swapped_are_found(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path)
    a, b = (tmp_path / "val" / f"signal-{part}.parquet" for part in ("0000", "0001"))
    shutil.move(a, tmp_path / "x")
    shutil.move(b, a)
    shutil.move(tmp_path / "x", b)
    with pytest.raises(DataError, match=r"signal-0000\.parquet: its SHA-256"):
        load_views(manifest, "val", ["signal"], ["nominal"], 10)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"first": 15}, "begins with hard event 15, not 0; delete it"),
        ({"process": "higgs_bb"}, "holds events of higgs_bb, not of qcd; delete it"),
        ({"seed": 8}, "made with another campaign seed; delete it"),
        ({"pythia": "8.316"}, "made with Pythia 8.316, but"),
    ],
)
def test_hard_events_of_another_shard_are_refused(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    """Swapped with another shard, process or campaign, or made with another version of Pythia than this one."""
    info, events = read_shard(hard_shard("qcd", 15, 25) if "first" in change else hard_shard("qcd", 0, 15))
    path = tmp_path / "0000.lhe.gz"
    write_shard(path, type(info)(**{**vars(info), **change}), events, 13000.0)
    with pytest.raises(DataError) as error:
        resimulate_shard(blocks.resim(campaign, "qcd", "seed"), path, tmp_path / "x.parquet", 0)
    assert str(path) in str(error.value)
    assert expected in str(error.value)
    assert not (tmp_path / "x.parquet").exists()


def test_the_checksum_of_values_depends_on_values_alone(jets: Path, tmp_path: Path) -> None:
    table = pq.read_table(jets)
    expected = values_sha256(table)
    assert pq.read_schema(jets).metadata[VALUES.encode()].decode() == expected
    pieces = pa.concat_tables([table.slice(0, 4), table.slice(4, 1), table.slice(5)])
    assert pieces["cand_pt"].num_chunks == 3
    assert values_sha256(pieces) == expected
    pq.write_table(table, tmp_path / "plain.parquet", compression="none", row_group_size=3)
    assert values_sha256(pq.read_table(tmp_path / "plain.parquet")) == expected
    hidden = pa.Array.from_buffers(
        pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(bytes([5, 0, 0, 0, 9, 0, 0, 0]))]
    )
    assert values_sha256(pa.table({"x": hidden})) == values_sha256(
        pa.table({"x": pa.array([5, None], pa.int32())})
    )


def test_the_checksum_of_values_sees_every_column(jets: Path) -> None:
    table = pq.read_table(jets)
    seen = {values_sha256(table)}
    for i, name in enumerate(table.column_names):
        other = table[name].take(pa.array([*range(table.num_rows)][::-1]))
        if other != table[name]:
            seen.add(values_sha256(table.set_column(i, name, other)))
        seen.add(values_sha256(table.rename_columns([*table.column_names[:i], "x", *table.column_names[i + 1 :]])))
    assert len(seen) > 1.8 * table.num_columns


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([[1, 2], [3]], [[1], [2, 3]]),
        ([[1], None], [[1], []]),
        ([None, [1]], [[1], None]),
        ([[None, 1]], [[1, None]]),
        (["ab", "c"], ["a", "bc"]),
        ([0, None], [None, 0]),
        ([0.0, 1.0], [-0.0, 1.0]),
    ],
)
def test_the_checksum_of_values_sees_where_they_are(first: list[Any], second: list[Any]) -> None:
    assert values_sha256(pa.table({"x": first})) != values_sha256(pa.table({"x": second}))


def test_a_seal_covers_every_entry() -> None:
    header = sealed({"a": "1", "b": "2"})
    assert is_sealed(header)
    assert not is_sealed({"a": "1", "b": "2"})
    for broken in ({**header, "a": "2"}, {**header, "c": ""}, {"a": "1", HEADER: header[HEADER]}):
        assert not is_sealed(broken)
