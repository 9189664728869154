"""Write a file of jets a few events at a time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.checksum import VALUES, ValuesDigest, sealed
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import Status, jets_schema

ROW_GROUP = 1_000
"""Rows of a row group; the last one may be shorter."""


class JetsFile:
    """Writer of rows of ``jets_schema`` that holds one row group in memory.

    The bytes do not depend on the pieces in which rows are written. ``status`` is the number of rows with each
    status so far, and ``first_failed`` is the first row of an event that failed.
    """

    def __init__(self, path: str | Path, weights: Sequence[str] = (), bands: Sequence[str] = ()) -> None:
        """Open a file with further weights and bands (``jets_schema``); it is complete after :meth:`finish`."""
        schema = jets_schema(weights, bands)
        # Arrow's own copy of the schema would hide the metadata that are added at the end.
        self._writer = pq.ParquetWriter(path, schema, store_schema=False, **parquet_options(schema))
        self._waiting = schema.empty_table()
        self._digest = ValuesDigest()
        self.status: Counter[int] = Counter()
        self.first_failed: int | None = None

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, without hiding an earlier error behind one of closing it."""
        with contextlib.nullcontext() if error is None else contextlib.suppress(OSError):
            self._writer.close()

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        return self.status.total()

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        self._digest.update(table)
        status = table["status"].to_pylist()
        if self.first_failed is None and Status.FAILED in status:
            self.first_failed = self.rows + status.index(Status.FAILED)
        self.status.update(status)
        self._waiting = pa.concat_tables([self._waiting, table])
        while self._waiting.num_rows >= ROW_GROUP:
            self._write_group()

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write the last rows, and ``metadata`` with the checksums of the values and of itself."""
        if self._waiting.num_rows:
            self._write_group()
        self._writer.add_key_value_metadata(sealed({**metadata, VALUES: self._digest.hexdigest()}))

    def _write_group(self) -> None:
        self._writer.write_table(self._waiting.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
        self._waiting = self._waiting.slice(ROW_GROUP)
