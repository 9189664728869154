"""The jets of some parts of a split, a row group at a time, so that memory grows with neither parts nor split.

The next row group is read in a thread while one is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from rs3l.dataset.manifest import Part, check_names, read_manifest
from rs3l.dataset.row_groups import RowGroup, part_row_groups
from rs3l.dataset.store import COLUMNS, JetStore, join_parts, part_arrays
from rs3l.errors import DataError

Chosen = Callable[[pa.Table], pa.Table]


class Jets(NamedTuple):
    """The jets of one row group with their further columns."""

    store: JetStore
    table: pa.Table


class Reader:
    """Reads the jets of some parts of a process in a split, under all variants."""

    def __init__(
        self,
        manifest: str | Path,
        process: str,
        parts: range | None = None,
        split: str = "test",
        constituents: int = 100,
        columns: Sequence[str] = (),
        chosen: Chosen | None = None,
    ) -> None:
        """Choose parts by their numbers, or all with None, further ``columns``, and rows by a function.

        Raises :class:`DataError` if the data set does not have them.
        """
        self.manifest = read_manifest(manifest)
        check_names(manifest, "process", [process], self.manifest.processes)
        self.process, self.constituents = process, constituents
        self.variants = tuple(self.manifest.variants)
        self.columns = tuple(dict.fromkeys((*COLUMNS, *columns)))
        self.chosen = chosen
        self.parts = _parts(manifest, self.manifest.files(split, process), process, split, parts)

    def __iter__(self) -> Iterator[Jets]:
        """Yield the jets of each row group that has some, in the order of the files."""
        with ThreadPoolExecutor(1) as thread:
            groups = self._groups()
            ahead = [thread.submit(self._next, groups)]
            while (jets := ahead.pop().result()) is not None:
                ahead.append(thread.submit(self._next, groups))
                yield jets

    def _groups(self) -> Iterator[RowGroup]:
        """Yield the row groups of the parts, each of which is compared with its checksum before it is read."""
        for part in self.parts:
            yield from part_row_groups(self.manifest, part)

    def _next(self, groups: Iterator[RowGroup]) -> Jets | None:
        """Return the jets of the next row group that has some, or None after the last."""
        found = (jets for jets in map(self._read, groups) if len(jets.store))
        return next(islice(found, 1), None)

    def _read(self, group: RowGroup) -> Jets:
        table = group.read(self.columns)
        table = table if self.chosen is None else self.chosen(table)
        part = part_arrays(group.path, table, 0, self.variants)
        store = join_parts([part], (self.process,), self.variants, self.constituents, len(part["cand_pt"]))
        return Jets(store, table)


def _parts(
    manifest: str | Path, found: Sequence[Part], process: str, split: str, numbers: range | None
) -> list[Part]:
    """Return the parts with these numbers; raises :class:`DataError` if the data set does not have them."""
    if numbers is None:
        return [*found]
    if numbers.stop > len(found):
        raise DataError(
            f"{manifest}: no part {numbers.stop - 1} of {process} in the split {split!r}, which has {len(found)}; "
            "merge the data set again with this configuration"
        )
    return [found[number] for number in numbers]
