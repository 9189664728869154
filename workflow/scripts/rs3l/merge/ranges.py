"""The work of a merge: ranges of hard events, each of whole shards, and the seams where a part goes across.

A shard is read once, by the worker that has its range. Where the end of a range is no end of a part, the rows of
that part wait in files of their own, and a task for the seam makes the part of both sides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import MergeBlock
from rs3l.dataset import contents
from rs3l.dataset.contents import event_indices
from rs3l.dataset.schema import dataset_schema
from rs3l.files import atomic
from rs3l.merge.parts import Cut, Made
from rs3l.merge.rows import ShardRows
from rs3l.merge.shards import Shard
from rs3l.merge.views import Counts, Views, added_counts
from rs3l.paths import Split

LARGEST = 100_000
"""Hard events of a range, more or less, however few workers there are: what is lost with a worker."""

RANGES_PER_WORKER = 4
"""Ranges for each worker at least, so that all are done at about the same time."""


@dataclass(frozen=True)
class Range:
    """Consecutive hard events ``first ... end - 1`` of a process with ``events`` of them, all of some shards."""

    first: int
    end: int
    events: int

    def whole(self, size: int) -> range:
        """Return the numbers of the pieces of ``size`` events that lie in this range alone."""
        last = -(-self.end // size) if self.end == self.events else self.end // size
        return range(-(-self.first // size), last)

    def seam(self, size: int) -> range:
        """Return the number of the piece of ``size`` events that goes across the end, if one does."""
        across = self.end < self.events and self.end % size
        return range(self.end // size, self.end // size + bool(across))


def ranges(ends: Sequence[int], part: int, workers: int) -> list[Range]:
    """Return ranges that end where shards do (``ends``), for parts of ``part`` hard events.

    No part or block of checksums goes across two of their ends. If it can be had, an end is that of a part, too.
    """
    events, least = ends[-1], max(part, contents.BLOCK)
    size = max(least, min(LARGEST, events // (RANGES_PER_WORKER * workers)))
    result: list[Range] = []
    while not result or result[-1].end < events:
        first = result[-1].end if result else 0
        fit = [end for end in ends if end - first >= size and (end == events or events - end >= least)]
        near = [end for end in fit if end <= max(fit[0], first + 2 * size)]
        end = min(near or [events], key=lambda end: (end % part > 0, end % contents.BLOCK > 0, end))
        result.append(Range(first, end, events))
    return result


@dataclass(frozen=True)
class Merged:
    """What a range has given: what was made of it alone, and the numbers of all its hard events."""

    made: Made
    counts: Counts


def merge_range(
    block: MergeBlock, root: str, process: str, own: Range, shards: Mapping[str, Sequence[Shard]]
) -> Merged:
    """Write the files of the parts that lie in a range, and what waits for its seams.

    Raises :class:`DataError` for a shard that is damaged, and for rows that are not of the same hard events.
    """
    sources = {
        variant: ShardRows([s for s in shards[variant] if own.first <= s.first < own.end]) for variant in shards
    }
    counts = []
    cut = Cut(block, root, process, own.whole(block.events_per_part), own.whole(contents.BLOCK))
    seams = Seams(block, root, process, own)
    with cut, seams, damage_first(sources):
        for first in range(own.first, own.end, contents.BLOCK):
            tables = {name: rows.take(min(contents.BLOCK, own.end - first)) for name, rows in sources.items()}
            views = Views(block, process, first, tables)
            counts.append(views.counts())
            for split, rows in views.of_splits().items():
                cut.add(split, rows)
                seams.add(split, rows)
        for source in sources.values():
            source.finish()
        return Merged(cut.finish(), added_counts(counts))


@contextlib.contextmanager
def damage_first(sources: Mapping[str, ShardRows]) -> Iterator[None]:
    """Name a damaged shard rather than what follows from it: after an error, verify the shards in use."""
    try:
        yield
    except Exception:
        for source in sources.values():
            source.verify()
        raise


class Seams(contextlib.ExitStack):
    """Files of the rows of a range that parts, or blocks of checksums, across its ends need."""

    def __init__(self, block: MergeBlock, root: str, process: str, own: Range) -> None:
        """Begin without rows; a range has no file for an end where nothing goes across."""
        super().__init__()
        sizes = (block.events_per_part, contents.BLOCK)
        before = Range(0, own.first, own.events)
        self._sides = {}
        if any(before.seam(size) for size in sizes):
            self._sides["after", own.first] = range(own.first, max(-(-own.first // size) * size for size in sizes))
        if any(own.seam(size) for size in sizes):
            self._sides["before", own.end] = range(min(own.end // size * size for size in sizes), own.end)
        self._writers = {
            (side, split): self.enter_context(
                seam_writer(seam_file(root, process, side[1], side[0], split), block.weights)
            )
            for side in self._sides
            for split in block.splits.names
        }

    def add(self, split: Split, rows: pa.Table) -> None:
        """Keep those of some rows, which are in order, that a seam needs."""
        events = event_indices(rows)
        for side, needed in self._sides.items():
            start, stop = np.searchsorted(events, (needed.start, needed.stop))
            if start < stop:
                self._writers[side, split].write_table(rows.slice(start, stop - start))


def seam_file(root: str, process: str, end: int, side: str, split: Split) -> Path:
    """Return the file of the rows on one side (``before``, ``after``) of the end of a range."""
    return Path(root) / "seams" / f"{process}-{end}-{side}-{split}.parquet"


@contextlib.contextmanager
def seam_writer(path: Path, weights: Sequence[str]) -> Iterator[pq.ParquetWriter]:
    """Yield the writer of such a file."""
    schema = dataset_schema(weights)
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="lz4") as writer:
        yield writer


def merge_seam(block: MergeBlock, root: str, process: str, own: Range, *_: Merged) -> Made:
    """Write the part that goes across the end of a range, once this range and the next are merged."""
    with Cut(block, root, process, own.seam(block.events_per_part), own.seam(contents.BLOCK)) as cut:
        for side in ("before", "after"):
            for split in block.splits.names:
                with pq.ParquetFile(seam_file(root, process, own.end, side, split)) as file:
                    for group in range(file.num_row_groups):
                        cut.add(split, file.read_row_group(group).cast(dataset_schema(block.weights)))
        return cut.finish()
