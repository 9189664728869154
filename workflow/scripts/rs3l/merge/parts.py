"""Files of the data set, cut from rows that come in the order of their events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import MergeBlock
from rs3l.dataset import contents
from rs3l.dataset.contents import ContentsDigest, event_indices, rows_by_variant, runs
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import dataset_schema
from rs3l.files import atomic, sha256
from rs3l.paths import CampaignPaths, Split, shard_name
from rs3l.types import Ints


@dataclass(frozen=True)
class Made:
    """Entries of files in the manifest, and checksums of contents by split, variant and number of the block."""

    files: list[dict[str, Any]]
    contents: dict[Split, dict[str, dict[int, str]]]


class Parts(contextlib.ExitStack):
    """The parts ``numbers`` of one process and split under ``root``, one file of which is open at a time.

    A part is of a fixed number of hard events; one without a row is a file all the same. At most one row group
    waits in memory.
    """

    def __init__(self, block: MergeBlock, root: str, process: str, split: Split, numbers: range) -> None:
        """Begin with the first part."""
        super().__init__()
        self.files: list[dict[str, Any]] = []
        self._block, self._root, self._process, self._split = block, root, process, split
        self._numbers = numbers
        self._waiting = dataset_schema(block.weights).empty_table()
        self._events_waiting = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table, events: Ints) -> None:
        """Add whole events, with the index [N] of each row's event within the process; those of other parts go."""
        for number, start, stop in runs(events // self._block.events_per_part):
            if number in self._numbers:
                while self._numbers[0] < number:
                    self._finish()
                self._append(rows.slice(start, stop - start))

    def finish(self) -> list[dict[str, Any]]:
        """Write what waits, and return the entries of all files for the manifest."""
        while self._numbers:
            self._finish()
        return self.files

    def _append(self, rows: pa.Table) -> None:
        self._waiting = pa.concat_tables([self._waiting, rows])
        self._events_waiting += len(first_rows(rows))
        while self._events_waiting >= self._block.events_per_row_group:
            self._flush()

    def _flush(self) -> None:
        """Write one row group."""
        starts = first_rows(self._waiting)
        events = min(self._block.events_per_row_group, len(starts))
        rows = int(starts[events]) if events < len(starts) else self._waiting.num_rows
        self._open().write_table(self._waiting.slice(0, rows).combine_chunks(), row_group_size=rows)
        self._waiting = self._waiting.slice(rows)
        self._events_waiting -= events
        self.files[-1]["events"] += events
        self.files[-1]["rows"] += rows

    def _open(self) -> pq.ParquetWriter:
        """Return the writer of the current part."""
        if self._writer is None:
            path = Path(CampaignPaths(self._root).part(self._split, self._process, shard_name(self._numbers[0])))
            entry = {"path": f"{self._split}/{path.name}", "split": self._split, "process": self._process}
            self.files.append({**entry, "events": 0, "rows": 0})
            self._writer = self.enter_context(part_file(path, self.files[-1], self._block.weights))
        return self._writer

    def _finish(self) -> None:
        """Write the rest of the current part."""
        self._open()
        while self._events_waiting:
            self._flush()
        self.close()
        self._writer = None
        self._numbers = self._numbers[1:]


@contextlib.contextmanager
def part_file(path: Path, entry: dict[str, Any], weights: Sequence[str]) -> Iterator[pq.ParquetWriter]:
    """Yield the writer of a file of the data set, and note its checksum in ``entry`` when it is closed."""
    schema = dataset_schema(weights)
    with atomic(path) as temporary:
        with pq.ParquetWriter(temporary, schema, **parquet_options(schema)) as writer:
            yield writer
        entry["sha256"] = sha256(temporary)


def first_rows(rows: pa.Table) -> Ints:
    """Return the first row of each event."""
    keys = rows["event_id"].to_numpy()
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)


class Cut(contextlib.ExitStack):
    """What is made of rows of a process: parts, and checksums of contents by split and variant.

    Rows of other hard events than those of ``parts`` (numbers of parts) and of ``blocks`` (numbers of blocks of
    the checksums) are left to others.
    """

    def __init__(self, block: MergeBlock, root: str, process: str, parts: range, blocks: range) -> None:
        """Begin without rows."""
        super().__init__()
        self._blocks = blocks
        self._parts = {split: Parts(block, root, process, split, parts) for split in block.splits.names}
        self._digests = {
            split: {name: ContentsDigest() for name in block.variants} for split in block.splits.names
        }
        for own in self._parts.values():
            self.push(own)

    def add(self, split: Split, rows: pa.Table) -> None:
        """Add rows of one split, in order."""
        events = event_indices(rows)
        self._parts[split].add(rows, events)
        start, stop = np.searchsorted(events, np.multiply(contents.BLOCK, (self._blocks.start, self._blocks.stop)))
        for name, chosen in rows_by_variant(rows.slice(start, stop - start)).items():
            self._digests[split][name].update(rows.take(pa.array(start + chosen)), events[start + chosen])

    def finish(self) -> Made:
        """Write what waits, and return what was made."""
        return Made(
            files=[entry for parts in self._parts.values() for entry in parts.finish()],
            contents={
                split: {name: digest.blocks() for name, digest in digests.items()}
                for split, digests in self._digests.items()
            },
        )
