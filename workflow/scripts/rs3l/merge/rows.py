"""The rows of the shards of one variant, one after the other, each shard read once and verified as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l import seeds
from rs3l.dataset.checksum import ValuesDigest
from rs3l.dataset.schema import jets_schema
from rs3l.errors import DataError
from rs3l.merge.shards import DAMAGE, Shard


class ShardRows:
    """Reads consecutive shards a row group at a time, the only one in memory.

    A shard's checksum is known when its last row has been read: until :meth:`finish`, the rows of the last shard
    are not to be trusted.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Begin before the first row."""
        self._shards = [verified_rows(shard) for shard in shards]
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0

    def take(self, rows: int) -> pa.Table:
        """Return the next ``rows`` rows; raises :class:`DataError` if a shard is damaged, or holds fewer."""
        while self._rows_waiting < rows:
            self._read()
        table = pa.concat_tables(self._waiting)
        self._waiting = [table.slice(rows)]
        self._rows_waiting -= rows
        return table.slice(0, rows).combine_chunks()

    def verify(self) -> None:
        """Read the shard to its end that rows were taken from last, to verify it; the rows go."""
        if self._shards:
            for _ in self._shards[0]:
                pass

    def finish(self) -> None:
        """Verify what is left of the shards."""
        while self._shards:
            self.verify()
            del self._shards[0]

    def _read(self) -> None:
        """Read one row group, of the next shard if there is no more in this one."""
        group = next(self._shards[0], None)
        if group is None:
            del self._shards[0]
        else:
            self._waiting.append(group)
            self._rows_waiting += group.num_rows


def verified_rows(shard: Shard) -> Iterator[pa.Table]:
    """Yield the row groups of a file of jets, and verify the checksum of all its values in the end.

    Raises :class:`DataError` if the file is damaged, was changed, or holds other events than it says. Rows that
    cannot be used are not given out; what is wrong is said at the end, where the checksum is known.
    """
    digest, rows, columns, keys = ValuesDigest(), 0, False, True
    try:
        with pq.ParquetFile(shard.path) as file:
            columns = file.schema_arrow.remove_metadata() == jets_schema(list(shard.weights), list(shard.bands))
            for group in range(file.num_row_groups):
                table = file.read_row_group(group).replace_schema_metadata(None)
                table.validate(full=True)
                digest.update(table)
                keys = keys and columns and _has_keys(table, shard.process, shard.first + rows)
                rows += table.num_rows
                if keys and rows <= shard.events:
                    yield table
    except DAMAGE as error:
        raise DataError(f"{shard.path}: damaged ({error}); delete it and run again") from None
    if rows != shard.events:
        raise DataError(f"{shard.path}: {rows} rows for {shard.events} hard events; delete it and run again")
    if digest.hexdigest() != shard.values_sha256 or not columns:
        raise DataError(f"{shard.path}: its values were changed after it was written; delete it and run again")
    if not keys:
        raise DataError(
            f"{shard.path}: rows are not the hard events {shard.first} ... {shard.first + shard.events - 1} of "
            f"{shard.process}, in order; delete it and run again"
        )


def _has_keys(table: pa.Table, process: str, first: int) -> bool:
    """Return whether rows are those of consecutive hard events."""
    expected = seeds.event_id(process, first) + np.arange(table.num_rows)
    return np.array_equal(table["event_id"].to_numpy(), expected)
