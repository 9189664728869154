"""Checksums of what a data set holds, of each variant of a process in a split, however its files are cut."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from rs3l import seeds
from rs3l.dataset.checksum import ValuesDigest
from rs3l.types import Ints

BLOCK = 1_000
"""Consecutive hard events that have a checksum of their own, so that several workers can share the work."""

NAMES = ("process", "label", "variant")
"""Columns of names that belong to no checksum: other labels do not make other jets."""


class ContentsDigest:
    """SHA-256 of the rows of one variant, process and split, for each block of hard events with rows.

    Rows come in the order of their events, in any pieces.
    """

    def __init__(self) -> None:
        """Begin without rows."""
        self._blocks: dict[int, str] = {}
        self._number = -1
        self._digest = ValuesDigest()

    def update(self, rows: pa.Table, events: Ints) -> None:
        """Add rows of the data set, which belong to the hard events with the indices ``events``, in order."""
        values = rows.drop_columns([name for name in NAMES if name in rows.column_names])
        for number, start, stop in runs(events // BLOCK):
            if number != self._number:
                self._close()
                self._number = number
            self._digest.update(values.slice(start, stop - start))

    def blocks(self) -> dict[int, str]:
        """Return the checksums of the blocks by number."""
        self._close()
        self._number = -1
        return self._blocks

    def _close(self) -> None:
        if self._number >= 0:
            self._blocks[self._number] = self._digest.hexdigest()
            self._digest = ValuesDigest()


def event_indices(rows: pa.Table) -> Ints:
    """Return the index of the hard event of each row [N] within its process."""
    return np.asarray(seeds.event_index(rows["event_id"].to_numpy()))


def rows_by_variant(rows: pa.Table) -> dict[str, Ints]:
    """Return the positions of the rows of each variant."""
    variants = rows["variant"].to_numpy()
    return {str(name): np.flatnonzero(variants == name) for name in dict.fromkeys(variants)}


def runs(values: Ints) -> Iterator[tuple[int, int, int]]:
    """Yield each value with the first and the end of its run, for values in order."""
    starts = [*np.flatnonzero(np.diff(values, prepend=-1)), len(values)]
    for start, stop in itertools.pairwise(starts):
        yield int(values[start]), int(start), int(stop)


def contents_sha256(blocks: Mapping[int, str]) -> str:
    """Return the checksum of the rows of all blocks."""
    return hashlib.sha256(json.dumps(sorted(blocks.items())).encode()).hexdigest()
