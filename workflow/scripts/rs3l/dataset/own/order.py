"""Bring rows that do not fit in memory in the order of their events: sorted runs on the disk, then merged.

A run goes on as long as pieces follow each other in order, so that a source in order is one run. At most
:data:`FAN_IN` runs are merged at a time, each with a block of rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from rs3l.types import Ints

FAN_IN = 64
BLOCK_ROWS = 512

KEY, VARIANT = "event_id", "variant"


class Runs:
    """Writer of sorted runs of rows in a folder."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Begin without a run."""
        self._folder, self._schema = folder, schema
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._last = -1
        self.paths: list[Path] = []

    def append(self, rows: pa.Table) -> None:
        """Add rows in any order, which are sorted by event."""
        if not rows.num_rows:
            return
        keys = keys_of(rows)
        if (np.diff(keys) < 0).any():
            order = np.argsort(keys, kind="stable")
            rows, keys = rows.take(pa.array(order)), keys[order]
        if keys[0] < self._last:
            self.close()
        self._writer = self._writer or self._open()
        self._writer.write_table(rows.combine_chunks(), max_chunksize=BLOCK_ROWS)
        self._last = int(keys[-1])

    def close(self) -> None:
        """End the run that is being written, if any."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._last = -1

    def _open(self) -> pa.RecordBatchStreamWriter:
        self.paths.append(self._folder / f"run-{len(self.paths):06d}.arrow")
        return pa.ipc.new_stream(self.paths[-1], self._schema)

    def merged(self, variants: Sequence[str]) -> Iterator[pa.Table]:
        """Yield all rows by event and, in it, in the order of ``variants``, as tables of whole events."""
        self.close()
        waiting = self.paths
        while len(waiting) > FAN_IN:
            first, waiting = waiting[:FAN_IN], waiting[FAN_IN:]
            for rows in merge(map(blocks, first), variants):
                self.append(rows)
            self.close()
            waiting.append(self.paths[-1])
            for path in first:
                path.unlink()
        yield from merge(map(blocks, waiting), variants)


def blocks(path: Path) -> Iterator[pa.Table]:
    """Yield the rows of a run, a block at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


@dataclass
class _Head:
    """A run that is being read: the rows in memory, and whether there may be more."""

    rest: Iterator[pa.Table]
    rows: pa.Table | None = None
    has_more: bool = True
    keys: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def read(self) -> None:
        """Read another block behind the rows in memory."""
        block = next(self.rest, None)
        if block is None:
            self.has_more = False
        else:
            self.rows = block if self.rows is None else pa.concat_tables([self.rows, block])
            self.keys = keys_of(self.rows)

    def take(self, bound: int | None) -> pa.Table | None:
        """Return the rows of events before ``bound`` (None: all), which are no longer in memory then."""
        end = len(self.keys) if bound is None else int(np.searchsorted(self.keys, bound))
        if not end or self.rows is None:
            return None
        taken, self.rows, self.keys = self.rows.slice(0, end), self.rows.slice(end), self.keys[end:]
        return taken


def merge(runs: Iterable[Iterator[pa.Table]], variants: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of sorted runs by event and variant, as tables of whole events."""
    heads = [_Head(run) for run in runs]
    while True:
        for head in heads:
            while head.has_more and not len(head.keys):
                head.read()
        open_heads = [head for head in heads if head.has_more]
        bound = min((int(head.keys[-1]) for head in open_heads), default=None)
        taken = [rows for head in heads if (rows := head.take(bound)) is not None]
        if taken:
            yield by_event(pa.concat_tables(taken), variants)
        elif bound is None:
            return
        for head in open_heads:
            if int(head.keys[-1] if len(head.keys) else -1) == bound:
                head.read()  # its last event may go on


def by_event(rows: pa.Table, variants: Sequence[str]) -> pa.Table:
    """Return rows by event, the views of one in the order of ``variants``."""
    place = np.asarray(pa.compute.index_in(rows[VARIANT], value_set=pa.array(list(variants))).to_numpy())
    order = np.lexsort((place, keys_of(rows)))
    return rows.take(pa.array(order)).combine_chunks()


def keys_of(rows: pa.Table) -> Ints:
    """Return the keys of the events of rows."""
    return np.asarray(rows[KEY].to_numpy(), dtype=np.int64)
