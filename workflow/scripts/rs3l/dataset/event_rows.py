"""Columns of Parquet files, some thousand rows at a time and never half an event, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.errors import DataError

ROWS = 65_536
"""So many rows are read at a time."""


def whole_events(
    paths: Iterable[str | Path], columns: Sequence[str], rows: int | None = None
) -> Iterator[pa.Table]:
    """Yield ``columns`` (``event_id`` among them) of files, in order, in tables of whole events.

    A table has about ``rows`` rows, by default :data:`ROWS`. The views of an event are adjacent rows of one file.
    Raises :class:`DataError` if a file is missing, is no Parquet file or lacks a column.
    """
    for path in paths:
        rest: list[pa.Table] = []
        for piece in _pieces(path, columns, rows or ROWS):
            table = pa.concat_tables([*rest, piece])
            cut = _last_event(table)
            if cut:
                yield table.slice(0, cut).combine_chunks()
            rest = [table.slice(cut)]
        yield from rest


def _pieces(path: str | Path, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            if missing := [name for name in columns if name not in file.schema_arrow.names]:
                raise DataError(f"{path}: no column {', '.join(missing)}; delete it and make it again")
            for batch in file.iter_batches(rows, columns=list(columns), use_threads=False):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); delete it and make it again") from None


def _last_event(table: pa.Table) -> int:
    """Return the first row of the last event of a table."""
    keys = table["event_id"].to_numpy()
    other = np.flatnonzero(keys != keys[-1]) if len(keys) else keys
    return int(other[-1]) + 1 if len(other) else 0
