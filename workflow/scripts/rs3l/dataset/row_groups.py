"""The row groups of a split of the data set, which are read singly where the whole would not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.manifest import Manifest, Part, check_names, read_manifest, verified
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError


@dataclass(frozen=True)
class RowGroup:
    """One row group, with all views of some hard events of one process.

    ``values`` is the length of its longest column with lists flattened, which is at least the number of
    candidates.
    """

    path: Path
    process: str
    index: int
    rows: int
    values: int

    def read(self, columns: Iterable[str] | None = None) -> pa.Table:
        """Return its rows, by default with all columns of the data set.

        Raises :class:`DataError` if the file cannot be read, or lacks a column.
        """
        names = list(columns or dataset_schema().names)
        try:
            with pq.ParquetFile(self.path, pre_buffer=True) as file:
                table = file.read_row_group(self.index, columns=names, use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            message = f"{self.path}: row group {self.index} cannot be read ({error}); merge the data set again"
            raise DataError(message) from None
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise DataError(
                f"{self.path}: no column {', '.join(missing)}: it was made by another version; "
                "merge the data set again"
            )
        return table


def row_groups(
    manifest_path: str | Path, split: str, processes: Sequence[str], verify: bool = True
) -> list[RowGroup]:
    """Return the row groups of one split, in the order of ``processes`` and then of the manifest.

    Raises :class:`DataError` if the manifest or a file of it is missing, foreign or (with ``verify``, which reads
    every file once) changed, or if a row group cuts an event.
    """
    manifest = read_manifest(manifest_path)
    check_names(manifest_path, "process", processes, manifest.processes)
    return [
        group
        for process in processes
        for part in manifest.files(split, process)
        for group in part_row_groups(manifest, part, verify)
    ]


def part_row_groups(manifest: Manifest, part: Part, verify: bool = True) -> list[RowGroup]:
    """Return the row groups of one part that have rows; errors are those of :func:`row_groups`."""
    path = manifest.path(part)
    if verify or not path.is_file():
        verified(path, part.sha256)
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); merge the data set again") from None
    _check_events(path, metadata)
    groups = (_group(path, part.process, i, metadata.row_group(i)) for i in range(metadata.num_row_groups))
    return [group for group in groups if group.rows]


def _group(path: Path, process: str, index: int, metadata: pq.RowGroupMetaData) -> RowGroup:
    values = max(metadata.column(i).num_values for i in range(metadata.num_columns))
    return RowGroup(path, process, index, metadata.num_rows, values)


def _check_events(path: Path, metadata: pq.FileMetaData) -> None:
    """Raise :class:`DataError` if a row group cuts an event or events are not in order of their key.

    The last event of a row group must come before the first of the next.
    """
    column = metadata.schema.names.index("event_id")
    last = -1
    for i in range(metadata.num_row_groups):
        statistics = metadata.row_group(i).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            continue
        if statistics.min <= last:
            raise DataError(
                f"{path}: row group {i} cuts an event, or events are not in order; merge the data set again"
            )
        last = statistics.max
