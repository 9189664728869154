"""Write a data set's Parquet files from events that come in any order of splits and processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.contents import ContentsDigest, contents_sha256, event_indices, rows_by_variant
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.paths import SPLITS, CampaignPaths, shard_name, splits_with


@dataclass
class _Stream:
    """The files of one split and process, with rows that wait for a full row group, and the file being written."""

    waiting: list[pa.Table] = field(default_factory=list)
    events_waiting: int = 0
    writer: pq.ParquetWriter | None = None
    entry: dict[str, Any] = field(default_factory=dict)
    part: int = 0
    last: int = -1


class DatasetWriter:
    """Writes ``{split}/{process}-{part}.parquet`` in ``folder``, cutting row groups and parts between events.

    At most one row group per split and process waits in memory.
    """

    def __init__(self, folder: Path, events_per_part: int, events_per_row_group: int) -> None:
        self.folder = folder
        self.events_per_part = events_per_part
        self.events_per_row_group = events_per_row_group
        self.files: list[dict[str, Any]] = []
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._contents: dict[tuple[str, str, str], ContentsDigest] = {}
        for split in SPLITS:
            (folder / split).mkdir()

    @property
    def processes(self) -> list[str]:
        """Return the processes, in the order in which they came."""
        return list(dict.fromkeys(process for _, process in self._streams))

    def append(self, split: str, process: str, events: pa.Table) -> None:
        """Add whole events, in order of their keys, the views of an event adjacent.

        Raises :class:`DataError` if keys are not in order, because an event came twice, or files in another order.
        """
        (self.folder / split).mkdir(exist_ok=True)
        stream = self._streams.setdefault((split, process), _Stream())
        keys = events["event_id"].to_numpy()
        if keys[0] <= stream.last or (np.diff(keys) < 0).any():
            raise DataError(
                f"{process}, {split}: events come twice, or not in order of `event_id`; "
                "give each file once, in order"
            )
        stream.last = int(keys[-1])
        self._note(split, process, events)
        stream.waiting.append(events)
        stream.events_waiting += len(_starts(events))
        while stream.events_waiting >= self.events_per_row_group:
            self._flush(split, process, stream)

    def digests(self, variants: Sequence[str]) -> dict[str, dict[str, dict[str, str]]]:
        """Return the checksums of the contents so far by split, process and variant."""
        return {
            split: {
                name: {variant: contents_sha256(self.blocks(split, name, variant)) for variant in variants}
                for name in self.processes
            }
            for split in splits_with({split for split, _ in self._streams})
        }

    def blocks(self, split: str, process: str, variant: str) -> dict[int, str]:
        """Return the checksums of the contents so far, by number of the block of hard events."""
        return self._contents.get((split, process, variant), ContentsDigest()).blocks()

    def _note(self, split: str, process: str, events: pa.Table) -> None:
        """Add rows to the checksums of their variants."""
        indices = event_indices(events)
        for variant, rows in rows_by_variant(events).items():
            digest = self._contents.setdefault((split, process, variant), ContentsDigest())
            digest.update(events.take(pa.array(rows)), indices[rows])

    def close(self) -> list[dict[str, Any]]:
        """Write what waits, and return the entries of all files for the manifest."""
        for (split, process), stream in self._streams.items():
            while stream.events_waiting:
                self._flush(split, process, stream)
            self._finish(stream)
        return sorted(self.files, key=lambda entry: str(entry["path"]))

    def _flush(self, split: str, process: str, stream: _Stream) -> None:
        """Write one row group."""
        table = pa.concat_tables(stream.waiting)
        starts = _starts(table)
        writer = stream.writer or self._open(split, process, stream)
        events = min(self.events_per_row_group, len(starts), self.events_per_part - stream.entry["events"])
        rows = int(starts[events]) if events < len(starts) else table.num_rows
        writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        stream.waiting = [table.slice(rows)] if rows < table.num_rows else []
        stream.events_waiting -= events
        stream.entry["events"] += events
        stream.entry["rows"] += rows
        if stream.entry["events"] >= self.events_per_part:
            self._finish(stream)

    def _open(self, split: str, process: str, stream: _Stream) -> pq.ParquetWriter:
        path = Path(CampaignPaths("").part(split, process, shard_name(stream.part))).name
        stream.entry = {"path": f"{split}/{path}", "split": split, "process": process, "events": 0, "rows": 0}
        schema = dataset_schema()
        stream.writer = pq.ParquetWriter(self.folder / split / path, schema, **parquet_options(schema))
        return stream.writer

    def _finish(self, stream: _Stream) -> None:
        """Close the file being written, if any, and note its checksum."""
        if stream.writer is not None:
            stream.writer.close()
            stream.entry["sha256"] = sha256(self.folder / stream.entry["path"])
            self.files.append(stream.entry)
            stream.writer = None
            stream.part += 1


def _starts(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the first row of each event."""
    keys = table["event_id"].to_numpy()
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
