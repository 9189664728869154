"""A file of jets that is written and read in pieces is the one of a single piece, to the bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import Campaign, blocks
from rs3l.dataset import jets_file
from rs3l.dataset.checksum import VALUES, ValuesDigest, is_sealed, values_sha256
from rs3l.dataset.jets_file import JetsFile
from rs3l.dataset.schema import jets_schema
from rs3l.lhe.lhe import HardEvent, open_shard
from rs3l.merge.rows import ShardRows
from rs3l.merge.shards import read_header
from rs3l.resim import shower
from rs3l.resim.resim import resimulate, resimulate_shard
from support.places import REPOSITORY

Shard = Callable[[str, int, int], Path]
N = 40


@pytest.fixture(scope="module")
def table(campaign: Campaign, hard_shard: Shard) -> pa.Table:
    return resimulate(blocks.resim(campaign, "qcd", "seed"), list(open_shard(hard_shard("qcd", 0, N))[1]))


def written(path: Path, table: pa.Table, size: int) -> bytes:
    with JetsFile(path) as file:
        for start in range(0, table.num_rows, size):
            file.write(table.slice(start, size))
        file.finish({"rs3l.made": "here"})
    return path.read_bytes()


def test_the_bytes_do_not_depend_on_the_pieces(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jets_file, "ROW_GROUP", 16)
    whole = written(tmp_path / "whole.parquet", table, N)
    assert all(written(tmp_path / "x.parquet", table, size) == whole for size in (1, 7, 16, 33))
    file = pq.ParquetFile(tmp_path / "whole.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [16, 16, 8]
    assert file.read().replace_schema_metadata(None).equals(table)
    assert file.schema_arrow.remove_metadata() == jets_schema()
    metadata = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
    assert is_sealed(metadata) and metadata[VALUES] == values_sha256(table) and metadata["rs3l.made"] == "here"


def test_the_checksum_by_pieces_is_that_of_the_whole(table: pa.Table) -> None:
    for size in (1, 3, 17, N):
        digest = ValuesDigest()
        for start in range(0, N, size):
            digest.update(table.slice(start, size))
        assert digest.hexdigest() == values_sha256(table)
    digest.update(table.slice(0, 1))
    assert digest.hexdigest() != values_sha256(table)


@pytest.mark.parametrize("variant", ["nominal", "fsr_hi", "rehadron"])
def test_a_streamed_job_writes_what_one_chunk_gives(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """Events by 7, row groups of 16: values and checksum are those of all events in one batch."""
    hard = hard_shard("qcd", 0, N)
    block = blocks.resim(campaign, "qcd", variant)
    whole = resimulate(block, list(open_shard(hard)[1]))
    monkeypatch.setattr(shower, "BATCH", 7)
    monkeypatch.setattr(jets_file, "ROW_GROUP", 16)
    resimulate_shard(block, hard, tmp_path / "x.parquet", 0)
    streamed = pq.read_table(tmp_path / "x.parquet")
    assert streamed.schema.remove_metadata() == whole.schema
    assert values_sha256(streamed) == values_sha256(whole)  # to the bit; `equals` says that NaN is not NaN
    assert read_header(str(tmp_path / "x.parquet")).values_sha256 == values_sha256(whole)


def test_the_merge_reads_rows_across_row_groups(
    campaign: Campaign, hard_shard: Shard, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jets_file, "ROW_GROUP", 16)
    path = tmp_path / "x.parquet"
    resimulate_shard(blocks.resim(campaign, "qcd", "seed"), hard_shard("qcd", 0, N), path, 0)
    shard = read_header(str(path))
    for ends in ([N], [3, 9, 15, 17, N], [16, 32, N], [N - 1, N], [1, 1, 39]):
        rows, starts = ShardRows([shard]), [0, *ends]
        for start, end in zip(starts, ends, strict=False):
            assert rows.take(end - start).equals(table.slice(start, end - start))
        rows.finish()


def test_a_batch_that_ends_early_leaves_the_next_one_as_it_is(campaign: Campaign, hard_shard: Shard) -> None:
    """Pythia asks for one event too many, as after an event that it rejects without a word."""
    events = list(open_shard(hard_shard("qcd", 0, N))[1])
    showerer = shower.Showerer(blocks.resim(campaign, "qcd", "nominal"))
    showerer._source.load(events[:3])
    assert [event is None for event in showerer._pythia.nextBatch(5, "none").to_list()] == [False] * 3 + [True] * 2
    again = showerer.shower(events[3:8])
    assert again.same_as(shower.Showerer(blocks.resim(campaign, "qcd", "nominal")).shower(events[3:8]))


def test_events_are_read_when_they_are_asked_for(hard_shard: Shard) -> None:
    """Memory is that of a few events: those not yet asked for are not parsed."""
    info, events = open_shard(hard_shard("qcd", 0, N))
    assert not isinstance(events, list) and info.events == N
    first = next(events)
    assert isinstance(first, HardEvent) and first.index == 0
    assert [event.index for event in events] == list(range(1, N))


def test_the_memory_of_a_job_does_not_grow_with_its_events() -> None:
    """Holding hard events and rows would take 40 MB more for 1,000 events, holding their particles 400 MB."""
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "memory.py"), "--events", "300", "1300"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    small, large = (float(line.split('"peak_memory_mb": ')[1].split(",")[0]) for line in done.stdout.splitlines())
    assert large < small + 20 and large < 1000
